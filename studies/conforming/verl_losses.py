"""verl's policy losses as parts: which mask, denominator and likelihood stand for each loss_mode.

Some of the losses clamp log-ratios to ±20; a ratio that is held constant is bounded by e^±20 instead.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

from core import BehaviorPolicy, ClipMask, CurrentPolicy, Precomputed
from core.batch_masks import ClipCovariance, TopCovariance
from core.bound_masks import DivergenceMask
from core.likelihoods import SequenceTokenLikelihood
from core.masks import DualClipMask
from core.moving_denominators import ClippedRatio
from core.shaped_likelihoods import ClampedLikelihood, GeometricLikelihood
from core.soft_masks import SoftClipMask
from studies.conforming.options import SWITCH, Options, OutOfScope
from studies.conforming.verl_quirks import LeakyGeometric, LeakyRowMean
from studies.conforming.verl_rollout import BOUND, Accepted, Corrected, read_tests, read_weight_bounds
from studies.conforming.verl_terms import ALL_ROWS, KEEP, TOKENS, Loss, Penalty

CLAMPED = ClampedLikelihood(TOKENS, -BOUND, BOUND)
LOWEST, HIGHEST = math.exp(-BOUND), math.exp(BOUND)
"""What the clamped log-ratio leaves of a ratio."""


def _clips(options: Options) -> tuple[float, float]:
    both = options.number("clip_ratio", 0.2)
    return options.number("clip_ratio_low", both), options.number("clip_ratio_high", both)


def _ratio_clips(options: Options) -> tuple[float, float]:
    low, high = _clips(options)
    return min(low, 1.0), high  # no ratio is below 0


def _vanilla(options: Options) -> Loss:
    mask = DualClipMask(*_ratio_clips(options), options.number("clip_ratio_c", 3.0))
    return Loss(mask, BehaviorPolicy(), CLAMPED)


def _dppo(options: Options, kind: Literal["tv", "kl"]) -> Loss:
    mask = DivergenceMask(kind, *_clips(options), cap=None)
    return Loss(mask, ClippedRatio(LOWEST, min(options.number("clip_ratio_c", 20.0), HIGHEST)))


def _gspo(options: Options) -> Loss:
    likelihood = ClampedLikelihood(SequenceTokenLikelihood(), high=10.0)
    return Loss(ClipMask(*_ratio_clips(options)), BehaviorPolicy(), likelihood)


def _cispo(options: Options) -> Loss:
    low, high = _clips(options)
    return Loss(KEEP, ClippedRatio(max(1.0 - low, LOWEST), min(1.0 + high, HIGHEST)))


def _sapo(options: Options) -> Loss:
    mask = SoftClipMask(options.number("tau_pos", 1.0), options.number("tau_neg", 1.05))
    return Loss(mask, BehaviorPolicy(), CLAMPED, average="seq-mean-token-mean")


def _geo_mean(options: Options) -> Loss:
    likelihood = LeakyGeometric(GeometricLikelihood(*_clips(options)))
    return Loss(KEEP, BehaviorPolicy(), likelihood, LeakyRowMean(), average=ALL_ROWS)


def _clip_cov(options: Options) -> Loss:
    share = options.number("clip_cov_ratio", 0.0002)
    if share < 1.0:
        raise OutOfScope(
            "clip_cov_ratio below 1: verl draws tokens from a random state that the case doesn't have"
        )
    band = options.number("clip_cov_lb", 1.0), options.number("clip_cov_ub", 5.0)
    return Loss(ClipCovariance(*band, share, *_ratio_clips(options)), BehaviorPolicy())


def _kl_cov(options: Options) -> Loss:
    top = TopCovariance(options.number("kl_cov_ratio", 0.0002), Precomputed())
    return Loss(KEEP, BehaviorPolicy(), penalty=Penalty(options.number("ppo_kl_coef", 0.1), "abs", top))


def _dro(options: Options) -> Loss:
    return Loss(KEEP, CurrentPolicy(), penalty=Penalty(options.number("dro_beta"), "k2"))


def _bypass(options: Options) -> Loss:
    correction = Options(options.take("rollout_correction"), "option rollout_correction")
    correction.ignore("bypass_mode")  # by which the trainer chooses the loss that loss_mode names
    loss = correction.choose("loss_type", BYPASS_LOSSES, "ppo_clip")(options, correction)
    threshold = correction.take("rollout_rs_threshold", None)
    if (names := correction.take("rollout_rs", None)) is not None:
        loss = dataclasses.replace(loss, tokens=Accepted(read_tests(names, threshold)))
    correction.close()
    return loss


def _bypass_clip(options: Options, correction: Options) -> Loss:
    # The ratio corrects for the sampler already: weights are only logged.
    correction.ignore("rollout_is", "rollout_is_threshold", "rollout_is_batch_normalize")
    return _vanilla(options)


def _reinforce(options: Options, correction: Options) -> Loss:  # noqa: ARG001
    # The loss reads verl's RolloutCorrectionConfig: what is absent has a default there, and what is null
    # means no weights.
    absent = {name for name in ("rollout_is", "rollout_is_threshold") if not correction.given(name)}
    level = correction.choose("rollout_is", WEIGHT_LEVELS, "sequence" if "rollout_is" in absent else "")
    threshold = correction.take("rollout_is_threshold", 2.0 if "rollout_is_threshold" in absent else None)
    normalize = correction.choose("rollout_is_batch_normalize", SWITCH, False)
    if level is None or threshold is None:
        return Loss(KEEP, CurrentPolicy())
    low, high = read_weight_bounds(threshold)
    band = None if low is None else (low, high)
    bound = HIGHEST if band else min(high, HIGHEST)
    weighed = Corrected(ClippedRatio(LOWEST, bound, level=level), band, normalize)
    return Loss(KEEP, CurrentPolicy(), advantage=weighed)


WEIGHT_LEVELS: dict[str, Literal["token", "sequence"] | None] = {
    "token": "token",
    "sequence": "sequence",
    "": None,
}
"""rollout_correction.rollout_is; "" where it is null"""

BYPASS_LOSSES = {"ppo_clip": _bypass_clip, "reinforce": _reinforce}
"""rollout_correction.loss_type"""

LOSSES: dict[str, Callable[[Options], Loss]] = {
    "vanilla": _vanilla,
    "dppo_tv": lambda options: _dppo(options, "tv"),
    "dppo_kl": lambda options: _dppo(options, "kl"),
    "gspo": _gspo,
    "sapo": _sapo,
    "gpg": lambda _: Loss(KEEP, CurrentPolicy()),
    "clip_cov": _clip_cov,
    "kl_cov": _kl_cov,
    "geo_mean": _geo_mean,
    "dro": _dro,
    "cispo": _cispo,
    "bypass_mode": _bypass,
}
"""loss_mode"""

OWN = (
    "clip_ratio",
    "clip_ratio_low",
    "clip_ratio_high",
    "clip_ratio_c",
    "tau_pos",
    "tau_neg",
    "clip_cov_ratio",
    "clip_cov_lb",
    "clip_cov_ub",
    "kl_cov_ratio",
    "ppo_kl_coef",
    "dro_beta",
)
"""Options that some losses read and the others don't."""
