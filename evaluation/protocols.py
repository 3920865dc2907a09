"""Named evaluation protocols: which suites are asked, how often, and how answers are sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.config import EvalConfig

SUITES: Mapping[str, tuple[str, ...]] = {
    "paper": (
        "aime24",
        "aime25",
        "amc83",
        "math500",
        "minerva_math",
        "olympiadbench",
        "arc_challenge",
        "gpqa_diamond",
    ),
}
"""Groups of suites by name. The paper's AMC is of 2022 and 2023; its code has that of 2023 alone, amc23."""

CONTAINED: Mapping[str, str] = {"amc23": "amc83"}
"""Suites whose questions are all in another one: no average is over both."""

# One answer to each of so few questions says little.
_SMALL = ("aime24", "aime25", "amc23", "amc83")

PROTOCOLS: Mapping[str, EvalConfig] = {
    "paper": EvalConfig(
        suites=(),
        samples=1,
        suite_samples=dict.fromkeys(_SMALL, 32),
        temperature=0.6,
        top_p=0.95,
        max_response_tokens=8192,
    ),
    "fast": EvalConfig(
        suites=(),
        samples=1,
        suite_samples=dict.fromkeys(_SMALL, 4),
        temperature=0.6,
        top_p=0.95,
        max_response_tokens=4096,
        limit=100,
    ),
    "greedy": EvalConfig(suites=(), samples=1, temperature=0.0, top_p=1.0, max_response_tokens=8192),
}
"""Protocols by name, without suites.

`paper` is that of Lv et al., 2025 (https://arxiv.org/abs/2509.04419), §3.1.
"""


def averaged(suites: Sequence[str]) -> tuple[str, ...]:
    """Return the suites that an average over these is over: none whose questions another one has."""
    return tuple(suite for suite in suites if CONTAINED.get(suite) not in suites)


def named_suites(names: Sequence[str]) -> tuple[str, ...]:
    """Return suites by their names or their groups' names, each once."""
    return tuple(dict.fromkeys(suite for name in names for suite in SUITES.get(name, (name,))))
