"""What an algorithm answers to a step, given the rows and fields that the trainer would give it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from core import Algorithm, Coefficients, PolicyTokens, TokenBatch
from core.algorithm import StepPlan
from core.rollouts import DemonstrationPrefix
from core.types import State
from studies.explaining.probes import Probe

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
DRAWS = torch.linspace(0.0, 0.999, 23, dtype=torch.float64)
"""Draws that stand for all when prefixes are measured."""


class Refused(ValueError):
    """A step that an algorithm cannot take."""


class Found(NamedTuple):
    """An algorithm's answer to one probe."""

    given: Tensor
    """Indices of the probe's rows that the algorithm was given."""
    step: TokenBatch
    plan: StepPlan
    coefficients: tuple[Coefficients, ...]


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

    Raises:
        Refused: One of its parts cannot take the step.
    """
    needs = algorithm.needs
    given, step = _given(algorithm, needs | more, probe, memory)
    policy = _policy(probe, given, needs)
    try:
        plan = algorithm.plan(step)
        return Found(given, step, plan, plan.coefficients(policy, step))
    except ValueError as error:
        raise Refused(str(error)) from error


def remember(algorithm: Algorithm, probe: Probe, memory: Mapping[str, State]) -> Mapping[str, State]:
    """Return what an algorithm's stateful parts remember after one more step.

    Raises:
        Refused: One of its parts cannot take the step.
    """
    _, step = _given(algorithm, algorithm.needs, probe, memory)
    try:
        return algorithm.plan(step).memory
    except ValueError as error:
        raise Refused(str(error)) from error


def total(found: Found, probe: Probe) -> Tensor:
    """Return the sums of all terms' coefficients at every row of the probe; shape (3, rows, tokens)."""
    result = torch.zeros(3, *probe.step.response_mask.shape, dtype=torch.float64)
    for each in found.coefficients:
        for place, part in enumerate((each.logp, each.entropy, each.value)):
            if part is not None:
                result[place, found.given] += part
    return result


def prefix_shares(prefix: DemonstrationPrefix, progress: float) -> Tensor:
    """Return the shares of a demonstration that rollouts are given, one a draw.

    Raises:
        Refused: One of them is no share.
    """
    try:
        shares = prefix.length(DRAWS, progress)
    except ValueError as error:
        raise Refused(str(error)) from error
    if not bool(((shares >= 0.0) & (shares <= 1.0)).all()):
        raise Refused(f"{prefix.length!r} returns shares of a demonstration outside [0, 1]")
    return shares


def _given(
    algorithm: Algorithm, needs: frozenset[str], probe: Probe, memory: Mapping[str, State] | None
) -> tuple[Tensor, TokenBatch]:
    """Return which rows of a probe the trainer would give to an algorithm, and the step they make up."""
    step = probe.step
    if not needs & {"rollouts", "demonstrations"}:
        raise Refused(
            f"algorithm {algorithm.name!r} needs neither rollouts nor demonstrations, so the trainer would "
            "have no rows for it; name what it reads in its parts' `needs`"
        )
    kept = step.is_demonstration if "demonstrations" in needs else torch.zeros_like(step.is_demonstration)
    kept = kept | ~step.is_demonstration if "rollouts" in needs else kept
    given = kept.nonzero().flatten()
    fields: dict[str, object] = {name: None for name in PROVIDED if name not in needs}
    mask = fields["prefix_mask"] = _prefixes(algorithm.rollouts.prefix, step)
    if mask is not None and step.sampler_logp is not None and "sampler_logp" in needs:
        # The rollout engine says nothing of tokens that it did not sample.
        fields["sampler_logp"] = torch.where(mask, 0.0, step.sampler_logp)
    step = dataclasses.replace(step, memory=memory or {}, **fields)  # type: ignore[arg-type]
    return given, step.rows(given)


def _prefixes(prefix: DemonstrationPrefix | None, step: TokenBatch) -> Tensor | None:
    """Return those of a step's given tokens that an algorithm's rollouts can have; None without a plan."""
    if prefix is None or step.prefix_mask is None:
        return None
    if not bool(prefix_shares(prefix, step.progress).any()):
        return torch.zeros_like(step.prefix_mask)
    if prefix.rollouts is None:
        return step.prefix_mask
    rollout = ~step.is_demonstration
    before = (step.group[:, None] == step.group) & rollout
    place = before.tril(diagonal=-1).sum(dim=1)
    return step.prefix_mask & (rollout & (place < prefix.rollouts))[:, None]


def _policy(probe: Probe, index: Tensor, needs: frozenset[str]) -> PolicyTokens:
    logp, entropy, value = probe.policy.logp, probe.policy.entropy, probe.policy.value
    assert entropy is not None
    assert value is not None
    return PolicyTokens(logp[index], entropy[index], value[index] if "value" in needs else None)
