"""From verl's options (actor, critic and algorithm configs; 0.9) to compositions.

verl normalises over the global mini-batch: where a case holds a share of it only (batch_num_tokens,
global_batch_size), a term's weight is the share's, times the data-parallel ranks that the optimizer averages
over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from core import (
    Algorithm,
    Constant,
    CurrentPolicy,
    Demonstrations,
    Gae,
    KlPenalty,
    PolicyGradient,
    Term,
    TokenBatch,
    ValueLoss,
)
from core.picking import count_of, covariance
from core.protocols import LossTerm
from studies.conforming.cases import Case
from studies.conforming.composition import Composition, Piece, Reproduced, rows_of
from studies.conforming.options import SWITCH, Options, OutOfScope
from studies.conforming.verl_advantages import Estimate, estimate, rewarded
from studies.conforming.verl_divergences import DIVERGENCES
from studies.conforming.verl_losses import LOSSES, OWN
from studies.conforming.verl_quirks import LEAK, GivenReturns
from studies.conforming.verl_terms import (
    AVERAGES,
    KEEP,
    TOKENS,
    Loss,
    average,
    entropy_bonus,
    ignore_share,
)

TIE = 1e-12
"""Covariances as close as that are equal but for rounding."""


def compose(case: Case) -> Composition:
    """Return the composition that reproduces a case."""
    options, inputs = Options(case.params), Options(case.inputs, "input")
    inputs.ignore("logprobs", "old_logprobs", "mask", "rewards", "advantages", "group")  # read by `rows_of`
    inputs.ignore("ref_logprobs", "entropies")  # there for the log too, when no option reads them
    ignore_share(options)
    kind = _value_loss if inputs.given("vpreds") else _policy_loss
    composition = (_sft if case.algorithm == "sft" else kind)(case, options, inputs)
    options.close()
    inputs.close()
    return composition


def _policy_loss(case: Case, options: Options, inputs: Options) -> Composition:
    step, policy = rows_of(case)
    found = estimate(options, inputs)
    step = rewarded(step, inputs)
    loss = options.choose("loss_mode", LOSSES, "vanilla")(options)
    options.ignore(*OWN)  # of other losses
    weights = inputs.take("rollout_is_weights", None)
    mode: str = options.take("loss_mode", "vanilla")
    if mode == "kl_cov":
        _check_ties(step, options.number("kl_cov_ratio", 0.0002))
    if weights is not None and mode != "bypass_mode":  # which makes weights of its own
        step, loss = _weighed(step, weights, by_row=mode == "geo_mean"), loss.weighed()
    pieces = (Piece(Algorithm("verl", tuple(_terms(loss, options, step)))),)
    if found is None or "advantages" not in case.expected:
        return Composition(step, policy, pieces)
    return Composition(step, policy, pieces, found.advantage, _returns(found, step))


def _terms(loss: Loss, options: Options, step: TokenBatch) -> Iterator[LossTerm]:
    """Yield the loss's terms, the entropy's and the reference policy's."""
    name = _mode(options)
    yield from loss.terms(average(loss.average or name, options, step, loss.tokens))
    mean = average(name, options, step)
    if weight := options.number("entropy_coeff", 0.0):
        yield entropy_bonus(weight, mean)
    options.ignore("kl_loss_type", "kl_loss_coef")  # unless the next says so
    if options.choose("use_kl_loss", SWITCH, False):
        divergence = options.choose("kl_loss_type", DIVERGENCES, "low_var_kl")
        weight = mean.weight * options.number("kl_loss_coef", 0.001)
        yield KlPenalty(weight, mean.rows, mean.aggregation, **divergence)


def _mode(options: Options) -> str:
    options.choose("loss_agg_mode", dict.fromkeys(AVERAGES), "token-mean")
    return options.take("loss_agg_mode", "token-mean")


def _returns(found: Estimate, step: TokenBatch) -> Callable[[Reproduced], Mapping[str, Tensor]]:
    """Return what adds the estimator's returns to what is compared."""

    def observe(made: Reproduced) -> Mapping[str, Tensor]:
        known = made.advantages if found.returns is None else found.returns.returns(step)
        return {} if known is None else {"returns": known}

    return observe


def _check_ties(step: TokenBatch, share: float) -> None:
    """Raise OutOfScope where the token that kl_cov takes last is as good as the first that it leaves."""
    if step.current_logp is None or step.advantage is None:
        return
    found = (
        covariance(step.current_logp, step.advantage, step)[step.response_mask].sort(descending=True).values
    )
    count = count_of(share, step)
    if count < len(found) and bool(found[count - 1] - found[count] <= TIE):
        raise OutOfScope("kl_cov: covariances tie, and which of their tokens verl takes is up to its sort")


def _weighed(step: TokenBatch, weights: Tensor, by_row: bool) -> TokenBatch:
    """Return the rows with the sampler's log-probs that their weights π_behavior/π_sampler speak of."""
    logs = weights.log()
    if by_row:  # the geometric mean of a row's weights, as geo_mean takes it
        logs = torch.where(step.response_mask, (weights + 1e-10).log(), 0.0).sum(dim=1, keepdim=True)
        logs = logs / (step.response_mask.sum(dim=1, keepdim=True).double() + LEAK)
    assert step.behavior_logp is not None
    return dataclasses.replace(step, sampler_logp=step.behavior_logp - logs)


def _value_loss(case: Case, options: Options, inputs: Options) -> Composition:
    step, policy = rows_of(case)
    inputs.ignore("vpreds", "values")  # read by `rows_of`
    step = dataclasses.replace(step, advantage=inputs.take("returns"))
    mean = average(_mode(options), options, step)
    where = (mean.rows, mean.aggregation)
    loss = ValueLoss(GivenReturns(), mean.weight, *where, options.number("cliprange_value", 0.5))
    # A critic is trained for a term that reads it; here that term weighs nothing.
    reader = Term("policy", PolicyGradient(KEEP, CurrentPolicy(), Gae(), TOKENS), *where, weight=0.0)
    return Composition(step, policy, (Piece(Algorithm("verl", (reader, loss))),))


def _sft(case: Case, options: Options, inputs: Options) -> Composition:  # noqa: ARG001
    step, policy = rows_of(case)
    step = dataclasses.replace(step, is_demonstration=torch.ones_like(step.is_demonstration))
    mean = average("token-mean", options, step)
    estimator = PolicyGradient(KEEP, CurrentPolicy(), Constant(), TOKENS)
    term = Term("imitate", estimator, Demonstrations(), mean.aggregation, mean.weight)
    return Composition(step, policy, (Piece(Algorithm("verl", (term,))),))
