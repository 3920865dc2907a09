"""Write a study's table as Markdown, CSV and LaTeX; every word is fixed or computed from the records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from evaluation.grading import OUTCOMES
from studies.reporting.notes import difference_notes, score_notes
from studies.reporting.records import Records
from studies.reporting.summaries import Distribution, summarize

NOTHING = "–"
LONGEST_STATUS = 160
LEFT = ("arm", "status")
_EARNS_NOTHING = [outcome for outcome in OUTCOMES if outcome not in ("correct", "wrong")]
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "ε": "epsilon", "λ": "lambda", "π": "pi", "τ": "tau"}
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "–": "--"}
    | {"…": r"\ldots{}"}
    | {letter: f"$\\{name}$" for letter, name in _GREEK.items()}
)


class Section(NamedTuple):
    """A table of text with its heading and the lines under it."""

    heading: str
    cells: pd.DataFrame
    notes: Sequence[str]


def write_tables(
    records: Records, reproduce: str, distributions: Mapping[str, Distribution] | None = None
) -> tuple[Path, Path, Path]:
    """Write table.md, table.csv and table.tex into the study's folder and return their paths.

    Args:
        records: The study's records.
        reproduce: Command that makes the study again.
        distributions: For each suite whether it is in or out of the training distribution; one average is
            shown for each, and a single one over all suites if none is marked.
    """
    summary = summarize(records, distributions or {})
    sections = _sections(records, summary, distributions or {})
    texts = {
        "md": _markdown(sections, reproduce),
        "csv": summary.to_csv(index=False, lineterminator="\n"),
        "tex": _latex(sections, reproduce),
    }
    paths = {kind: records.directory / f"table.{kind}" for kind in texts}
    for kind, text in texts.items():
        paths[kind].write_text(text, encoding="utf-8", newline="\n")
    return paths["md"], paths["csv"], paths["tex"]


def _sections(
    records: Records, summary: pd.DataFrame, distributions: Mapping[str, Distribution]
) -> list[Section]:
    study = records.study
    scores = pd.DataFrame([_score_row(part, study.suites) for _, part in summary.groupby("arm", sort=False)])
    sections = [Section(study.title, scores, score_notes(records, summary, distributions))]
    others = summary[summary["arm"] != study.baseline]
    if study.baseline is not None and len(others):
        rows = [_difference_row(part) for _, part in others.groupby("arm", sort=False)]
        heading = f"Difference to {study.baseline}"
        sections.append(Section(heading, pd.DataFrame(rows), difference_notes(others)))
    return sections


def _score_row(part: pd.DataFrame, suites: Sequence[str]) -> dict[str, str]:
    """Return an arm's row of the main table; `part` has its rows of the summary."""
    entries = _entries(part)
    arm, own = entries[0], [entry for entry in entries if entry["suite"] in suites]
    questions = sum(entry["questions"] for entry in own if not pd.isna(entry["questions"]))
    untold = [
        sum(entry[outcome] for entry in own if not pd.isna(entry[outcome])) for outcome in _EARNS_NOTHING
    ]
    return (
        {"arm": arm["arm"]}
        | {_heading(entry["suite"]): _score_cell(entry) for entry in entries}
        | {
            "seeds": f"{arm['seeds']} of {arm['seeds_wanted']}",
            "n": f"{questions:,} × {arm['samples']}" if questions else NOTHING,
            "offline rows": _percent(arm["offline_rows"], NOTHING),
            "offline tokens": _percent(arm["offline_tokens"], NOTHING),
            "steps": NOTHING if pd.isna(arm["steps"]) else f"{arm['steps']:,}",
            " / ".join(_EARNS_NOTHING): " / ".join(map(str, untold)) if questions else NOTHING,
            "status": _shortened(arm["status"]),
        }
    )


def _difference_row(part: pd.DataFrame) -> dict[str, str]:
    entries = _entries(part)
    return {"arm": entries[0]["arm"]} | {
        _heading(entry["suite"]): _difference_cell(entry) for entry in entries
    }


def _entries(part: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in entry.items()} for entry in part.to_dict("records")]


def _heading(suite: str) -> str:
    return suite.replace("_", " ") if suite.startswith("average ") else suite


def _score_cell(entry: Mapping[str, Any]) -> str:
    if not pd.isna(entry["mean"]):
        return f"{_percent(entry['mean'])} ± {_percent(entry['se'])}"
    return NOTHING if entry["seeds"] else str(entry["status"]).split()[0]


def _difference_cell(entry: Mapping[str, Any]) -> str:
    difference = entry["difference"]
    if pd.isna(difference):
        return _score_cell(entry) if not entry["seeds"] else NOTHING
    sign = "−" if difference < 0 else "+"
    p = f" (p {_p_value(entry['p_holm'])})"
    return f"{sign}{_percent(abs(difference))} ± {_percent(entry['difference_se'])}{p}"


def _percent(share: float, missing: str = "n/a") -> str:
    return missing if pd.isna(share) else f"{100 * share:.1f}"


def _p_value(p: float) -> str:
    if pd.isna(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_STATUS else f"{text[: LONGEST_STATUS - 1]}…"


def _markdown(sections: Sequence[Section], reproduce: str) -> str:
    parts = []
    for depth, (heading, cells, notes) in enumerate(sections, start=1):
        rows = [list(cells.columns), *cells.to_numpy().tolist()]
        lines = [f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in rows]
        aligned = ["---:" if name not in LEFT else "---" for name in cells.columns]
        lines.insert(1, f"| {' | '.join(aligned)} |")
        listed = [f"- {escape_markdown(note)}" for note in notes]
        parts += [f"{'#' * depth} {escape_markdown(heading)}", "\n".join(lines), "\n".join(listed)]
    return "\n\n".join([*parts, "## Reproduce", f"```\n{reproduce.strip()}\n```"]) + "\n"


def _latex(sections: Sequence[Section], reproduce: str) -> str:
    parts = ["% Needs \\usepackage{booktabs}."]
    for heading, cells, notes in sections:
        escaped = cells.map(escape_latex).set_axis([escape_latex(name) for name in cells.columns], axis=1)
        layout = "".join("l" if name in LEFT else "r" for name in cells.columns)
        parts.append(f"\\par\\noindent\\textbf{{{escape_latex(heading)}}}\\par\\smallskip")
        parts.append(escaped.to_latex(index=False, escape=False, column_format=layout).strip())
        told = "\n".join(f"{escape_latex(note)}\\par" for note in notes)
        parts.append(f"\\par\\smallskip{{\\footnotesize\\noindent\n{told}}}")
    command = escape_latex(" ".join(reproduce.split()))
    return "\n\n".join([*parts, f"{{\\footnotesize\\noindent Reproduce: \\texttt{{{command}}}\\par}}"]) + "\n"


def escape_markdown(text: str) -> str:
    """Return the text as GitHub's Markdown shows it literally, in a table's cell too."""
    return re.sub(r"([\\`*\[\]|]|<(?=\S)|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))


def escape_latex(text: str) -> str:
    """Return the text as LaTeX shows it literally."""
    return " ".join(str(text).split()).translate(_LATEX)
