"""The command line of grading again: `python -m evaluation.regrade DIR`.

How much the scores depend on the grader is on stdout, all else on stderr. Exit codes: 0, 2 where the command
cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from evaluation.console import answer

if TYPE_CHECKING:  # --help must not wait for it
    from evaluation.regrading import SuiteMarks
    from evaluation.statistics.scores import Score

SHOWN = 20
COLUMNS = (
    "suite",
    "stored",
    "again",
    "difference",
    "taken back",
    "added",
    "all disputed wrong",
    "all disputed right",
)


@dataclass(frozen=True)
class Command:
    """Grade the stored answers of an evaluation again, without a model.

    Every answer that one grader calls correct and the other does not is listed with both verdicts, and each
    suite's score is given as stored, as graded again, and at the bounds: if every disputed answer were wrong,
    and if every one were correct. The answers are also written as an evaluation of their own, which
    evaluation.compare reads.
    """

    evaluation: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """Folder with eval.json and samples.jsonl."""
    grader: Literal["independent", "algebra"] = "independent"
    """A second grader that shares no comparison with the first, or the usual one as it is today."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder for eval.json, samples.jsonl, disagreements.jsonl and regrade.md; by default
    DIR/regraded-GRADER."""
    shown: Annotated[int, tyro.conf.arg(metavar="N")] = SHOWN
    """Disagreements in the report; disagreements.jsonl has all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(
        Command, prog="python -m evaluation.regrade", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return answer(lambda: _carry_out(command))


def _carry_out(command: Command) -> str:
    from evaluation.grading import Grader, IndependentGrader, grader_version
    from evaluation.records import read_evaluation
    from evaluation.regrading import read_disagreements, regrade

    evaluation = read_evaluation(command.evaluation)
    output = command.output or command.evaluation / f"regraded-{command.grader}"
    if output.resolve() == command.evaluation.resolve():
        raise ValueError(f"--output {output} is the evaluation itself; choose another folder")
    version = grader_version()
    version = f"independent grader of {version}" if command.grader == "independent" else version
    with IndependentGrader() if command.grader == "independent" else Grader() as grader:
        marks = regrade(evaluation, command.evaluation, grader, version, output)
    disagreements = list(read_disagreements(output))
    text = _report((evaluation.grader, version), marks, disagreements, command.shown)
    (output / "regrade.md").write_text(text, encoding="utf-8")
    return text


def _report(
    versions: tuple[str, str],
    marks: Mapping[str, SuiteMarks],
    disagreements: Sequence[Mapping[str, Any]],
    shown: int,
) -> str:
    from evaluation.markdown import escape_markdown, markdown_table

    rows: list[tuple[str, ...]] = [COLUMNS]
    for name, suite in marks.items():
        low, high = suite.bounds()
        score = (_score(suite.stored()), _score(suite.again()), _score(suite.difference(), signed=True))
        counts = (f"{suite.taken_back():,}", f"{suite.added():,}")
        rows.append((name, *score, *counts, f"{100 * low:.1f}", f"{100 * high:.1f}"))
    listed: list[tuple[str, ...]] = [("question", "sample", "golds", "stored", "again")]
    for each in disagreements[:shown]:
        verdicts = [f"{each[side]['outcome']} ({each[side]['extracted']})" for side in ("stored", "again")]
        question = f"{each['suite']}: {each['question']}"
        listed.append((question, str(each["sample"]), " or ".join(each["golds"]), *verdicts))
    parts = [
        "# Graded again",
        f"Stored grades are by {versions[0]}; graded again by {versions[1]}.",
        markdown_table(rows, COLUMNS[:1]),
        "avg@k in percent ± one standard error, clustered by question; the difference is paired by question. "
        "Taken back: answers that were correct and are not; added: the other way round. The last two columns "
        "are the score if every such answer were wrong, and if every one were right.",
        f"## Disagreements: {len(disagreements):,}"
        + (f", of which the first {shown}" if len(disagreements) > shown else ""),
        markdown_table(listed, listed[0]) if len(listed) > 1 else escape_markdown("None."),
    ]
    return "\n\n".join(parts) + "\n"


def _score(score: Score, *, signed: bool = False) -> str:
    mean = f"{100 * score.mean:+.1f}" if signed else f"{100 * score.mean:.1f}"
    error = "n/a" if math.isnan(score.standard_error) else f"{100 * score.standard_error:.1f}"
    return f"{mean} ± {error}"


if __name__ == "__main__":
    sys.exit(main())
