"""The command line of the grader: `python -m evaluation.grade FILE.jsonl`.

The agreement with the labels, where rows carry them, is on stdout, all else on stderr. Exit codes: 0 every
row is graded, 2 the command cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:  # --help must not wait for it
    from evaluation.grading import AnswerGrader, Grade

REFUSED, INTERRUPTED = 2, 130
STDOUT = Path("-")
Row = dict[str, Any]


@dataclass(frozen=True)
class Command:
    r"""Grade the rows of a file as the benchmarks are graded.

    A row is an object with `gold`, a text or a list of accepted forms, and `prediction`. A prediction is a
    response, which states its answer in a box or plainly at its end; with `form` "answer" it is the answer
    alone. Every row is written again with its outcome, the answer that was found and what decided. Rows that
    also carry `correct` are labelled: the grader's agreement with them is printed, by `form` where rows have
    one, and without the rows whose `convention` says that their label is a matter of convention.

    Other than in training, where the answer must stand in a box and a percent sign means nothing, by default
    any plain answer counts and 5% is 0.05.
    """

    file: tyro.conf.Positional[Path]
    """The rows, one JSON object a line."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="OUT.jsonl", help_behavior_hint="")] = None
    """Where the graded rows go; - is stdout, and the agreement then goes to stderr. Without it:
    FILE.graded.jsonl."""
    grader: Literal["algebra", "independent"] = "algebra"
    """The grader of rewards and scores, or a second one that shares no comparison with it and is stricter:
    lm-eval's normalised strings, then sympy's own LaTeX grammar."""
    boxed_required: bool = False
    """Take an answer outside a box for none, as training does."""
    percent_ignored: bool = False
    """Let 5% answer a gold of 5, as training does."""
    time_limit: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 3.0
    """What one answer may cost."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Processes that grade side by side."""

    @property
    def target(self) -> Path:
        """Where the graded rows go."""
        return self.output or self.file.with_suffix(".graded.jsonl")


class RefusedError(ValueError):
    """The command, or a row of its file, is not what it must be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(
        Command, prog="python -m evaluation.grade", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    try:
        _carry_out(command)
    except (RefusedError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return 0


def _carry_out(command: Command) -> None:
    from evaluation.grading import grader_version

    rows = list(read_rows(command.file))
    grader = _build(command)
    try:
        grades = grader.grade_all([(response_of(row), row["gold"]) for row in rows])
    finally:
        grader.close()
    lines = "".join(f"{json.dumps(_graded(*pair))}\n" for pair in zip(rows, grades, strict=True))
    if command.target == STDOUT:
        sys.stdout.write(lines)
    else:
        command.target.write_text(lines, encoding="utf-8")
        sys.stderr.write(f"rows: {command.target}\n")
    sys.stderr.write(f"grader: {command.grader}, {grader_version()}\n")
    if any("correct" in row for row in rows):
        from evaluation.grading.agreement import agreement_table

        table = agreement_table(rows, [grade.correct for grade in grades])
        (sys.stderr if command.target == STDOUT else sys.stdout).write(f"{table}\n")


def _build(command: Command) -> AnswerGrader:
    from evaluation.grading import Grader, GraderConfig, IndependentGrader

    try:
        config = GraderConfig(
            boxed_required=command.boxed_required,
            percent_ignored=command.percent_ignored,
            time_limit=command.time_limit,
            workers=command.workers,
        )
    except ValueError as error:
        raise RefusedError(f"{error}") from error
    return Grader(config) if command.grader == "algebra" else IndependentGrader(config)


def read_rows(file: Path) -> Iterator[Row]:
    """Yield the rows of a file; one that can't be graded is refused with its line."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise RefusedError(f"{file}:{number} is no JSON: {error.msg}") from error
            fault = _fault(row)
            if fault:
                raise RefusedError(f"{file}:{number} {fault}")
            yield row


def _fault(row: object) -> str:
    """Return what is wrong with a row, "" for nothing."""
    if not isinstance(row, dict):
        return "is no JSON object"
    missing = [key for key in ("gold", "prediction") if key not in row]
    if missing:
        return f"has no {' and no '.join(missing)}"
    gold, prediction = row["gold"], row["prediction"]
    forms = gold if isinstance(gold, list) else [gold]
    if not forms or not all(isinstance(form, str) for form in forms):
        return "has a gold that is neither a text nor a list of texts"
    if not isinstance(prediction, str):
        return "has a prediction that is no text"
    return (
        "" if isinstance(row.get("correct", True), bool) else "has a `correct` that is neither true nor false"
    )


def response_of(row: Row) -> str:
    r"""Return the response to grade: an answer alone in a box, without a stray backslash at its end."""
    if row.get("form") != "answer":
        return str(row["prediction"])
    return rf"\boxed{{{row['prediction'].rstrip(chr(92))}}}"


def _graded(row: Row, grade: Grade) -> Row:
    return {**row, "outcome": grade.outcome, "extracted": grade.answer, "how": grade.how}


if __name__ == "__main__":
    sys.exit(main())
