"""A sweep as a command line has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.catalog import UsageError, find_scale
from studies.configuring.resolve import check_inputs
from studies.record import RunConfig
from studies.running.launching import launched
from studies.sweeping.axes import first_values
from studies.sweeping.axis_texts import read_axes
from studies.sweeping.command import Command
from studies.sweeping.export import FILE, Asked, read_sweep
from studies.sweeping.sampling import check_size
from studies.sweeping.space import Space, description, make_space
from studies.sweeping.sweep import Sweep, find_sweep


@dataclass(frozen=True)
class Session:
    """A sweep as a command line has it.

    Args:
        command: The command line.
        space: What is swept.
        sweep: How.
        asked: By which `studies.run` finds study and scale.
    """

    command: Command
    space: Space
    sweep: Sweep
    asked: Asked

    @property
    def name(self) -> str:
        """Of the sweep and its folder."""
        return self.command.name or f"sweep_{self.space.study.name}"

    @property
    def folder(self) -> Path:
        """For its files."""
        return self.command.results / self.name

    @property
    def seeds(self) -> range:
        """Of training, of each trial."""
        return range(self.sweep.seeds)

    @property
    def first_run(self) -> RunConfig:
        """The run of the axes' first values."""
        return self.space.runs(first_values(self.space.axes), self.name, "first", [0])[0]

    def description(self) -> dict[str, object]:
        """Return what tells the sweep from others."""
        return description(
            self.space,
            seeds=self.sweep.seeds,
            sampler=self.sweep.sampler,
            sampler_seed=self.command.sampler_seed,
            pruner=self.sweep.pruner,
        )

    def plan(self) -> str:
        """Return what would be done, and what is there already."""
        validation, steps = self.first_run.validation, self.first_run.train.steps
        states = Counter(trial.state for trial in read_sweep(self.folder).trials) if self._is_there() else {}
        there = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"
        return "\n".join(
            [
                f"{self.name}: arm {self.space.study.arms[0].name}, scale {self.space.scale.name}, results "
                f"in {self.folder}",
                *[f"  {axis}" for axis in self.space.axes],
                f"{self.sweep.trials} trials ({there}) by {self.sweep.sampler}, seeds {list(self.seeds)}, "
                f"pruned by {self.sweep.pruner}",
                f"{steps} steps, validated every {validation.every} on the first {validation.limit} "
                f"questions of {', '.join(validation.suites)}",
            ]
        )

    def _is_there(self) -> bool:
        return (self.folder / FILE).exists()

    def check(self, check: Callable[[Sequence[RunConfig]], None] | None) -> None:
        """Check what runs read, and that the folder is not another study's.

        Raises:
            UsageError: Something is missing or in the way.
        """
        if (self.folder / "study.json").exists() and not self._is_there():
            raise UsageError(f"{self.folder} holds runs of a study; give --name NAME for a folder of its own")
        (check or check_inputs)([self.first_run])


def read_session(command: Command) -> Session:
    """Return the sweep of a command line.

    Raises:
        UsageError: A name is unknown, or a value refused.
    """
    if launched():
        raise UsageError("sweeps start their own processes; start them without a launcher")
    for name in ("workers", "heartbeat", "seeds", "rerun_best"):
        value = getattr(command, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}={value} must be at least 1")
    found = find_sweep(command.study)
    own = found.sweep
    sweep = Sweep(
        command.axes or own.axes,
        own.trials if command.trials is None else command.trials,
        own.seeds if command.seeds is None else command.seeds,
        command.sampler or own.sampler,
        command.pruner or own.pruner,
        (*own.changes, *command.changes),
    )
    axes = read_axes(sweep.axes)
    scale = command.scale or found.study.scales[0]
    space = make_space(found.study, command.arm, find_scale(scale), axes, sweep.changes)
    check_size(axes, sweep.sampler, sweep.trials)
    return Session(command, space, sweep, Asked(found.name, scale))
