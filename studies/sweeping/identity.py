"""Whether a storage's trials are those of a sweep as it is configured now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from studies.catalog import UsageError
from studies.sweeping.storage import Store

DESCRIPTION = "sweep"
_ASKED = ("study", "arm", "scale", "axes", "seeds", "sampler", "sampler_seed", "pruner")


def claim(store: Store, wanted: Mapping[str, Any], place: str) -> None:
    """Say what the storage's trials are of, or refuse them.

    Raises:
        UsageError: They are another sweep's; it lists each difference.
    """
    wanted = json.loads(json.dumps(wanted))
    held = store.study.user_attrs.get(DESCRIPTION)
    if held is None:
        store.study.set_user_attr(DESCRIPTION, wanted)
        return
    differing = list(_differences(held, wanted))
    if differing:
        lines = "\n".join(f"  {line}" for line in differing)
        raise UsageError(
            f"{place} holds trials of another sweep:\n{lines}\n"
            "Give --name NAME for one of its own, or go on with what it was."
        )


def _differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    asked = [key for key in _ASKED if held.get(key) != wanted.get(key)]
    for key in asked:
        if key == "axes":
            old, new = set(held.get(key, ())), set(wanted[key])
            yield from (f"axis {axis}: there, not now" for axis in sorted(old - new))
            yield from (f"axis {axis}: now, not there" for axis in sorted(new - old))
            if old == new:
                yield "axes: in another order"
        else:
            yield f"{key}: {json.dumps(held.get(key))} there, {json.dumps(wanted.get(key))} now"
    if not asked:
        before, now = dict(_flat(held)), dict(_flat(wanted))
        for key in dict.fromkeys([*before, *now]):
            if before.get(key) != now.get(key):
                yield f"{key}: {json.dumps(before.get(key))} there, {json.dumps(now.get(key))} now"


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        yield prefix.lstrip("."), value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{prefix}.{key}")
