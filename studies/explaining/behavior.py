"""What an algorithm does, as numbers: its coefficients on probes, and what it asks of rollouts and stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from core import Algorithm, Coefficients, Curriculum, PolicyTokens, TokenBatch
from core.algorithm import StepPlan
from core.hooks import Stateful
from core.needs import parts_of
from core.rollouts import RolloutPlan
from core.types import State
from studies.explaining.probes import PROGRESS, Probe, long_run, probes

OFFERED = "offered"
"""A relaxation for algorithms that demonstrations are not collected for: they see them nevertheless."""
PROVIDED = (
    "behavior_logp",
    "sampler_logp",
    "reference_logp",
    "current_logp",
    "current_entropy",
    "value",
    "greedy_reward",
)
"""Fields that the trainer fills only where an algorithm's `needs` name them."""


class Found(NamedTuple):
    """An algorithm's answer to one probe."""

    given: Tensor
    """Indices of the probe's rows that the algorithm was given."""
    step: TokenBatch
    plan: StepPlan
    coefficients: tuple[Coefficients, ...]


class Behavior(NamedTuple):
    """All that training with an algorithm depends on."""

    coefficients: tuple[Tensor, ...]
    """One of shape (3, rows, tokens) a probe and stage: by log-probs, entropies and values."""
    aside: tuple[Tensor, ...] = ()
    """The same of side steps."""
    around: tuple[Hashable, ...] = ()
    """What is asked of rollouts, side steps and stages."""


def ask(
    algorithm: Algorithm,
    probe: Probe,
    memory: Mapping[str, State] | None = None,
    more: frozenset[str] = frozenset(),
) -> Found:
    """Return an algorithm's coefficients on those rows and fields that the trainer would give it.

    Args:
        algorithm: What is asked.
        probe: Of what.
        memory: What its stateful parts remember.
        more: What it is given beyond its needs.
    """
    given, step = _given(algorithm, probe, memory, more)
    plan = algorithm.plan(step)
    return Found(given, step, plan, plan.coefficients(_policy(probe, given, algorithm.needs), step))


def _given(
    algorithm: Algorithm, probe: Probe, memory: Mapping[str, State] | None, more: frozenset[str]
) -> tuple[Tensor, TokenBatch]:
    """Return which rows of a probe the trainer would give to an algorithm, and the step they make up."""
    needs, step = algorithm.needs | more, probe.step
    if not needs & {"rollouts", "demonstrations"}:
        raise ValueError(
            f"algorithm {algorithm.name!r} needs neither rollouts nor demonstrations, so the trainer would "
            "have no rows for it; name what it reads in its parts' `needs`"
        )
    kept = step.is_demonstration if "demonstrations" in needs else torch.zeros_like(step.is_demonstration)
    kept = kept | ~step.is_demonstration if "rollouts" in needs else kept
    given = kept.nonzero().flatten()
    dropped = {name: None for name in PROVIDED if name not in needs}
    if "prefixes" not in needs:
        dropped["prefix_mask"] = None
    step = dataclasses.replace(step, memory=memory or {}, **dropped)  # type: ignore[arg-type]
    return given, step.rows(given)


def _policy(probe: Probe, index: Tensor, needs: frozenset[str]) -> PolicyTokens:
    logp, entropy, value = probe.policy.logp, probe.policy.entropy, probe.policy.value
    assert entropy is not None
    assert value is not None
    return PolicyTokens(logp[index], entropy[index], value[index] if "value" in needs else None)


def total(found: Found, probe: Probe) -> Tensor:
    """Return the sums of all terms' coefficients at every row of the probe; shape (3, rows, tokens)."""
    result = torch.zeros(3, *probe.step.response_mask.shape, dtype=torch.float64)
    for each in found.coefficients:
        for place, part in enumerate((each.logp, each.entropy, each.value)):
            if part is not None:
                result[place, found.given] += part
    return result


def _coefficients(algorithm: Algorithm, steps: tuple[Probe, ...], more: frozenset[str]) -> tuple[Tensor, ...]:
    """Return an algorithm's total coefficients on successive steps, with what it remembers in between."""
    memory: Mapping[str, State] = {}
    totals = []
    for probe in steps:
        found = ask(algorithm, probe, memory, more)
        memory = found.plan.memory
        totals.append(total(found, probe))
    return tuple(totals)


def behavior(algorithm: Algorithm | Curriculum, samples: int, relaxed: frozenset[str]) -> Behavior:
    """Return what an algorithm does on the probes that a set of relaxations allows."""
    try:
        hash(algorithm)
    except TypeError:  # a part of a user's own that holds a list
        return _behavior.__wrapped__(algorithm, samples, relaxed)
    return _behavior(algorithm, samples, relaxed)


@lru_cache(maxsize=700)
def _behavior(algorithm: Algorithm | Curriculum, samples: int, relaxed: frozenset[str]) -> Behavior:
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


def _rollouts(plan: RolloutPlan) -> Hashable:
    """Return what a rollout plan asks for: prefix lengths at several draws, and its other parts."""
    if plan.prefix is None:
        return (plan.dynamic,)
    draws = torch.linspace(0.0, 0.999, 23, dtype=torch.float64)
    shares = tuple(tuple(plan.prefix.length(draws, progress).tolist()) for progress in PROGRESS)
    return (plan.dynamic, plan.prefix.rollouts, shares)


def is_stateful(algorithm: Algorithm | Curriculum) -> bool:
    """Return whether a part remembers from step to step."""
    terms = [stage.algorithm.terms for stage in algorithm.stages]
    return any(isinstance(part, Stateful) for part in parts_of(tuple(terms)))


@lru_cache(maxsize=4)
def settled(algorithm: Algorithm | Curriculum) -> Behavior:
    """Return the coefficients of a long run's last step; of parts without memory they tell nothing new."""
    found = []
    for stage in algorithm.stages:
        memory: Mapping[str, State] = {}
        *earlier, last = long_run()
        for probe in earlier:
            _, step = _given(stage.algorithm, probe, memory, frozenset())
            memory = stage.algorithm.plan(step).memory
        found.append(total(ask(stage.algorithm, last, memory), last))
    return Behavior(tuple(found))
