"""From a study and axes to runs: the one arm that is swept, with what a trial tries in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.catalog import UsageError
from studies.configuring.changes import GROUPS, algorithm_label, read_changes
from studies.configuring.parts import overlap
from studies.configuring.resolve import Resolved, resolve
from studies.configuring.settings import setting_types
from studies.record import RunConfig, to_json
from studies.scales import Scale
from studies.study import Arm, Study
from studies.sweeping.axes import Axis, Value, as_text, first_values, probes
from studies.sweeping.validating import validation_of


@dataclass(frozen=True)
class Space:
    """What is swept.

    Args:
        study: Holds the one arm.
        scale: Where it runs.
        axes: What is varied.
        changes: Texts of `--set`, the same for all trials.
    """

    study: Study
    scale: Scale
    axes: tuple[Axis, ...]
    changes: tuple[str, ...] = ()

    def changes_of(self, values: Mapping[str, Value]) -> list[str]:
        """Return the texts of `--set` that make a trial."""
        return [*self.changes, *(f"{key}={as_text(value)}" for key, value in values.items())]

    def resolve(self, values: Mapping[str, Value], seeds: Sequence[int], name: str | None = None) -> Resolved:
        """Return the runs of a trial, without validations.

        Args:
            values: What it tries.
            seeds: Of training.
            name: That the study is to have.

        Raises:
            UsageError: The values are refused.
        """
        study = dataclasses.replace(self.study, name=name or self.study.name)
        return resolve(study, [self.scale], seeds, read_changes(study, self.changes_of(values)))

    def runs(self, values: Mapping[str, Value], name: str, arm: str, seeds: Sequence[int]) -> list[RunConfig]:
        """Return the runs of a trial, which validate as they train.

        Raises:
            UsageError: The values are refused.
        """
        return [
            dataclasses.replace(run, study=name, arm=arm, validation=validation_of(run))
            for run in self.resolve(values, seeds).runs
        ]

    def check(self) -> None:
        """Try each end and choice of each axis.

        Raises:
            UsageError: An axis names nothing, or has values that are refused there.
        """
        for axis, values in probes(self.axes):
            try:
                for run in self.resolve(values, [0]).runs:
                    validation_of(run)
            except UsageError as error:
                raise UsageError(f"--axis {axis}: {str(error).replace('--set ', '')}") from None


def make_space(
    study: Study, arm: str | None, scale: Scale, axes: Sequence[Axis], changes: Sequence[str]
) -> Space:
    """Return the space of a study's arm.

    Args:
        study: Whose.
        arm: Its name; None: the only trained arm that has what the axes name.
        scale: Where.
        axes: What is varied.
        changes: Texts of `--set`.

    Raises:
        UsageError: There is no such arm, or more than one, or what `Space.check` says.
    """
    if not axes:
        raise UsageError(
            "say what is to be varied: --axis 'train.optimizer.learning_rate=float(1e-5, 1e-3, log)'"
        )
    found = _arm(study, arm, axes)
    plain = dataclasses.replace(study, arms=(found,), baseline=None)
    resolve(plain, [scale], [0], read_changes(plain, changes))  # so that --set is not taken for an axis
    settings = {key: value for key, value in study.settings.items() if key not in _keys(axes)}
    alone = dataclasses.replace(
        study, arms=(_freed(found, axes),), baseline=None, settings=settings, runs_of=None, published=None
    )
    space = Space(alone, scale, tuple(axes), tuple(changes))
    space.check()
    return space


def _keys(axes: Sequence[Axis]) -> set[str]:
    return {axis.key for axis in axes}


def _arm(study: Study, name: str | None, axes: Sequence[Axis]) -> Arm:
    trained = [arm for arm in study.arms if arm.algorithm is not None]
    labels = {algorithm_label(arm) for arm in trained}
    for axis in axes:
        if not {axis.key.partition(".")[0]} & {*labels, *GROUPS} and axis.key not in setting_types():
            _refuse_key(study, axis)
    heads = {axis.key.partition(".")[0] for axis in axes} & labels
    fit = [arm for arm in trained if {algorithm_label(arm)} >= heads]
    named = [arm for arm in fit if name in (None, arm.name)]
    if len(named) == 1:
        return named[0]
    if len(heads) > 1:
        raise UsageError(f"axes of {' and '.join(sorted(heads))}: one arm is swept, and it has one algorithm")
    arms = ", ".join(arm.name for arm in fit) or "none"
    asked = f"arm {name!r} is none of those" if name else "give one of them with --arm"
    raise UsageError(f"study {study.name!r} has {len(fit)} trained arms that the axes fit ({arms}); {asked}")


def _refuse_key(study: Study, axis: Axis) -> None:
    try:
        read_changes(study, [f"{axis.key}={as_text(first_values([axis])[axis.key])}"])
    except UsageError as error:
        raise UsageError(f"--axis {axis}: {str(error).replace('--set ', '')}") from None


def _freed(arm: Arm, axes: Sequence[Axis]) -> Arm:
    """Return the arm without its own values of what is varied."""
    keys, label = _keys(axes), algorithm_label(arm)
    own = {key.partition(".")[2] for key in keys if key.partition(".")[0] == label}
    return dataclasses.replace(
        arm,
        baseline=None,
        arguments={key: value for key, value in arm.arguments.items() if key not in own},
        parts={key: value for key, value in arm.parts.items() if not any(overlap(key, path) for path in own)},
        settings={key: value for key, value in arm.settings.items() if key not in keys},
    )


def description(space: Space, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what tells a sweep from others: another one may not go on with its trials."""
    first = space.resolve(first_values(space.axes), [0])
    run = to_json(dataclasses.replace(first.runs[0], validation=validation_of(first.runs[0])))
    kept = {key: value for key, value in run.items() if key not in ("study", "arm", "seed")}
    return {
        "study": space.study.name,
        "arm": space.study.arms[0].name,
        "scale": space.scale.name,
        "axes": [str(axis) for axis in space.axes],
        **more,
        "sources": dict(first.sources),
        "run": kept,
    }
