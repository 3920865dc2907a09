"""What a command line asks to audit: configurations, ranks and planted faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from studies.auditing.matrix import whole_matrix
from studies.catalog import UsageError, find_scale, known
from studies.configuring.settings import parse_value, setting_types
from studies.running.launching import visible_devices
from training.config import EngineConfig

_PREFIX = "train.engine."


def engines_of(scale: str | None, changes: Sequence[str]) -> list[EngineConfig]:
    """Return the configurations to audit: all of them, or the one that is asked for.

    Args:
        scale: Name of the scale whose engine it is; None: the default one.
        changes: Fields of it as `key=value`.

    Raises:
        UsageError: There is no such scale or field, or a value is refused.
    """
    if scale is None and not changes:
        return whole_matrix()
    engine = EngineConfig() if scale is None else find_scale(scale).train.engine
    types = setting_types()
    kinds = {name.removeprefix(_PREFIX): kind for name, kind in types.items() if name.startswith(_PREFIX)}
    values = {}
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise UsageError(f"--engine {change!r} is not KEY=VALUE, such as zero_stage=2")
        values[key] = parse_value(f"--engine {key}", value, kinds[known("field of the engine", key, kinds)])
    try:
        return [dataclasses.replace(engine, **values)]
    except ValueError as error:
        raise UsageError(f"--engine {' '.join(changes)}: {error}") from error


def ranks_of(scale: str | None, ranks: int | None, usual: Sequence[int]) -> list[int]:
    """Return the numbers of ranks to audit on.

    Args:
        scale: Name of the scale whose number it is, unless one is given.
        ranks: The number that is asked for.
        usual: Those of the whole audit; without as many GPUs, on a machine that has some, only what fits.

    Raises:
        UsageError: There are GPUs, and not as many as ranks.
    """
    devices = len(visible_devices())
    if ranks is None and scale is None:
        return [count for count in usual if not devices or count <= devices]
    if ranks is None:
        assert scale is not None
        ranks = find_scale(scale).ranks
    if ranks < 1:
        raise UsageError(f"--ranks {ranks} must be at least 1")
    if devices and ranks > devices:
        raise UsageError(
            f"{ranks} ranks need as many GPUs, and there are {devices}; audit fewer with --ranks, or on the "
            "CPU with CUDA_VISIBLE_DEVICES= before the command"
        )
    return [ranks]


def check_plant(name: str, engines: Sequence[EngineConfig]) -> list[EngineConfig]:
    """Return the configurations that a fault can be planted in.

    Raises:
        UsageError: There is no such fault, or none of them is one.
    """
    from studies.auditing.planted import PLANTS

    stages = PLANTS[known("fault", name, PLANTS)].stages
    found = [engine for engine in engines if engine.zero_stage in stages]
    if not found:
        raise UsageError(f"--plant {name} is for ZeRO stages {', '.join(map(str, stages))} only")
    return found
