"""What a command line of comparison says."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Command:
    """Compare evaluations question by question, from their records alone.

    Reads eval.json and samples.jsonl of each. Writes comparison.md, comparison.csv and the figure forest.png
    and forest.pdf, and exclusive_solves.csv where questions have levels. What differs and must not is
    refused.
    """

    evaluations: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="[NAME=]DIR[,DIR...] ...", help_behavior_hint=""),
        tyro.conf.Positional,
    ]
    """Folders written by evaluation.run, or run directories of a study; the first is the baseline. Several
    seeds of a method are NAME=DIR,DIR,... or the same NAME= again; each seed is paired with the same one of
    the baseline."""
    metric: Annotated[str, tyro.conf.arg(metavar="avg|pass@K|maj@K")] = "avg"
    """Score of a question: avg@k over all its answers, pass@K, or maj@K, the majority vote."""
    margin: Annotated[float | None, tyro.conf.arg(metavar="POINTS", help_behavior_hint="")] = None
    """Also test whether differences are within this many percent points; choose it before you look."""
    despite_protocol: bool = False
    """Compare under different temperature, top_p, length of answers, limit or prompts; the table says so."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder for tables and figure; by default results/comparisons/OTHERS-vs-BASELINE."""

    def again(self) -> str:
        """Return the command line that says the same, wherever its results go."""
        words = ["python", "-m", "evaluation.compare", *self.evaluations]
        if self.metric != "avg":
            words += ["--metric", self.metric]
        if self.margin is not None:
            words += ["--margin", f"{self.margin:g}"]
        return shlex.join([*words, *(["--despite-protocol"] if self.despite_protocol else [])])
