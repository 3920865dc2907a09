"""What `python -m studies.run` is told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from studies.study_argument import study_named


@dataclass(frozen=True)
class Command:
    """Run a study, or complete it: arms x seeds, then the table.

    Finished runs are never repeated, interrupted ones go on from their last checkpoint, failed ones are tried
    again.
    """

    study: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ""
    """Name of a study (see --list), or path of a Python file that defines STUDY."""
    scale: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME_OR_FILE")] = ()
    """Name of a scale (see --list), or path of a Python file that defines SCALE; the study's own (tiny) if
    left out. May be repeated: every arm runs at each scale."""
    seeds: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Run seeds 0 to N-1 instead of the study's own."""
    workers: int = 1
    """Runs at once, each in a process of its own."""
    dry_run: bool = False
    """Show what would be run, and what is there already."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], tyro.conf.arg(metavar="KEY=VALUE ...")
    ] = ()
    """Change settings (train.steps=10), an algorithm's arguments (grpo.clip_low=0.1),
    its parts ('hpt.reinforce.mask=ClipMask(0.2)', hpt.reinforce.rows.gate.threshold=0.25),
    or add a term ('hpt.kl=KlPenalty(0.01, Rollouts(), TokenMean())').
    A * matches any names: 'hpt.*.gate=...' sets the gate wherever it stands. May be repeated."""
    despite_audit: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FAULT ...", help_behavior_hint="")] = ()
    """Run though the gradient audit of the study's engine found these faults (dropped_micro_batches);
    the tables carry a warning."""
    results: Path = Path("results")
    """Folder for results; the study's own folder lies in it."""
    from_records: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Make the tables and figures again from the runs in this study folder; nothing is trained."""
    mirror: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME", help_behavior_hint="")
    ] = ()
    """Mirror metrics while runs go on: tensorboard or wandb; may be repeated. studies.mirror has more."""
    list: bool = False
    """Show studies, sweeps, scales, algorithms and parts."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The words that `--set` was given, in order."""
        return tuple(word for group in self.set for word in group)

    def again(self) -> str:
        """Return the command line that says the same."""
        words = ["python", "-m", "studies.run", self.study]
        for scale in self.scale:
            words += ["--scale", scale]
        if self.seeds is not None:
            words += ["--seeds", str(self.seeds)]
        if self.workers != 1:
            words += ["--workers", str(self.workers)]
        for change in self.changes:
            words += ["--set", change]
        if self.despite_audit:
            words += ["--despite-audit", *self.despite_audit]
        for name in self.mirror:
            words += ["--mirror", name]
        if self.results != Path("results"):
            words += ["--results", str(self.results)]
        return shlex.join(words)


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here.

    `--set` takes all words that follow it: in `--set train.steps=10 ablation_gate` the study among them.
    """
    command = tyro.cli(
        Command, prog="python -m studies.run", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return study_named(command, "set")
