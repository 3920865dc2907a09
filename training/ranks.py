"""The processes of one run: which of them this is, and how they tell each other what they have."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
import torch.distributed as dist

LAUNCHER_SECONDS = 5.0
"""Launchers end the other ranks within this time of one's end."""

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Ranks:
    """Where this process stands among those of a run.

    All methods but `outlast_others` are collective: every rank calls them, in the same order.

    Args:
        rank: Number of this process, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes the run's records."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return every rank's value, in the order of ranks."""
        if self.size == 1:
            return [value]
        found: list[T | None] = [None] * self.size
        dist.all_gather_object(found, value, group=_objects())
        return found  # type: ignore[return-value]

    def from_first(self, value: T) -> T:
        """Return rank 0's value; the others' is ignored."""
        if self.size == 1:
            return value
        found = [value]
        dist.broadcast_object_list(found, src=0, group=_objects())
        return found[0]

    def wait(self) -> None:
        """Return once every rank has come here."""
        self.gather(None)

    def outlast_others(self) -> None:
        """Return once it is certain that no other rank is gone: else the launcher ends this one meanwhile.

        For a rank that has caught an error: what it lost may have been the connection to a rank that was
        killed, and that one's end is the cause.
        """
        if self.size > 1:
            time.sleep(LAUNCHER_SECONDS)

    def spread(
        self, items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """Return the result of each item, in order, each rank having worked on its share of them.

        Raises:
            ValueError: `work` returned more or fewer results than it was given items.
        """
        mine = items[self.rank :: self.size]
        results = list(work(mine)) if mine else []
        if len(results) != len(mine):
            raise ValueError(
                f"{work} returned {len(results)} results for {len(mine)} items; a longer or shorter list "
                "does not say which result is whose"
            )
        shares = self.gather(results)
        return [shares[index % self.size][index // self.size] for index in range(len(items))]


def join_ranks() -> Ranks:
    """Join the processes that a launcher started with this one, once; without a launcher it is alone.

    torchrun, `deepspeed` and their like set RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.

    Raises:
        RuntimeError: The launcher set some of them only.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    missing = [name for name in _LAUNCHED if name not in os.environ]
    if size > 1 and missing:
        raise RuntimeError(
            f"WORLD_SIZE={size} but {', '.join(missing)} is not set: start the ranks with torchrun, "
            "deepspeed or another launcher that sets them, or unset WORLD_SIZE for a single one"
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        if size > 1:
            dist.init_process_group(backend)
        else:
            store = dist.HashStore()  # type: ignore[attr-defined]
            dist.init_process_group(backend, store=store, rank=0, world_size=1)
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    ranks.wait()
    return ranks


_LAUNCHED = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@cache
def _objects() -> dist.ProcessGroup:
    """Return the group that objects travel in: through CPU memory, and waited for as long as it takes.

    While rank 0 grades or waits for its next run, the others wait for it; that a rank is gone is noticed by
    its closed connection, not by a time limit.
    """
    group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=timedelta(days=30))
    return group
