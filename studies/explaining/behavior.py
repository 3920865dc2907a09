"""What an algorithm does, as numbers: its coefficients on probes, and what it asks of rollouts and stages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, wraps
from typing import NamedTuple

from torch import Tensor

from core import Algorithm, Curriculum
from core.hooks import Stateful
from core.needs import parts_of
from core.rollouts import RolloutPlan
from core.types import State
from studies.explaining.asking import ask, prefix_shares, remember, total
from studies.explaining.probes import PROGRESS, Probe, long_run, probes
from studies.explaining.variation import algorithms_of

OFFERED = "offered"
"""A relaxation for algorithms that demonstrations are not collected for: they see them nevertheless."""

Built = Algorithm | Curriculum


class Behavior(NamedTuple):
    """All that training with an algorithm depends on."""

    coefficients: tuple[Tensor, ...]
    """One of shape (3, rows, tokens) a probe and stage: by log-probs, entropies and values."""
    aside: tuple[Tensor, ...] = ()
    """The same of side steps."""
    around: tuple[Hashable, ...] = ()
    """What is asked of rollouts, side steps and stages."""


Tried = Callable[[Built, int, frozenset[str]], Behavior]


def _kept(most: int) -> Callable[[Tried], Tried]:
    """Return a decorator that keeps the latest results, but for algorithms that cannot be hashed."""

    def decorated(function: Tried) -> Tried:
        cached = lru_cache(maxsize=most)(function)

        @wraps(function)
        def called(algorithm: Built, samples: int, relaxed: frozenset[str]) -> Behavior:
            try:
                hash(algorithm)
            except TypeError:  # a part of a user's own that holds a list
                return function(algorithm, samples, relaxed)
            return cached(algorithm, samples, relaxed)

        return called

    return decorated


@_kept(700)
def behavior(algorithm: Built, samples: int, relaxed: frozenset[str]) -> Behavior:
    """Return what an algorithm does on the probes that a set of relaxations allows.

    Args:
        algorithm: What is tried.
        samples: Rollouts of each question, unless that is relaxed.
        relaxed: Which settings do not hold.

    Raises:
        Refused: It cannot take one of the steps.
    """
    more = frozenset({"demonstrations"}) if OFFERED in relaxed else frozenset[str]()
    found: tuple[Tensor, ...] = ()
    beside: tuple[Tensor, ...] = ()
    around: tuple[Hashable, ...] = ()
    for stage in algorithm.stages:
        found += _coefficients(stage.algorithm, probes(samples, relaxed - {OFFERED}), more)
        around += (stage.share, _rollouts(stage.algorithm.rollouts))
        if stage.algorithm.aside is not None:
            aside = stage.algorithm.aside
            inner = behavior(aside.algorithm, samples, relaxed)
            beside += inner.coefficients
            around += (aside.threshold, aside.questions, *inner.around)
    return Behavior(found, beside, around)


def _coefficients(algorithm: Algorithm, steps: tuple[Probe, ...], more: frozenset[str]) -> tuple[Tensor, ...]:
    """Return an algorithm's total coefficients on successive steps, with what it remembers in between."""
    memory: Mapping[str, State] = {}
    totals = []
    for probe in steps:
        found = ask(algorithm, probe, memory, more)
        memory = found.plan.memory
        totals.append(total(found, probe))
    return tuple(totals)


def _rollouts(plan: RolloutPlan) -> Hashable:
    """Return what a rollout plan asks for: prefix lengths at several draws, and its other parts."""
    if plan.prefix is None:
        return (plan.dynamic,)
    shares = tuple(tuple(prefix_shares(plan.prefix, progress).tolist()) for progress in PROGRESS)
    return (plan.dynamic, plan.prefix.rollouts, shares)


def is_stateful(algorithm: Built) -> bool:
    """Return whether a part remembers from step to step."""
    terms = tuple(each.terms for _, each in algorithms_of(algorithm))
    return any(isinstance(part, Stateful) for part in parts_of(terms))


@_kept(8)
def in_time(algorithm: Built, samples: int, relaxed: frozenset[str]) -> Behavior:
    """Return coefficients at some steps of a long run; of parts without memory they tell nothing new.

    Args:
        algorithm: What is tried.
        samples: Rollouts of each question, unless that is relaxed.
        relaxed: Which settings do not hold.

    Raises:
        Refused: It cannot take one of the steps.
    """
    found: tuple[Tensor, ...] = ()
    beside: tuple[Tensor, ...] = ()
    for stage in algorithm.stages:
        found += _now_and_then(stage.algorithm, long_run(samples, relaxed))
        if stage.algorithm.aside is not None:
            beside += in_time(stage.algorithm.aside.algorithm, samples, relaxed).coefficients
    return Behavior(found, beside)


def _now_and_then(algorithm: Algorithm, steps: tuple[Probe, ...]) -> tuple[Tensor, ...]:
    """Return an algorithm's total coefficients on every tenth of successive steps, and on the last one."""
    memory: Mapping[str, State] = {}
    totals = []
    for place, probe in enumerate(steps, start=1):
        if place % 10 and place < len(steps):
            memory = remember(algorithm, probe, memory)
            continue
        found = ask(algorithm, probe, memory)
        memory = found.plan.memory
        totals.append(total(found, probe))
    return tuple(totals)
