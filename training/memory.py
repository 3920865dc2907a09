"""Memory that is free only once somebody says so."""

from __future__ import annotations

import gc

import torch


def free_memory() -> None:
    """Free what nothing refers to any more, on the GPU too."""
    gc.unfreeze()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
