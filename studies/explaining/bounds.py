"""How large a token's coefficient can become, per unit of weight and advantage: sup |c_t / (w · Â)|."""

from __future__ import annotations

from dataclasses import dataclass

from core import Algorithm, Term
from core.needs import needs_of
from studies.explaining.asking import ask
from studies.explaining.conditions import RELAXATIONS
from studies.explaining.numbers import number
from studies.explaining.probes import probes
from studies.explaining.search import (
    BEHAVIOR,
    GROWS,
    LENGTHS,
    REFERENCE,
    SAMPLER,
    SURPRISE,
    Search,
)


@dataclass(frozen=True)
class Bound:
    """The largest weight of a token in responses of few tokens, infinite where it grows without bound.

    Args:
        by_length: By the response's length in tokens; one entry where that does not matter.
        grows_with: What an infinite one grows with.
    """

    by_length: tuple[float, ...]
    grows_with: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The largest of all lengths that were tried."""
        return max(self.by_length)

    def text(self) -> str:
        """Return the statement."""
        if self.largest == float("inf"):
            return "unbounded" + (f": grows with {' and '.join(self.grows_with)}" if self.grows_with else "")
        *shorter, longest = self.by_length
        if not shorter or longest <= GROWS * max(shorter):
            return f"bounded by {number(self.largest, digits=5)}"
        rates = [bound / length for bound, length in zip(self.by_length, LENGTHS, strict=True)]
        if max(rates) <= GROWS * min(rates):
            factor = "" if number(rates[0]) == "1" else f"{number(rates[0], digits=5)} · "
            return f"bounded by {factor}|y|"
        first, last = (number(bound, digits=5) for bound in (shorter[0], longest))
        return f"larger the longer the response: {first} at 1 token, {last} at {LENGTHS[-1]}"


def find_bound(search: Search) -> Bound:
    """Return the largest weight that a search finds in responses of any length."""
    lengths = LENGTHS[:1] if search.is_tokenwise() else LENGTHS
    found = [search.of_length(length).supremum() for length in lengths]
    drivers = dict.fromkeys(name for _, grows_with in found for name in grows_with)
    return Bound(tuple(largest for largest, _ in found), tuple(drivers))


@dataclass(frozen=True)
class Bounds:
    """The bound for each sign that the advantage takes, and that of all while π_θ is the behavior policy.

    Args:
        by_sign: "Â > 0" and "Â < 0" with their bounds; "" for an additive term, which has no advantage.
        on_policy: The largest of all signs.
    """

    by_sign: tuple[tuple[str, Bound], ...]
    on_policy: Bound

    def text(self, *, on_policy: bool) -> str:
        """Return the statement; with what is true of the policy that sampled the rollouts, if asked."""
        texts = {bound.text() for _, bound in self.by_sign}
        said = "; ".join(f"where {sign} {bound.text()}" for sign, bound in self.by_sign)
        said = texts.pop() if len(texts) == 1 else said
        if on_policy and self.on_policy.largest < max(b.largest for _, b in self.by_sign) / GROWS:
            said += f" (under these settings {self.on_policy.text()})"
        return said


def find_bounds(algorithm: Algorithm, index: int, samples: int) -> Bounds | None:
    """Return how large a term's coefficients by log-probs can become, per unit of weight and advantage.

    None for a term that has none: a bonus, the loss of a critic, or one that trains no token.

    Args:
        algorithm: The algorithm.
        index: Of the term.
        samples: Rollouts of each question.
    """
    term = algorithm.terms[index]
    places = {"behavior_logp": BEHAVIOR, "sampler_logp": SAMPLER, "reference_logp": REFERENCE}
    free = (SURPRISE, *(place for name, place in places.items() if name in needs_of(term)))
    signs, scale = _seen(algorithm, index, samples)
    searches = {name: Search(term, sign, scale, free) for name, sign in signs.items()}
    bounds = {name: find_bound(search) for name, search in searches.items()}
    if not any(bound.largest for bound in bounds.values()):
        return None
    now = [find_bound(search.on_policy()) for search in searches.values()]
    return Bounds(tuple(bounds.items()), max(now, key=lambda bound: bound.largest))


def _seen(algorithm: Algorithm, index: int, samples: int) -> tuple[dict[str, float], float]:
    """Return the signs of a term's advantage on probes, and the largest factor of its mask across rows."""
    plans = [ask(algorithm, probe).plan.plans[index] for probe in probes(samples, frozenset(RELAXATIONS))]
    scale = max((float(plan.stable.abs().max()) for plan in plans if plan.stable is not None), default=1.0)
    if not isinstance(algorithm.terms[index], Term):
        return {"": 1.0}, scale
    signs = {"Â > 0": 1.0, "Â < 0": -1.0}
    taken = {
        name: sign
        for name, sign in signs.items()
        if any(bool((sign * plan.advantage * (plan.weight != 0) > 0).any()) for plan in plans)
    }
    return taken, scale
