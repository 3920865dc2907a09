"""From what the steps of a cell revealed to a verdict, and to the name of the fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from studies.auditing.averaging_faults import MEAN_OF_MEANS, SEQUENCE_MEAN
from studies.auditing.clip_faults import CLIP_SCALE, NO_CLIP
from studies.auditing.faults import (
    ACCUMULATION_FACTOR,
    DROPPED,
    LEFTOVER,
    NO_STEP,
    RANK_FACTOR,
    SHIFTED_MASK,
    WRONG_NORM,
    Fault,
    Prediction,
)
from studies.auditing.observation import Observation
from studies.auditing.truth import Truth

FAULTS: tuple[Fault, ...] = (
    DROPPED,
    MEAN_OF_MEANS,
    ACCUMULATION_FACTOR,
    RANK_FACTOR,
    SHIFTED_MASK,
    SEQUENCE_MEAN,
    CLIP_SCALE,
    NO_CLIP,
    LEFTOVER,
    WRONG_NORM,
    NO_STEP,
)
UNKNOWN = "unknown"

BOUNDS = {"fp32": 1e-5, "bf16": 2.0**-7}
"""Largest error of a coefficient, relative to the step's largest, and of the norm, relative to itself.

fp32: some tens of roundings of 2⁻²⁴. bf16 has a significand of 8 bits, so that to round a gradient changes it
by up to 2⁻⁸ of itself; the norm, and through the clip every coefficient, may change by as much again.
"""


@dataclass(frozen=True)
class Errors:
    """How far a step is from the truth, relative to its largest coefficient; the norm relative to itself."""

    coefficient: float
    residual: float
    stray: float
    norm: float

    @property
    def worst(self) -> float:
        """The largest of them."""
        return max(self.coefficient, self.residual, self.stray, self.norm)


@dataclass(frozen=True)
class Diagnosis:
    """Which known faults explain what was seen.

    Args:
        faults: Their names; none where nothing is wrong, "unknown" where no known fault explains it.
        details: What they did, or what was seen, in words.
    """

    faults: tuple[str, ...]
    details: tuple[str, ...]


def errors(seen: Observation) -> Errors:
    """Return how far a step is from the truth."""
    truth = seen.truth
    scale = float(truth.applied.abs().max())
    norm = truth.norm(truth.coefficient)
    return Errors(
        float((seen.coefficient - truth.applied).abs().max()) / scale,
        seen.residual / scale,
        seen.stray / scale,
        abs(seen.norm - norm) / norm,
    )


def diagnose(steps: Sequence[Observation], bound: float) -> Diagnosis:
    """Return the faults that explain all steps of a cell, in every step by the same variant."""
    if all(_right(step, bound) for step in steps):
        return Diagnosis((), ())
    found = {fault.name: details for fault in FAULTS if (details := _explanation(fault, steps, bound))}
    if not found:
        return Diagnosis((UNKNOWN,), tuple(pattern(step) for step in steps))
    return Diagnosis(tuple(found), tuple(f"{name}: {details}" for name, details in found.items()))


def _right(step: Observation, bound: float) -> bool:
    return step.applied and errors(step).worst <= bound


def _explanation(fault: Fault, steps: Sequence[Observation], bound: float) -> str | None:
    """Return what a fault did in the steps that are wrong; None where it does not explain every step."""
    if fault is not NO_STEP and not all(step.applied for step in steps):
        return None  # what an engine says that it skipped has no gradient to explain
    told: list[dict[str, str]] = []
    shown: set[str] = set()
    for step, previous in zip(steps, [None, *steps[:-1]], strict=True):
        predicted = list(fault.predict(step, previous))
        if not predicted and _right(step, bound):
            continue  # the fault can't show in this step
        told.append({each.variant: each.detail for each in predicted if _matches(step, each, bound)})
        shown |= {each.variant for each in predicted if _differs(each, step.truth, bound)}
    variants = set.intersection(*(set(each) for each in told)) if told else set()
    if fault is not WRONG_NORM:  # whose coefficients are the true ones
        variants &= shown
    if not variants:
        return None
    details = {each[variant] for each in told for variant in variants} - {""}
    return "; ".join(sorted(details)) or fault.meaning


def _differs(predicted: Prediction, truth: Truth, bound: float) -> bool:
    """Return whether a prediction can be told from the truth."""
    gap = float((predicted.coefficient - truth.applied).abs().max())
    norm = truth.norm(truth.coefficient)
    other_norm = predicted.norm is not None and abs(predicted.norm - norm) > bound * norm
    return other_norm or gap > bound * float(truth.applied.abs().max())


def _matches(step: Observation, predicted: Prediction, bound: float) -> bool:
    """Return whether a step is as close to a prediction as it would have to be to the truth."""
    scale = float(max(predicted.coefficient.abs().max(), step.coefficient.abs().max()))
    if scale == 0.0:
        return True
    gap = (step.coefficient - predicted.coefficient).abs()
    near = bool((gap <= bound * scale + step.resolution).all())
    if predicted.norm is not None:
        near = near and abs(step.norm - predicted.norm) <= bound * predicted.norm
    return near and step.residual <= bound * scale + predicted.residual + float(step.resolution.min())


def pattern(step: Observation) -> str:
    """Return in numbers how a step differs: by micro-batch, what was applied over what was due."""
    truth = step.truth
    ratios = [
        f"rank {rank} micro-batch {number + 1} × "
        f"{_slope(step.coefficient, truth.applied, truth.inside((rank, number))):.4g}"
        for rank, number in truth.places
    ]
    found = errors(step)
    return (
        f"applied over due: {', '.join(ratios)}; norm × {step.norm / truth.norm(truth.coefficient):.4g}; "
        f"coefficients off by {found.coefficient:.1e}, beside them {found.residual:.1e}, "
        f"where no token is {found.stray:.1e}"
        + ("" if step.applied else "; the engine says that it skipped the step")
    )


def _slope(seen: Tensor, due: Tensor, inside: Tensor) -> float:
    """Return the factor that brings what was due nearest to what was seen."""
    return float((seen * due)[inside].sum() / (due**2)[inside].sum())
