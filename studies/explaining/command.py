"""What `python -m studies.explain` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Command:
    """Say of an algorithm what can be said before any run.

    Its parts with their equations, the coefficient that they make, how it departs from its paper. And what is
    computed under the training settings of a scale: which other algorithms it equals, which settings change
    nothing, whether it is unbiased, whether its weights are bounded, which groups give a gradient.
    """

    algorithm: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ""
    """Name of an algorithm (`studies.run --list` shows all), or path/to/file.py:function."""
    scale: str = "tiny"
    """Name of a scale, or path of a Python file that defines SCALE."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], tyro.conf.arg(metavar="KEY=VALUE ...")
    ] = ()
    """Change settings (train.updates_per_step=2), the algorithm's arguments (grpo.clip_low=0.1),
    its parts ('grpo.reinforce.mask=ClipMask(0.1)', grpo.reinforce.mask.low=0.1),
    or add a term ('grpo.kl=KlPenalty(0.01, Rollouts(), TokenMean())'); may be repeated."""
    latex: bool = False
    """Print the rows of a paper's table instead: one a term;
    below them gates, what is asked of rollouts, and side steps."""
    docs: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Write the pages of all registered algorithms into this folder instead (docs/algorithms)."""
    readme: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Write the table of all registered algorithms between the markers of this file instead (README.md)."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The words that `--set` was given, in order."""
        return tuple(word for group in self.set for word in group)


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here."""
    return tyro.cli(
        Command, prog="python -m studies.explain", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
