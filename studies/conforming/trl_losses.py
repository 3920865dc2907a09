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
from studies.conforming.options import Options
from studies.conforming.trl_pieces import Objective, undecided
from studies.conforming.trl_quirks import GammaWeight
from studies.conforming.trl_sampling import SamplerWeight

LEVELS: dict[str, Likelihood] = {"token": TokenLikelihood(), "sequence": SequenceLikelihood()}
"""importance_sampling_level"""

RATIO_LEVELS: dict[str, Literal["token", "sequence_mean"]] = {"token": "token", "sequence": "sequence_mean"}
"""importance_sampling_level, of a ratio that is held constant"""

UNBOUNDED = 1e300
"""A bound that no ratio in float64 reaches."""


def _epsilons(options: Options, low: float = 0.2) -> tuple[float, float]:
    """Return epsilon_low and epsilon_high, which is the former unless it is given."""
    low = options.number("epsilon_low", low)
    return low, options.number("epsilon_high", low)


def clip_bounds(options: Options) -> tuple[float, float]:
    """Return the distances of a clip's bounds from 1; no ratio is below a lower bound of 0 or less."""
    low, high = _epsilons(options)
    return min(low, 1.0), high


def _clip(options: Options) -> Objective:
    low, high = clip_bounds(options)
    mask: Mask = ClipMask(low, high)
    if options.take("delta", None) is not None:
        mask = TwoSidedClipMask(low, high, options.number("delta"))
    return Objective(mask, BehaviorPolicy(), options.choose("importance_sampling_level", LEVELS, "token"))


def _cispo(options: Options) -> Objective:
    level = options.choose("importance_sampling_level", RATIO_LEVELS, "token")
    _, high = _epsilons(options)
    if high == 0.0:  # every ratio is cut to 0, and the term has no weight
        return Objective(KeepAll(), CurrentPolicy(), policy=0.0)
    return Objective(KeepAll(), ClippedRatio(high=high, level=level))


def _sapo(options: Options) -> Objective:
    positive = options.number("sapo_temperature_pos", 1.0)
    mask = SoftClipMask(positive, options.number("sapo_temperature_neg", 1.05))
    return Objective(mask, BehaviorPolicy(), options.choose("importance_sampling_level", LEVELS, "token"))


def _vespo(options: Options) -> Objective:
    positive = options.number("vespo_k_pos", 2.0), options.number("vespo_lambda_pos", 3.0)
    negative = options.number("vespo_k_neg", 3.0), options.number("vespo_lambda_neg", 2.0)
    return Objective(GammaWeight(positive, negative), CurrentPolicy())


def _gmpo(options: Options) -> Objective:
    likelihood = GeometricLikelihood(*_epsilons(options, 0.4))
    tokens = undecided(options.number("top_entropy_quantile", 1.0))
    return Objective(KeepAll(), BehaviorPolicy(), likelihood, tokens=tokens)


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
    "dr_grpo": lambda options: FixedLengthMean(options.count("max_completion_length", 512)),
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

CONTROLLER = ("entropy_coef_min", "entropy_coef_max", "entropy_coef_delta", "entropy_target")
"""Options of the controller of entropy_coef."""

SAMPLER = (
    "vllm_importance_sampling_correction",
    "vllm_importance_sampling_mode",
    "vllm_importance_sampling_clip_min",
    "vllm_importance_sampling_clip_max",
)
"""Options of the correction for a sampler other than the behavior policy."""

NOT_GMPO = ("off_policy_mask_threshold", "entropy_coef", "use_adaptive_entropy", *CONTROLLER, *SAMPLER)
"""Options of masks and a bonus that GMPOTrainer takes, and does not read."""

BY_GENERATION = ("dapo", "cispo", "vespo")
"""loss_type: normalised by the tokens of the generation batch"""

CORRECTIONS: dict[str, Callable[[float, float], Mask]] = {
    "token_truncate": lambda low, high: SamplerWeight(TruncatedImportance(high, floor=low)),
    "sequence_truncate": lambda low, high: SamplerWeight(TruncatedImportance(high, floor=low), of_row=True),
    "token_mask": lambda low, high: SamplerWeight(MaskedImportance(low, high)),
    "sequence_mask": lambda low, high: SamplerWeight(MaskedImportance(low, high), of_row=True),
}
"""vllm_importance_sampling_mode: the weight, bounded by clip_min and clip_max"""
