"""What `python -m studies.sweep` is told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from studies.study_argument import study_named

Words = tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]]


@dataclass(frozen=True)
class Command:
    """Seek the best values of a study's settings, arguments and parts, or go on seeking.

    Each trial trains one arm with values of its own. Its score is that of its last validation; trials that
    fall behind in validation are ended early. The same command goes on where it stopped.
    """

    study: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ""
    """Name of a sweep (sweep_gate_mix) or of a study, or path of a Python file that defines STUDY."""
    axis: Annotated[Words, tyro.conf.arg(metavar="KEY=SPACE ...")] = ()
    """What is varied, by the keys of --set: 'hpt.gate=float(0, 1)',
    'train.optimizer.learning_rate=float(1e-5, 1e-3, log)', 'train.questions_per_step=int(8, 32, step=8)',
    'hpt.reinforce.mask=choice(KeepAll(), ClipMask(0.2))';
    with ' if KEY=VALUE' behind it, only where a choice before it has that value."""
    arm: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Arm that is swept; the only trained one that the axes fit if left out."""
    trials: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """How many trials there are to be; may grow from one command to the next (30)."""
    seeds: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Train each trial with seeds 0 to N-1 (1)."""
    scale: Annotated[str | None, tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")] = None
    """Where; the study's own scale if left out."""
    set: Annotated[Words, tyro.conf.arg(metavar="KEY=VALUE ...")] = ()
    """Change what all trials have, as in studies.run; validation.every and validation.limit among it."""
    sampler: Annotated[Literal["tpe", "random", "grid"] | None, tyro.conf.arg(help_behavior_hint="")] = None
    """What proposes values (tpe). Grid and random propose the same however many workers there are."""
    sampler_seed: int = 0
    """Seed of what the sampler draws."""
    pruner: Annotated[Literal["median", "hyperband", "none"] | None, tyro.conf.arg(help_behavior_hint="")] = (
        None
    )
    """What ends trials early (median)."""
    workers: int = 1
    """Runs at once in this process."""
    storage: Annotated[str, tyro.conf.arg(metavar="URL", help_behavior_hint="")] = ""
    """Keep trials in a database, which the same command on other machines joins:
    postgresql://user:password@host/database, mysql://..., or env:NAME of a variable that holds it.
    A journal file in the results folder if left out."""
    heartbeat: int = 30
    """Seconds between signs of life in a database; when three are missed, others take the trial."""
    retry_failed: bool = False
    """Try failed trials again."""
    rerun_best: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """When all trials are done, run the best one on N fresh seeds, and report that beside its score."""
    name: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """Of the sweep and its folder; sweep_STUDY if left out."""
    results: Path = Path("results")
    """Folder for results; the sweep's own folder lies in it."""
    dry_run: bool = False
    """Show what would be varied, and what is there already."""
    from_records: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Make the tables and figures again from the records in this folder; nothing is trained."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The texts that `--axis` was given, in order."""
        return tuple(word for group in self.axis for word in group)

    @property
    def changes(self) -> tuple[str, ...]:
        """The texts that `--set` was given, in order."""
        return tuple(word for group in self.set for word in group)

    def makes(self) -> str:
        """Return the command line that makes the same tables, however the work is shared out."""
        return shlex.join(self._words())

    def again(self, storage: str) -> str:
        """Return the command line that says the same.

        Args:
            storage: What it is to say of the storage, without a password.
        """
        words = self._words()
        for flag in ("workers", "heartbeat", "results", "rerun_best"):
            if (value := getattr(self, flag)) != getattr(Command, flag):
                words += [f"--{flag.replace('_', '-')}", str(value)]
        return shlex.join([*words, *(["--storage", storage] if storage else [])])

    def _words(self) -> list[str]:
        words = ["python", "-m", "studies.sweep", self.study]
        words += [word for axis in self.axes for word in ("--axis", axis)]
        words += [word for change in self.changes for word in ("--set", change)]
        for flag in ("arm", "trials", "seeds", "scale", "sampler", "sampler_seed", "pruner", "name"):
            if (value := getattr(self, flag)) != getattr(Command, flag):
                words += [f"--{flag.replace('_', '-')}", str(value)]
        return words


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here.

    `--axis` and `--set` take all words that follow them, the study among them.
    """
    command = tyro.cli(
        Command, prog="python -m studies.sweep", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return study_named(command, "axis", "set")
