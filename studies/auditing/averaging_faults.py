"""Faults of averaging: a step's tokens averaged otherwise than the estimator says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from core import Aggregation, Algorithm, SequenceMean, StepPlan, Term, TokenBatch, TokenMean
from core.aggregations import token_weight
from core.protocols import LossTerm
from studies.auditing.faults import Fault, Prediction, clipped
from studies.auditing.observation import Observation
from studies.auditing.truth import Truth


def _mean_of_means(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    parts = truth.layout.ranks * max(truth.layout.counts)
    by_term = truth.coefficient_of(_planned_apart(truth)) / parts
    yield clipped(truth, by_term, "terms", "each term by its own count in each micro-batch")
    inside = [truth.inside(place) for place in truth.places]
    trained = torch.stack(inside).any(dim=0).sum()
    by_tokens = torch.zeros_like(truth.coefficient)
    for part in inside:
        by_tokens = torch.where(part, truth.coefficient * trained / (parts * part.sum()), by_tokens)
    yield clipped(truth, by_tokens, "tokens", "the whole loss by each micro-batch's tokens")


def _planned_apart(truth: Truth) -> StepPlan:
    """Return the step's plan with weights from each micro-batch's own counts; advantages stay."""
    whole = truth.algorithm.plan(truth.step)
    weights = [torch.zeros_like(plan.weight) for plan in whole.plans]
    for place in truth.places:
        index = torch.tensor(truth.layout.rows(place), dtype=torch.long)
        for term, weight in zip(truth.algorithm.terms, weights, strict=True):
            weight[index] = _weight(term, truth.step.rows(index))
    plans = [plan._replace(weight=weight) for plan, weight in zip(whole.plans, weights, strict=True)]
    return dataclasses.replace(whole, plans=tuple(plans))


def _weight(term: LossTerm, rows: TokenBatch) -> Tensor:
    assert isinstance(term, Term)
    return term.weight * token_weight(term.rows, term.tokens, term.aggregation, rows)


def _sequence_mean(step: Observation, before: Observation | None) -> Iterator[Prediction]:  # noqa: ARG001
    truth = step.truth
    for variant, wrong, right in (
        ("sequences", SequenceMean(), TokenMean),
        ("tokens", TokenMean(), SequenceMean),
    ):
        changed = _averaged(truth.algorithm, wrong, right)
        found = truth.coefficient_of(changed.plan(truth.step))
        yield clipped(truth, found, variant, f"{type(wrong).__name__} for {right.__name__}")


def _averaged(algorithm: Algorithm, wrong: Aggregation, right: type) -> Algorithm:
    terms = [
        dataclasses.replace(term, aggregation=wrong)
        if isinstance(term, Term) and isinstance(term.aggregation, right)
        else term
        for term in algorithm.terms
    ]
    return dataclasses.replace(algorithm, terms=tuple(terms))


MEAN_OF_MEANS = Fault(
    "mean_of_means",
    "each micro-batch is averaged over its own tokens or rows, and these averages are averaged",
    _mean_of_means,
)
SEQUENCE_MEAN = Fault(
    "sequence_mean",
    "a mean over responses of their means stands for the mean over all tokens, or the other way round",
    _sequence_mean,
)
