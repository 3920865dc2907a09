"""Write a report's tables as Markdown, CSV, LaTeX and parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.markdown import escape_markdown
from studies.reporting.parts import Cell, Section

LEFT = (
    *("arm", "baseline", "status"),
    *("effect", "of", "aliased with", "algorithm", "budget", "verdict", "suite"),
)
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "ε": "epsilon", "λ": "lambda", "π": "pi", "τ": "tau"}
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "–": "--"}
    | {"…": r"\ldots{}"}
    | {letter: f"$\\{name}$" for letter, name in _GREEK.items()}
)


def write_tables(sections: Sequence[Section], folder: Path, reproduce: str) -> dict[str, Path]:
    """Write table.md and table.tex with all sections, and the numbers of each; return the paths by name.

    The main table's numbers are table.csv and table.parquet, another section's are called after it.

    Args:
        sections: In order; the first is the main table.
        folder: For the files.
        reproduce: Command that makes the study again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"table.md": _markdown(sections, reproduce), "table.tex": _latex(sections, reproduce)}
    for section in sections:
        if section.data is not None:
            texts[f"{section.name}.csv"] = section.data.to_csv(index=False, lineterminator="\n")
            section.data.to_parquet(folder / f"{section.name}.parquet", index=False)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return {name: folder / name for name in texts}


def _aligned(section: Section, left: str, right: str) -> list[str]:
    """Return how each column stands: columns of words to the left."""
    return [left if name in LEFT else right for name in section.cells.columns]


def _markdown(sections: Sequence[Section], reproduce: str) -> str:
    parts = []
    for depth, section in enumerate(sections):
        heading = f"{'##' if depth else '#'} {escape_markdown(section.heading)}"
        rows = [
            [_strong(escape_markdown(text), (index, name), section) for name, text in row.items()]
            for index, row in enumerate(section.cells.to_dict("records"))
        ]
        lines = [[escape_markdown(name) for name in section.cells.columns], _aligned(section, "---", "---:")]
        table = "\n".join(f"| {' | '.join(row)} |" for row in [*lines, *rows])
        listed = "\n".join(f"- {escape_markdown(note)}" for note in section.notes)
        parts += [heading, table, *([listed] if listed else [])]
    return "\n\n".join([*parts, "## Reproduce", f"```\n{reproduce.strip()}\n```"]) + "\n"


def _strong(text: str, place: tuple[int, object], section: Section) -> str:
    return f"**{text}**" if Cell(place[0], str(place[1])) in section.bold else text


def _latex(sections: Sequence[Section], reproduce: str) -> str:
    parts = ["% Needs \\usepackage{booktabs}."]
    for section in sections:
        cells = section.cells.map(escape_latex)
        for row, column in section.bold:
            texts = cells[column].tolist()
            texts[row] = f"\\textbf{{{texts[row]}}}"
            cells[column] = texts
        cells = cells.set_axis([escape_latex(name) for name in cells.columns], axis=1)
        layout = "".join(_aligned(section, "l", "r"))
        parts.append(f"\\par\\noindent\\textbf{{{escape_latex(section.heading)}}}\\par\\smallskip")
        parts.append(cells.to_latex(index=False, escape=False, column_format=layout).strip())
        told = "\n".join(f"{escape_latex(note)}\\par" for note in section.notes)
        parts.append(f"\\par\\smallskip{{\\footnotesize\\noindent\n{told}}}")
    command = escape_latex(" ".join(reproduce.split()))
    return "\n\n".join([*parts, f"{{\\footnotesize\\noindent Reproduce: \\texttt{{{command}}}\\par}}"]) + "\n"


def escape_latex(text: str) -> str:
    """Return the text as LaTeX shows it literally."""
    return " ".join(str(text).split()).translate(_LATEX)
