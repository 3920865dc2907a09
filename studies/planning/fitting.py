"""Whether a run fits its GPUs, and the smallest change with which it would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from studies.planning.architecture import Architecture
from studies.planning.memory import GIB, Bill, Needs, bill, longest, with_engine
from training.config import TrainConfig

MOST_GPUS = 1024


@dataclass(frozen=True)
class Room:
    """What a run must fit into.

    Args:
        model: The policy's sizes.
        needs: Models beside the policy.
        gpu_bytes: Memory of a GPU.
    """

    model: Architecture
    needs: Needs
    gpu_bytes: float

    def bill(self, train: TrainConfig, ranks: int) -> Bill:
        """Return the needs of a process."""
        return bill(self.model, train, ranks, self.needs, self.gpu_bytes)

    def fits(self, train: TrainConfig, ranks: int) -> bool:
        """Return whether a process finds room."""
        needs = self.bill(train, ranks)
        return needs.total <= self.gpu_bytes and needs.least_engine <= (needs.engine or 0.0)


def refusal(room: Room, train: TrainConfig, ranks: int) -> str | None:
    """Return why a run does not fit and what to change; None where it fits."""
    if room.fits(train, ranks):
        return None
    needs = room.bill(train, ranks)
    engine = needs.engine or 0.0
    if needs.least_engine > engine:
        share = train.rollout.vllm.gpu_memory_share
        return (
            f"vLLM's share is too small: rollout.vllm.gpu_memory_share={share} of {gib(room.gpu_bytes)} is "
            f"{gib(engine)}, and its weights with one longest response need {gib(needs.least_engine)}; raise "
            "the share"
        )
    short = (
        f"{gib(needs.total)} a GPU are needed (estimated) and {gib(room.gpu_bytes)} are there: "
        f"{gib(needs.total - room.gpu_bytes)} are missing."
    )
    found = smallest_change(room, train, ranks)
    if found is None:
        return (
            f"{short} Nothing that was tried fits: ZeRO stage 3, offload, gradient checkpointing, "
            f"micro-batches of one row, {MOST_GPUS} GPUs. Lower rollout.max_response_tokens or "
            "rollout.vllm.gpu_memory_share, or take larger GPUs"
        )
    return f"{short} The smallest change that fits: {found}"


def smallest_change(room: Room, train: TrainConfig, ranks: int) -> str | None:
    """Return the change of fewest settings with which a run fits, as `--set` and `--gpus` take it.

    Of equally few, the first of: a higher ZeRO stage, offload, gradient checkpointing, smaller micro-batches
    (the largest that fits), more GPUs (the fewest).
    """
    tries = sorted(_tries(train, ranks), key=lambda each: len(each[0]) + (each[1] != ranks))
    for changes, gpus in tries:
        try:
            changed = with_engine(train, **changes)
        except ValueError:  # the engine refuses offload at stage 0
            continue
        if room.fits(changed, gpus):
            texts = [f"--set train.engine.{key}={value}" for key, value in changes.items()]
            return " ".join([*texts, f"--gpus {gpus}"] if gpus != ranks else texts)
    return None


def _tries(train: TrainConfig, ranks: int) -> Iterator[tuple[dict[str, object], int]]:
    """Yield changes of the engine with numbers of GPUs; of equally many, in the order of preference."""
    engine = train.engine
    options = itertools.product(
        _doubled(ranks),
        _smaller(engine.micro_batch_tokens, longest(train)),
        sorted({engine.gradient_checkpointing, True}),
        sorted({engine.offload, True}),
        range(engine.zero_stage, 4),
    )
    names = ("micro_batch_tokens", "gradient_checkpointing", "offload", "zero_stage")
    for gpus, *values in options:
        wanted = dict(zip(names, values, strict=True))
        yield {key: value for key, value in wanted.items() if value != getattr(engine, key)}, gpus


def _doubled(ranks: int) -> list[int]:
    return [ranks * 2**power for power in range(MOST_GPUS.bit_length()) if ranks * 2**power <= MOST_GPUS]


def _smaller(tokens: int, row: int) -> list[int]:
    """Return the budget, its halves as long as a row fits, and the row."""
    halves = [tokens // 2**power for power in range(tokens.bit_length())]
    return [tokens, *(half for half in halves[1:] if half > row), *([row] if row < tokens else [])]


def gib(size: float) -> str:
    """Return a number of bytes in words."""
    return f"{size / GIB:.1f} GiB"
