"""Mirrors in Weights & Biases."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studies.catalog import UsageError
from studies.mirroring.points import Point
from studies.mirroring.sinks import Place, Sink, needed


@dataclass(frozen=True)
class Account:
    """Where runs are shown in Weights & Biases.

    Args:
        project: Name of the project; None: the study's.
        entity: User or team; None: the account's own.
        group: Of the study's runs; None: the study's name.
        offline: Write files alone, for `wandb sync`; needs no account.
    """

    project: str | None = None
    entity: str | None = None
    group: str | None = None
    offline: bool = False


class WeightsAndBiases:
    """A run of Weights & Biases for each run."""

    forgets = False

    def __init__(self, account: Account) -> None:
        needed("wandb", "wandb")
        self._account = account
        self._wandb = importlib.import_module("wandb")

    def holds(self, place: Place) -> bool:
        """Return whether this machine has mirrored the run before."""
        return any(place.folder.glob(f"wandb/*run-*-{place.id}"))

    def open(self, place: Place, purge_step: int | None) -> Sink:
        """Go on with the run of this id, or begin it; steps that are taken back have another id."""
        assert purge_step is None
        place.folder.mkdir(parents=True, exist_ok=True)
        account, study = self._account, str(place.config["study"])
        try:
            run = self._wandb.init(
                project=account.project or study,
                entity=account.entity,
                group=account.group or study,
                dir=str(place.folder),
                id=place.id,
                name=place.run.name,
                config=json.loads(json.dumps(place.config)),
                mode="offline" if account.offline else None,
                resume=None if account.offline else "allow",
                reinit="create_new",
                settings=self._wandb.Settings(
                    silent=True,
                    console="off",
                    disable_code=True,
                    disable_git=True,
                    x_disable_meta=True,
                    x_disable_stats=True,
                ),
            )
        except Exception as error:
            raise UsageError(
                f"wandb: {error}; log in with `wandb login`, or give --offline and send the files later with "
                f"`wandb sync {place.folder}/wandb/offline-run-*`"
            ) from error
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        return _LiveRun(run)


class _LiveRun:
    def __init__(self, run: Any) -> None:  # noqa: ANN401
        self._run = run

    def write(self, points: Iterable[Point]) -> None:
        for point in points:
            self._run.log({**point.values, "step": point.step})

    def close(self) -> None:
        self._run.finish()
