"""TRL's losses as parts: which mask, denominator, likelihood and average stand for each loss_type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from core import (
    BehaviorPolicy,
    ClipMask,
    CurrentPolicy,
    FixedLengthMean,
    KeepAll,
    SequenceLikelihood,
    SequenceMean,
    TokenLikelihood,
    TokenMean,
)
from core.corrections import MaskedImportance, TruncatedImportance
from core.masks import TwoSidedClipMask
from core.moving_denominators import ClippedRatio
from core.protocols import Aggregation, Likelihood, Mask
from core.shaped_likelihoods import GeometricLikelihood
from core.soft_masks import SoftClipMask
from studies.conforming.options import Options, OutOfScope
from studies.conforming.trl_pieces import Objective
from studies.conforming.trl_quirks import GammaWeight

LEVELS: dict[str, Likelihood] = {"token": TokenLikelihood(), "sequence": SequenceLikelihood()}
"""importance_sampling_level"""

RATIO_LEVELS: dict[str, Literal["token", "sequence_mean"]] = {"token": "token", "sequence": "sequence_mean"}
"""importance_sampling_level, of a ratio that is held constant"""

UNBOUNDED = 1e300
"""A bound that no ratio in float64 reaches."""


def _clip(options: Options) -> Objective:
    low, high = options.number("epsilon_low", 0.2), options.number("epsilon_high", 0.2)
    mask: Mask = ClipMask(low, high)
    if options.take("delta", None) is not None:
        mask = TwoSidedClipMask(low, high, options.number("delta"))
    return Objective(mask, BehaviorPolicy(), options.choose("importance_sampling_level", LEVELS, "token"))


def _cispo(options: Options) -> Objective:
    level = options.choose("importance_sampling_level", RATIO_LEVELS, "token")
    return Objective(KeepAll(), ClippedRatio(high=options.number("epsilon_high", 0.2), level=level))


def _sapo(options: Options) -> Objective:
    positive = options.number("sapo_temperature_pos", 1.0)
    mask = SoftClipMask(positive, options.number("sapo_temperature_neg", 1.05))
    return Objective(mask, BehaviorPolicy(), options.choose("importance_sampling_level", LEVELS, "token"))


def _vespo(options: Options) -> Objective:
    positive = options.number("vespo_k_pos", 2.0), options.number("vespo_lambda_pos", 3.0)
    negative = options.number("vespo_k_neg", 3.0), options.number("vespo_lambda_neg", 2.0)
    return Objective(GammaWeight(positive, negative), CurrentPolicy())


def _gmpo(options: Options) -> Objective:
    if options.number("top_entropy_quantile", 1.0) < 1.0:
        raise OutOfScope("gmpo with top_entropy_quantile: the geometric mean of chosen tokens is no part's")
    likelihood = GeometricLikelihood(options.number("epsilon_low", 0.2), options.number("epsilon_high", 0.2))
    return Objective(KeepAll(), BehaviorPolicy(), likelihood)


LOSSES: dict[str, Callable[[Options], Objective]] = {
    **dict.fromkeys(("grpo", "bnpo", "dr_grpo", "dapo", "luspo"), _clip),
    "cispo": _cispo,
    "sapo": _sapo,
    "vespo": _vespo,
    "gmpo": _gmpo,
}
"""loss_type: mask, denominator and likelihood"""

AVERAGES: dict[str, Callable[[Options], Aggregation]] = {
    **dict.fromkeys(("grpo", "sapo", "gmpo"), lambda _: SequenceMean()),
    **dict.fromkeys(("bnpo", "dapo", "cispo", "vespo"), lambda _: TokenMean()),
    "luspo": lambda _: FixedLengthMean(1),
    "dr_grpo": lambda options: FixedLengthMean(options.count("max_completion_length")),
}
"""loss_type: how tokens are averaged; rows without tokens count"""

OWN = (
    "epsilon_low",
    "epsilon_high",
    "delta",
    "importance_sampling_level",
    "sapo_temperature_pos",
    "sapo_temperature_neg",
    "vespo_k_pos",
    "vespo_lambda_pos",
    "vespo_k_neg",
    "vespo_lambda_neg",
    "max_completion_length",
    "use_bias_correction_kl",
)
"""Options that some losses read and the others don't: cispo has no lower bound, sapo and vespo have no clip,
vespo and gmpo have a level of their own, gmpo's penalty has no ratio, dr_grpo alone divides by a length."""

BY_GENERATION = ("dapo", "cispo", "vespo")
"""loss_type: normalised by the tokens of the generation batch"""

CORRECTIONS: dict[str, Callable[[float, float], Mask]] = {
    "token_truncate": lambda low, high: TruncatedImportance(high, "token", low),
    "sequence_truncate": lambda low, high: TruncatedImportance(high, "sequence", low),
    "token_mask": lambda low, high: MaskedImportance(low, high, "token"),
    "sequence_mask": lambda low, high: MaskedImportance(low, high, "sequence"),
}
"""vllm_importance_sampling_mode: the weight, bounded by clip_min and clip_max"""
