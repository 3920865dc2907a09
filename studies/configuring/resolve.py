"""From a study, scales and what the command line changes to runs with every setting spelled out.

Precedence, the last wins. Settings: the scale's, the study's, the arm's, `--set`. An algorithm's arguments:
the function's defaults, the scale's, `--set`, the arm's. Its parts: those the function composes, then the
arm's and `--set`. Refused, since it would undo what the study compares: `--set` of an argument or a part that
any arm gives itself, of a part that arms' own arguments decide, and of a setting that arms give different
values.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.config import EvalConfig
from studies.catalog import PROJECT, UsageError
from studies.configuring.changes import Changes
from studies.configuring.composing import record_algorithm, refuse_decided
from studies.configuring.expressions import files_in
from studies.configuring.inputs import check_model, check_tokenizer, check_train_data
from studies.configuring.settings import apply_settings
from studies.configuring.task_files import check_suite_names
from studies.directories import run_directory_name
from studies.record import RunConfig, to_json
from studies.scales import Scale
from studies.study import Arm, Study

LONGEST_FOLDER = 200
"""Characters of a run folder's name; file systems take 255 bytes, and some files are named after it."""


@dataclass(frozen=True)
class Resolved:
    """A study ready to run.

    Args:
        study: What is compared.
        scales: Names of the scales.
        seeds: Seeds of every arm.
        runs: One for each arm and seed; all arms of one seed before the next seed, so that an unfinished
            study compares as many arms as it can.
        sources: SHA-256 of each file of a user's own that an algorithm or a part comes from.
    """

    study: Study
    scales: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: tuple[RunConfig, ...]
    sources: Mapping[str, str]

    def description(self) -> dict[str, Any]:
        """Return what study.json holds."""
        configs = {run.arm: to_json(run) for run in self.runs}
        for config in configs.values():
            for key in ("study", "arm", "seed"):
                del config[key]
        arms = [arm.name for arm in self.study.arms]
        return {
            **self.study.presentation(),
            "arms": arms,
            "seeds": list(self.seeds),
            "runs": {arm: configs[arm] for arm in arms},
            "sources": dict(self.sources),
        }


def resolve(
    study: Study,
    scales: Sequence[Scale],
    seeds: Sequence[int],
    changes: Changes | None = None,
) -> Resolved:
    """Return the runs of a study.

    Args:
        study: What is compared.
        scales: Where; at several, every arm runs at each of them.
        seeds: Of every arm.
        changes: What the command line changes.

    Raises:
        UsageError: A name that is unknown, with the nearest ones; or a value that is refused, with the limit.
    """
    changes = changes or Changes()
    whole = study.at(scales)
    _check_folders(whole)
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UsageError(f"seeds={list(seeds)}: must be one or more distinct numbers from 0")
    placed = [(scale, arm) for scale in scales for arm in study.arms]
    runs = [
        dataclasses.replace(_run_of_arm(study, arm, scale, changes), arm=named.name)
        for (scale, arm), named in zip(placed, whole.arms, strict=True)
    ]
    for scale in scales:
        refuse_decided(study, scale, changes)
    asked = [suite for run in runs for protocol in _protocols(run) for suite in protocol.suites]
    check_suite_names(list(dict.fromkeys(asked)))
    seeded = tuple(dataclasses.replace(run, seed=seed) for seed in seeds for run in runs)
    names = tuple(scale.name for scale in scales)
    return Resolved(whole, names, tuple(seeds), seeded, _sources(runs))


def check_inputs(runs: Sequence[RunConfig]) -> None:
    """Check the data that runs read, before any of them starts.

    Raises:
        UsageError: A file is missing or holds a bad row; the message names it.
    """
    from evaluation.suites import suites_of

    try:
        for run in {_read_by(run): run for run in runs}.values():
            check_model("policy", run.policy, run.policy_config)
            check_tokenizer(run.policy, run.train.prompt_template)
            if run.train.critic.model is not None and run.algorithm is not None:
                check_model("train.critic.model", run.train.critic.model, {})
        asked = [(protocol, run.suite_data) for run in runs for protocol in _protocols(run)]
        for protocol, folder in {repr(each): each for each in asked}.values():
            suites_of(protocol, PROJECT / folder if folder else None)
        for source in {run.train_data for run in runs if run.algorithm is not None}:
            check_train_data(source)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _protocols(run: RunConfig) -> list[EvalConfig]:
    """Return the protocols that a run's policy is evaluated by."""
    validated = run.validation.every is not None and run.algorithm is not None
    return [run.evaluation, *([run.validation.protocol(run.evaluation)] if validated else [])]


def _read_by(run: RunConfig) -> tuple[str, ...]:
    """Return what a run reads of models: runs that are equal in it are checked once."""
    return (
        run.policy,
        str(run.policy_config),
        str(run.train.prompt_template),
        str(run.train.critic.model if run.algorithm is not None else None),
    )


def _check_folders(study: Study) -> None:
    arms: dict[str, str] = {}
    for arm in study.arms:
        other = arms.setdefault(run_directory_name(arm.name, 0), arm.name)
        if other != arm.name:
            raise UsageError(f"arms {other!r} and {arm.name!r} would share a folder; rename one of them")
        if len(run_directory_name(arm.name, 0)) > LONGEST_FOLDER:
            raise UsageError(f"arm {arm.name!r}: too long for a folder's name; call it by less than it is")
    if not re.fullmatch(r"[\w.=-]+", study.name) or study.name.startswith("."):
        raise UsageError(f"study name {study.name!r} cannot be a folder's; use letters, digits, _ . = -")


def _run_of_arm(study: Study, arm: Arm, scale: Scale, changes: Changes) -> RunConfig:
    """Return an arm's run, with seed 0."""
    where = f"arm {arm.name!r}: " if arm.settings or study.settings else ""
    try:
        own = {**study.settings, **study.scale_settings.get(scale.name, {}), **arm.settings}
        scale = apply_settings(scale, {**own, **changes.settings})
        where = f"arm {arm.name!r}: "
        algorithm = record_algorithm(arm, scale, changes) if arm.algorithm is not None else None
    except UsageError as error:
        raise UsageError(f"{where}{error}") from error
    if algorithm is None and (arm.arguments or arm.parts):
        raise UsageError(
            f"{where}has arguments or parts {sorted({*arm.arguments, *arm.parts})} but no algorithm"
        )
    return RunConfig(
        study=study.name,
        arm=arm.name,
        seed=0,
        scale=scale.name,
        policy=scale.policy,
        train_data=scale.train_data,
        algorithm=algorithm,
        train=scale.train,
        evaluation=scale.evaluation,
        threads=scale.threads,
        suite_data=scale.suite_data,
        policy_config=dict(scale.policy_config),
        ranks=scale.ranks,
        validation=scale.validation,
    )


def _sources(runs: Sequence[RunConfig]) -> dict[str, str]:
    records = [run.algorithm for run in runs if run.algorithm is not None]
    files = {record.function.rpartition(":")[0] for record in records} - {""}
    files |= {file for record in records for text in record.parts.values() for file in files_in(text)}
    return {name: hashlib.sha256((PROJECT / Path(name)).read_bytes()).hexdigest() for name in sorted(files)}
