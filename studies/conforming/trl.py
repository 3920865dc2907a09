"""From TRL's options (GRPOTrainer, GMPOTrainer, RLOOTrainer, SFTTrainer; 1.16) to compositions.

TRL normalises each micro-batch by itself and divides by the accumulation steps, so each is a piece of its
own; dapo, cispo and vespo divide by the tokens of the whole generation batch.
"""

from __future__ import annotations

import dataclasses

import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Constant,
    CurrentPolicy,
    Demonstrations,
    KeepAll,
    PolicyGradient,
    Term,
    TokenLikelihood,
    TokenMean,
)
from core.batch_masks import TopEntropy
from core.corrections import SequenceDivergenceMask
from core.denominators import Unit
from core.moving_denominators import Detached
from core.protocols import Denominator, Likelihood, Mask
from core.soft_masks import AllOf
from studies.conforming.cases import Case
from studies.conforming.composition import Composition, Piece, rows_of
from studies.conforming.options import SWITCH, Options
from studies.conforming.trl_advantages import group_relative, leave_one_out
from studies.conforming.trl_losses import (
    AVERAGES,
    BY_GENERATION,
    CONTROLLER,
    CORRECTIONS,
    LEVELS,
    LOSSES,
    NOT_GMPO,
    OWN,
    UNBOUNDED,
    clip_bounds,
)
from studies.conforming.trl_pieces import Objective, counting_empty_rows, pieces, undecided
from studies.conforming.trl_quirks import GammaWeight, ProductLikelihood, SingleTopEntropy
from studies.conforming.trl_sampling import AgainstSampler

SFT_DENOMINATORS: dict[str, Denominator] = {"nll": CurrentPolicy(), "dft": Detached(Unit())}
"""loss_type of SFTTrainer"""


def compose(case: Case) -> Composition:
    """Return the composition that reproduces a case."""
    options, inputs = Options(case.params), Options(case.inputs, "input")
    inputs.ignore("logprobs", "old_logprobs", "mask", "rewards", "advantages", "group")  # read by `rows_of`
    inputs.ignore("ref_logprobs", "entropies")  # there for the log too, when no option reads them
    options.ignore(
        "num_iterations"
    )  # decides whether the behavior policy is the current one: old_logprobs does
    kind = options.take("loss_type", case.algorithm)
    composition = TRAINERS.get(kind, _grpo)(case, options, inputs)
    options.close()
    inputs.close()
    return composition


def _grpo(case: Case, options: Options, inputs: Options) -> Composition:
    name: str = options.take("loss_type")
    objective = options.choose("loss_type", LOSSES)(options)
    average = options.choose("loss_type", AVERAGES)(options)
    options.ignore(*OWN)  # of other losses
    step, policy = rows_of(case)
    step, estimator = group_relative(case, step, options, inputs)
    objective = dataclasses.replace(
        objective, average=average, by_generation=name in BY_GENERATION, kl=options.number("beta", 0.0)
    )
    inputs.ignore("sampling_logprobs")  # `rows_of` read them
    if name == "gmpo":
        options.ignore(*NOT_GMPO)
        composition = Composition(step, policy, pieces(objective, step, options), estimator)
        return counting_empty_rows(composition, case, objective.tokens)
    objective = dataclasses.replace(
        objective,
        mask=_masks(objective.mask, options, step.sampler_logp is not None),
        kl_ratio=_kl_ratio(options),
        entropy=_entropy_coefficient(options),
        entropy_tokens=undecided(options.number("top_entropy_quantile", 1.0)),
    )
    return Composition(step, policy, pieces(objective, step, options), estimator)


def _entropy_coefficient(options: Options) -> float:
    options.ignore(*CONTROLLER)
    fixed = options.number("entropy_coef", 0.0)
    # A controller gives no bonus before it has seen a step, and the step of a case is a trainer's first.
    return 0.0 if options.choose("use_adaptive_entropy", SWITCH, False) else fixed


def _kl_ratio(options: Options) -> Likelihood | None:
    corrected = options.choose("use_bias_correction_kl", SWITCH, True)
    return options.choose("importance_sampling_level", LEVELS, "token") if corrected else None


def _masks(mask: Mask, options: Options, sampled: bool) -> Mask:
    """Return the mask with those that other options add to it."""
    masks = [mask]
    if options.take("off_policy_mask_threshold", None) is not None:
        moved = SequenceDivergenceMask(options.number("off_policy_mask_threshold"))
        masks.append(AgainstSampler(moved) if sampled else moved)
    if (share := options.number("top_entropy_quantile", 1.0)) < 1.0:
        masks.append(SingleTopEntropy(TopEntropy(share)))
    correction = _correction(options) if sampled else None
    if correction is not None and isinstance(mask, GammaWeight):
        masks[0] = dataclasses.replace(mask, correction=correction)
    elif correction is not None:
        masks.append(correction)
    return AllOf(tuple(masks)) if len(masks) > 1 else masks[0]


def _correction(options: Options) -> Mask | None:
    """Return the weight against the sampler; None where it is switched off."""
    bound = "vllm_importance_sampling_clip_max"
    # Null means that there is no upper bound; an option that is left out is TRL's default.
    high = options.number(bound, UNBOUNDED if options.given(bound) else 3.0)
    low = options.number("vllm_importance_sampling_clip_min", 0.0)
    weight = options.choose("vllm_importance_sampling_mode", CORRECTIONS, "sequence_mask")(low, high)
    return weight if options.choose("vllm_importance_sampling_correction", SWITCH, True) else None


def _rloo(case: Case, options: Options, inputs: Options) -> Composition:
    step, policy = rows_of(case)
    step, estimator = leave_one_out(case, step, options, inputs)
    objective = Objective(ClipMask(*clip_bounds(options)), BehaviorPolicy(), ProductLikelihood())
    composition = Composition(step, policy, pieces(objective, step, options), estimator)
    return counting_empty_rows(composition, case, objective.tokens)


def _sft(case: Case, options: Options, inputs: Options) -> Composition:  # noqa: ARG001
    step, policy = rows_of(case)
    step = dataclasses.replace(step, is_demonstration=torch.ones_like(step.is_demonstration))
    tokens = int(step.response_mask.sum())
    weight = tokens / max(options.take("num_items_in_batch", tokens), 1)
    denominator = options.choose("loss_type", SFT_DENOMINATORS)
    estimator = PolicyGradient(KeepAll(), denominator, Constant(), TokenLikelihood())
    term = Term("imitate", estimator, Demonstrations(), TokenMean(), weight)
    return Composition(step, policy, (Piece(Algorithm("sft", (term,))),))


TRAINERS = {"rloo": _rloo, "nll": _sft, "dft": _sft}
"""loss_type, or the case's algorithm where it has none: options of a trainer other than GRPOTrainer"""
