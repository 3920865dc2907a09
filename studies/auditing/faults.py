"""Known faults of training engines: each predicts, from the true coefficients, those that it would apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from studies.auditing.bigram import reveal
from studies.auditing.observation import Observation
from studies.auditing.truth import Truth


class Prediction(NamedTuple):
    """What a fault would have done in one step.

    Args:
        variant: Which form of the fault; the same in every step of an engine.
        coefficient: Of each response token, clip included.
        norm: The gradient's norm as it would be reported; None: any.
        detail: What it did in this step, for the reader.
        residual: Largest entry of the gradient that no coefficient explains.
    """

    variant: str
    coefficient: Tensor
    norm: float | None
    detail: str = ""
    residual: float = 0.0


Predict: TypeAlias = Callable[[Observation, Observation | None], Iterator[Prediction]]
"""From a step and the one before it. What was seen of the step itself is read only to tell which
micro-batches are missing; of the one before, what it may have left."""


@dataclass(frozen=True)
class Fault:
    """A known fault.

    Args:
        name: For records.
        meaning: For readers.
        predict: What it would have done; nothing where it can't show.
    """

    name: str
    meaning: str
    predict: Predict


def clipped(truth: Truth, coefficient: Tensor, variant: str, detail: str = "") -> Prediction:
    """Return a fault that happens before the clip, which is then that of the wrong gradient."""
    return Prediction(variant, truth.clipped(coefficient), truth.norm(coefficient), detail)


def _dropped(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    places = truth.places
    parts = [truth.inside(place) for place in places]
    small = 0.05 * float(step.coefficient.abs().max())
    kept = [bool((step.coefficient[part].abs() > small).any()) for part in parts]
    if not any(kept):
        return
    there = torch.stack([part for part, keep in zip(parts, kept, strict=True) if keep]).any(dim=0)
    lost = [f"{number + 1} of rank {rank}" for (rank, number), k in zip(places, kept, strict=True) if not k]
    detail = f"micro-batch {', '.join(lost)} is missing (of {len(places)})" if lost else ""
    yield clipped(truth, torch.where(there, truth.coefficient, 0.0), "", detail)


def _accumulation(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    count = max(truth.layout.counts)
    yield clipped(truth, truth.coefficient * count, "multiplied", f"× {count}")
    yield clipped(truth, truth.coefficient / count, "divided", f"÷ {count}")


def _ranks(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    count = truth.layout.ranks
    yield clipped(truth, truth.coefficient * count, "multiplied", f"× {count}")
    yield clipped(truth, truth.coefficient / count, "divided", f"÷ {count}")


def _shifted(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    edges = torch.ones(1, dtype=torch.bool)
    changes = truth.row[1:] != truth.row[:-1]
    for variant, outside in (("right", torch.cat([edges, changes])), ("left", torch.cat([changes, edges]))):
        end = "first" if variant == "right" else "last"
        kept = torch.where(outside, 0.0, truth.coefficient)
        yield clipped(truth, kept, variant, f"each response's {end} token is not trained on")


def _leftover(step: Observation, before: Observation | None) -> Iterator[Prediction]:
    truth = step.truth
    if before is None:
        return
    new = truth.gradient(truth.coefficient)
    left = before.truth.factor(before.norm)
    for variant, factor in (("clipped", 1.0), ("not clipped", left)):
        gradient = new + before.truth.gradient(before.coefficient / factor)
        norm = float(gradient.norm())
        # The policy has changed: the old gradient does not lie along the new one.
        found = reveal(gradient * truth.factor(norm), truth.previous, truth.direction)
        residual = found.residual + before.residual / factor
        yield Prediction(variant, found.coefficient, norm, f"the step before, {variant}", residual)


def _wrong_norm(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    yield Prediction("", truth.applied, None)


def _no_step(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    yield Prediction("", torch.zeros_like(truth.coefficient), None)


DROPPED = Fault(
    "dropped_micro_batches", "the gradient of some micro-batches never reached the optimizer", _dropped
)
ACCUMULATION_FACTOR = Fault(
    "accumulation_factor",
    "the gradient is multiplied or divided by the number of micro-batches",
    _accumulation,
)
RANK_FACTOR = Fault("rank_factor", "the gradient is multiplied or divided by the number of ranks", _ranks)
SHIFTED_MASK = Fault("shifted_mask", "the response mask is one token off", _shifted)
LEFTOVER = Fault("leftover_gradient", "the gradient of the step before was not cleared", _leftover)
WRONG_NORM = Fault("wrong_norm", "the step is right, but not the gradient norm that is reported", _wrong_norm)
NO_STEP = Fault("no_step", "the weights did not change", _no_step)
