"""Random streams that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2⁶³) that is a fixed function of `parts`.

    Naming every draw (run's seed, purpose, step) makes a resumed run draw what an undisturbed one would,
    without storing a generator's state.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
