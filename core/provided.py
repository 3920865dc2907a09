"""What training provides with the rows of a step, and algorithms that ask for more."""

from __future__ import annotations

from core.algorithm import Algorithm, Curriculum
from core.needs import needs_of

PROVIDED = frozenset(
    {
        "rollouts",
        "demonstrations",
        "prefixes",
        "entropy",
        "behavior_logp",
        "sampler_logp",
        "reference_logp",
        "current_logp",
        "current_entropy",
        "value",
        "greedy_reward",
    }
)
"""The names that parts declare in `needs` and `plan_needs`."""


def check_provided(algorithm: Algorithm | Curriculum) -> None:
    """Raise ValueError where an algorithm asks for what no training gives it, side steps included."""
    for stage in algorithm.stages:
        _check(stage.algorithm)
        if stage.algorithm.aside is not None:
            check_provided(stage.algorithm.aside.algorithm)


def _check(algorithm: Algorithm) -> None:
    name, reads = algorithm.name, needs_of(algorithm.terms)
    if unknown := sorted((algorithm.needs | algorithm.plan_needs) - PROVIDED):
        raise ValueError(
            f"algorithm {name!r} reads {unknown[0]}, which training does not provide; a part can read "
            f"{', '.join(sorted(PROVIDED))}"
        )
    if "prefixes" in reads and algorithm.rollouts.prefix is None:
        raise ValueError(
            f"algorithm {name!r} trains on the tokens of prefixes, and its rollouts have none; give it "
            "rollouts.prefix=DemonstrationPrefix(…), or take EveryToken in PrefixTokens' place"
        )
    for field in ("prefix", "dynamic"):
        wish = getattr(algorithm.rollouts, field)
        if wish is not None and "rollouts" not in reads:
            raise ValueError(
                f"algorithm {name!r} has rollouts.{field}={wish!r}, and none of its terms needs rollouts, so "
                f"none are sampled; use rollouts.{field}=None, or train on Rollouts"
            )
