"""verl's objective as terms: averages over a share of the global mini-batch, and what its losses add up."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from core import (
    EntropyBonus,
    EveryToken,
    FixedLengthMean,
    FixedLengthSum,
    KeepAll,
    KlPenalty,
    PolicyGradient,
    Precomputed,
    Rollouts,
    SequenceMean,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
)
from core.corrections import TruncatedImportance
from core.protocols import Advantage, Aggregation, Denominator, Likelihood, Mask, RowWeight, TokenChoice
from core.soft_masks import AllOf
from studies.conforming.options import Inexpressible, Options
from studies.conforming.verl_quirks import LeakyMean, RowsWith

EVERY, TOKENS, KEEP, GIVEN = EveryToken(), TokenLikelihood(), KeepAll(), Precomputed()
UNBOUNDED = 1e300
"""A bound that no ratio in float64 reaches."""


@dataclass(frozen=True)
class Average:
    """How one of verl's matrices becomes a number."""

    aggregation: Aggregation
    rows: RowWeight
    weight: float = 1.0
    tokens: TokenChoice = EVERY


@dataclass(frozen=True)
class Penalty:
    """A divergence from the behavior policy that a policy loss has within itself."""

    weight: float
    estimator: Literal["k2", "abs"]
    mask: Mask = KEEP


@dataclass(frozen=True)
class Loss:
    """What stands for a policy loss."""

    mask: Mask
    denominator: Denominator
    likelihood: Likelihood = TOKENS
    advantage: Advantage = GIVEN
    penalty: Penalty | None = None
    average: str | None = None
    """Its own loss_agg_mode; None: the option's."""
    tokens: TokenChoice = EVERY

    def weighed(self) -> Loss:
        """Return the loss with every token weighed against the sampler, its penalty too."""
        correction = TruncatedImportance(UNBOUNDED, "token")
        penalty = self.penalty
        if penalty is not None:
            penalty = dataclasses.replace(penalty, mask=AllOf((penalty.mask, correction)))
        return dataclasses.replace(self, mask=AllOf((self.mask, correction)), penalty=penalty)

    def terms(self, average: Average) -> tuple[Term | KlPenalty, ...]:
        """Return the policy term, and the penalty's where there is one."""
        where = (average.rows, average.aggregation)
        estimator = PolicyGradient(self.mask, self.denominator, self.advantage, self.likelihood)
        policy = Term("policy", estimator, *where, average.weight, average.tokens)
        if self.penalty is None:
            return (policy,)
        penalty = KlPenalty(
            self.penalty.weight * average.weight,
            *where,
            self.penalty.estimator,
            "behavior",
            mask=self.penalty.mask,
            tokens=average.tokens,
            name="penalty",
        )
        return (policy, penalty)


SCALED = "seq-mean-token-sum-norm"
AVERAGES: dict[str, Aggregation] = {
    "token-mean": TokenMean(),
    "token-sum": FixedLengthSum(1),
    "seq-mean-token-sum": FixedLengthMean(1),
    SCALED: FixedLengthMean(1),  # over loss_scale_factor, which need not be whole
    "seq-mean-token-mean": LeakyMean(),
}
"""loss_agg_mode"""

ALL_ROWS = "all rows"
"""The mean that geo_mean takes, which no option names."""


def average(name: str, options: Options, step: TokenBatch, tokens: TokenChoice = EVERY) -> Average:
    """Return an average over the step's share of the global mini-batch; rows without tokens don't count."""
    if name == ALL_ROWS:
        return Average(SequenceMean(), Rollouts(), tokens=tokens)
    ranks = options.count("dp_size", 1)
    chosen = step.response_mask & tokens(step)
    here = {"token-mean": chosen.sum(), "token-sum": None}.get(name, chosen.any(dim=1).sum())
    size = options.take("batch_num_tokens" if name == "token-mean" else "global_batch_size", None)
    weight = float(ranks) if here is None or size is None else ranks * int(here) / size
    if name == SCALED:
        weight /= _scale(options, step)
    return Average(AVERAGES[name], RowsWith(Rollouts(), tokens), weight, tokens)


def _scale(options: Options, step: TokenBatch) -> float:
    scale = options.number("loss_scale_factor", step.response_mask.shape[1])
    if scale <= 0:
        raise Inexpressible(f"cannot express option loss_scale_factor={scale}: it must be above 0")
    return scale


def entropy_bonus(weight: float, mean: Average) -> EntropyBonus:
    """Return the bonus on the mean entropy."""
    return EntropyBonus(weight * mean.weight, mean.rows, mean.aggregation)


def ignore_share(options: Options) -> None:
    """Count the options of every average as read: each loss_agg_mode needs some of them."""
    options.ignore("dp_size", "batch_num_tokens", "global_batch_size", "loss_scale_factor")
