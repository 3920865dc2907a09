"""Faults of clipping: the right gradient, scaled by a factor from the wrong norm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from studies.auditing.bigram import chunk_rows
from studies.auditing.faults import Fault, Prediction
from studies.auditing.observation import Observation
from studies.auditing.truth import Truth


def _clip_scale(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    if truth.clip is None:
        return
    for variant, parts in _divisions(truth).items():
        found = torch.zeros_like(truth.coefficient)
        for part in parts:
            found = torch.where(part, truth.clipped(torch.where(part, truth.coefficient, 0.0)), found)
        detail = f"each {variant} is clipped by itself"
        # The norm may be taken before, or of what the clips leave.
        yield Prediction(f"each {variant}", found, None, detail)
        yield Prediction(f"each {variant} before the norm", found, truth.norm(found), detail)
    # What the factor is computed from: a norm that is not the step's.
    for variant, norm in _norms(truth).items():
        found = truth.coefficient * truth.factor(norm)
        yield Prediction(variant, found, None, f"the factor is that of {variant}")


def _divisions(truth: Truth) -> dict[str, Sequence[Tensor]]:
    """Return the parts, as masks over response tokens, that may be clipped apart."""
    inside = {place: truth.inside(place) for place in truth.places}
    ranks = [torch.zeros_like(truth.row, dtype=torch.bool) for _ in range(truth.layout.ranks)]
    for (rank, _), part in inside.items():
        ranks[rank] |= part
    sizes = torch.tensor(chunk_rows(len(truth.table)))
    chunk = torch.bucketize(truth.previous, sizes.cumsum(0), right=True)
    parameters = [chunk == number for number in range(len(sizes))]
    return {"micro-batch": list(inside.values()), "rank": ranks, "parameter": parameters}


def _norms(truth: Truth) -> dict[str, float]:
    whole = truth.norm(truth.coefficient)
    ranks, count = truth.layout.ranks, max(truth.layout.counts)
    last = [truth.inside((rank, number - 1)) for rank, number in enumerate(truth.layout.counts) if number]
    norms = {
        "the norm times the ranks": whole * ranks,
        "the norm over the ranks": whole / ranks,
        "the norm times the micro-batches": whole * count,
        "the norm over the micro-batches": whole / count,
        "the last micro-batches": truth.norm(
            torch.where(torch.stack(last).any(dim=0), truth.coefficient, 0.0)
        ),
    }
    for rank, own in enumerate(_divisions(truth)["rank"]):
        norms[f"rank {rank}'s own norm"] = truth.norm(torch.where(own, truth.coefficient, 0.0))
    return norms


def _no_clip(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    if truth.clip is not None:
        yield Prediction("", truth.coefficient, truth.norm(truth.coefficient))


CLIP_SCALE = Fault(
    "clip_scale",
    "the gradient is clipped by the norm of a part of it, or by a multiple of its norm",
    _clip_scale,
)
NO_CLIP = Fault("no_clip", "the gradient is not clipped although its norm is beyond the limit", _no_clip)
