"""The configurations that the whole audit goes through."""

from __future__ import annotations

import itertools

from training.config import EngineConfig

RANKS = (1, 2)
CLIP = 1.0
"""The audit gives its steps norms on both sides of it."""


def whole_matrix() -> list[EngineConfig]:
    """Return ZeRO stages × offload × precision × clip, as far as the engine allows them."""
    found = []
    for stage, offload, precision, clip in itertools.product(
        (0, 1, 2, 3), (False, True), ("fp32", "bf16"), (None, CLIP)
    ):
        # Offload is ZeRO's; at stage 0 bf16 has no fp32 weights, so that training refuses it.
        if stage or not (offload or precision == "bf16"):
            found.append(
                EngineConfig(
                    zero_stage=stage,  # type: ignore[arg-type]
                    offload=offload,
                    precision=precision,  # type: ignore[arg-type]
                    gradient_clip=clip,
                )
            )
    return found
