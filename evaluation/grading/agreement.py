"""How far a grader agrees with labels, with intervals."""

from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import binomtest

Row = dict[str, Any]


def agreement_table(rows: Sequence[Row], accepted: Sequence[bool]) -> str:
    """Return accuracy, false positives and false negatives of the labelled rows, all and by group.

    A false positive is a wrong answer accepted, its rate a share of the wrong answers; a false negative is
    a right answer refused, its rate a share of the right ones.
    """
    labelled = [(row, taken) for row, taken in zip(rows, accepted, strict=True) if "correct" in row]
    groups: list[tuple[str, Callable[[Row], bool]]] = [("all", lambda _: True)]
    if any(row.get("convention") for row, _ in labelled):
        groups.append(("without conventions", lambda row: not row.get("convention")))
    for form in sorted({str(row["form"]) for row, _ in labelled if row.get("form")}):
        groups.append((f"form {form}", lambda row, form=form: row.get("form") == form))  # type: ignore[misc]
    header = ("rows", "n", "accuracy", "false positives", "false negatives")
    lines = [
        header,
        *(_line(name, [pair for pair in labelled if belongs(pair[0])]) for name, belongs in groups),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    table = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    note = (
        "Rates with 95 % Wilson intervals; false positives among the wrong, false negatives among the right."
    )
    return "\n".join([*table, note])


def _line(name: str, pairs: Sequence[tuple[Row, bool]]) -> tuple[str, ...]:
    right = [taken for row, taken in pairs if row["correct"]]
    wrong = [taken for row, taken in pairs if not row["correct"]]
    hits = sum(right) + wrong.count(False)
    return (
        name,
        f"{len(pairs)}",
        _rate(hits, len(pairs)),
        _rate(sum(wrong), len(wrong)),
        _rate(right.count(False), len(right)),
    )


def _rate(count: int, total: int) -> str:
    if total == 0:
        return "none"
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return f"{count}/{total} = {count / total:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
