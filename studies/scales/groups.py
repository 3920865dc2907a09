"""Scales that studies set up alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TINY = ("tiny", "tiny-llama")
PAPER = ("qwen2.5-math-1.5b", "qwen2.5-math-7b", "llama-3.1-8b")


def by_scale(*, tiny: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the settings of a study at each scale, those of the embedded ones and of the paper's alike."""
    return {name: settings for names, settings in ((TINY, tiny), (PAPER, paper)) for name in names}
