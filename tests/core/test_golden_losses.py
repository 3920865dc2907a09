"""Losses and gradients that TRL's and verl's own code computed, composed of our parts."""

import dataclasses
import math

import pytest
import torch

from core import (
    Algorithm,
    AllOf,
    AnyOf,
    BehaviorPolicy,
    ClampedLikelihood,
    ClipCovariance,
    ClipMask,
    ClippedRatio,
    CurrentPolicy,
    Detached,
    DivergenceMask,
    DualClipMask,
    EntropyBonus,
    FixedLengthMean,
    FixedLengthSum,
    GeometricLikelihood,
    KeepAll,
    KlPenalty,
    MaskedImportance,
    NonEmpty,
    PolicyGradient,
    PolicyTokens,
    Precomputed,
    ResponseLikelihood,
    Rollouts,
    SequenceDivergenceMask,
    SequenceLikelihood,
    SequenceMean,
    SequenceTokenLikelihood,
    SoftClipMask,
    Term,
    TokenLikelihood,
    TokenMean,
    TopCovariance,
    TopEntropy,
    TruncatedImportance,
    TwoSidedClipMask,
    Unit,
    surrogate,
)
from tests.core.goldens import cases, matrix, rows

CLAMPED = ClampedLikelihood(TokenLikelihood(), -20.0, 20.0)
FLOOR = math.exp(-20.0)
ROLLOUTS = Rollouts()


def step_of(case):
    """Return a case's rows with the advantages that the loss used, and all that masks read."""
    # A null reward, which an unscorable completion has, plays no part here.
    step = rows({**case, "inputs": {**case["inputs"], "rewards": None}})
    advantage = matrix(case, "advantages")
    advantage = torch.ones(step.response_mask.shape) if advantage is None else advantage
    sampler = matrix(case, "sampling_logprobs")
    if case["inputs"].get("rollout_is_weights"):
        sampler = step.behavior_logp - matrix(case, "rollout_is_weights").log()
    return dataclasses.replace(
        step,
        advantage=(advantage if advantage.ndim == 2 else advantage[:, None]).expand_as(step.response_mask),
        sampler_logp=sampler,
        current_logp=matrix(case, "logprobs"),
        current_entropy=matrix(case, "entropies"),
    )


@dataclasses.dataclass(frozen=True)
class RowCredit:
    """Advantages computed elsewhere, one a row."""

    def __call__(self, step):
        return step.require("advantage", self)


@dataclasses.dataclass(frozen=True)
class AlmostSequenceMean:
    """Mean over rows of each row's token mean, whose count verl raises by 1e-8."""

    def __call__(self, selected, step):
        count = selected.sum() * (step.response_mask.sum(dim=1).double() + 1e-8)
        return torch.where(selected, 1.0 / count, 0.0)


def term(mask, denominator, likelihood, average, rows=ROLLOUTS, weight=1.0):
    estimator = PolicyGradient(mask, denominator, RowCredit(), likelihood)
    return Term("reinforce", estimator, rows, average, weight)


def all_of(*masks):
    """Return the product of the masks that are not None."""
    given = tuple(mask for mask in masks if mask is not None)
    return given[0] if len(given) == 1 else AllOf(given)


def check(case, *terms, rtol=1e-9):
    """Compare the loss, and its gradient by the log-probs."""
    step = step_of(case)
    logp = matrix(case, "logprobs").requires_grad_()
    entropy = logp.detach() if step.current_entropy is None else step.current_entropy
    policy = PolicyTokens(logp, entropy)
    plan = Algorithm("golden", terms).plan(step)
    surrogate(plan.coefficients(policy, step), policy, step).backward()
    close(logp.grad, case["expected"]["grad_logprobs"], rtol)
    close(sum(plan.losses(policy, step).values()), case["expected"]["loss"], rtol)


def close(actual, expected, rtol):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=rtol, atol=1e-9)


# TRL


def trl_average(params):
    length = params.get("max_completion_length")
    return {
        "bnpo": TokenMean(),
        "dapo": TokenMean(),
        "cispo": TokenMean(),
        "dr_grpo": FixedLengthMean(length),
        "luspo": FixedLengthMean(1),
    }.get(params["loss_type"], SequenceMean())


def trl_sampler(params):
    mode = params.get("vllm_importance_sampling_mode", "")
    level, _, kind = mode.partition("_")
    low, high = (params.get(f"vllm_importance_sampling_clip_{end}") for end in ("min", "max"))
    if kind == "truncate":
        return TruncatedImportance(high, level, low or 0.0)
    return MaskedImportance(low or 0.0, high, level) if kind == "mask" else None


def trl_parts(params):
    """Return the mask, the denominator and the likelihood of TRL's options."""
    low, high = params["epsilon_low"], params["epsilon_high"]
    sequence = params["importance_sampling_level"] == "sequence"
    likelihood = SequenceLikelihood() if sequence else TokenLikelihood()
    if params["loss_type"] == "cispo":
        return KeepAll(), ClippedRatio(high=high), likelihood
    if params["loss_type"] == "gmpo":
        return KeepAll(), BehaviorPolicy(), GeometricLikelihood(low, high)
    if params["loss_type"] == "sapo":
        temperatures = params["sapo_temperature_pos"], params["sapo_temperature_neg"]
        return SoftClipMask(*temperatures), BehaviorPolicy(), likelihood
    delta, share = params.get("delta"), params.get("top_entropy_quantile")
    threshold = params.get("off_policy_mask_threshold")
    mask = all_of(
        ClipMask(low, high) if delta is None else TwoSidedClipMask(low, high, delta),
        None if share is None else TopEntropy(share),
        None if threshold is None else SequenceDivergenceMask(threshold),
        trl_sampler(params),
    )
    return mask, BehaviorPolicy(), likelihood


def of_trl(case):
    """Say whether our parts have a case's loss; where it is split, a mean over the whole step."""
    known = {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "gmpo", "luspo"}
    split = "accumulation" in case["tags"] and case["params"]["loss_type"] == "bnpo"
    return case["params"].get("loss_type") in known and not split


@pytest.mark.parametrize("case", cases("trl", of_trl))
def test_parts_have_the_loss_of_trl(case):
    params = case["params"]
    average = trl_average(params)
    terms = [term(*trl_parts(params), average)]
    if params["beta"]:
        sequence = params["importance_sampling_level"] == "sequence"
        whose = SequenceLikelihood() if sequence else TokenLikelihood()
        ratio = whose if params.get("use_bias_correction_kl") else None
        terms.append(KlPenalty(params["beta"], Rollouts(), average, ratio=ratio))
    if params.get("entropy_coef"):
        terms.append(EntropyBonus(params["entropy_coef"], Rollouts(), TokenMean()))
    check(case, *terms)


@pytest.mark.parametrize("case", cases("trl", lambda case: case["name"].startswith("trl_rloo")))
def test_parts_have_the_loss_of_trl_with_whole_responses_as_actions(case):
    mask = ClipMask(case["params"]["epsilon_low"], case["params"]["epsilon_high"])
    check(case, term(mask, BehaviorPolicy(), ResponseLikelihood(), SequenceMean()))


@pytest.mark.parametrize("case", cases("trl", lambda case: case["params"].get("loss_type") in ("nll", "dft")))
def test_parts_have_the_supervised_losses_of_trl(case):
    denominator = {"nll": CurrentPolicy(), "dft": Detached(Unit())}[case["params"]["loss_type"]]
    count = case["params"].get("num_items_in_batch")
    average = FixedLengthSum(count) if count else TokenMean()
    check(case, term(KeepAll(), denominator, TokenLikelihood(), average))


# verl


def verl_average(params, width):
    """Return the rows, the average and the weight of verl's way to aggregate."""
    ranks = params.get("dp_size", 1)
    mode = params.get("loss_agg_mode", "token-mean")
    if mode == "token-mean" and params.get("batch_num_tokens"):
        return Rollouts(), FixedLengthSum(params["batch_num_tokens"]), ranks
    if mode == "token-sum":
        return Rollouts(), FixedLengthSum(1), ranks
    some = NonEmpty(Rollouts())
    averages = {
        "token-mean": TokenMean(),
        "seq-mean-token-sum": FixedLengthMean(1),
        "seq-mean-token-mean": AlmostSequenceMean(),
        "seq-mean-token-sum-norm": FixedLengthMean(params.get("loss_scale_factor") or width),
    }
    return some, averages[mode], 1.0


def verl_parts(params):
    """Return the mask, the denominator and the likelihood of a loss of verl's."""
    low, high = params["clip_ratio_low"], params["clip_ratio_high"]
    cap = params["clip_ratio_c"]
    clip = ClipMask(low, high)
    divergence = {
        kind: (DivergenceMask(kind, low, high, cap), Detached(BehaviorPolicy()), CLAMPED)
        for kind in ("tv", "kl")
    }
    return {
        "vanilla": lambda: (DualClipMask(low, high, cap), BehaviorPolicy(), CLAMPED),
        "gspo": lambda: (
            clip, BehaviorPolicy(), ClampedLikelihood(SequenceTokenLikelihood(), high=10.0)
        ),
        "cispo": lambda: (
            KeepAll(), ClippedRatio(max(1.0 - low, FLOOR), 1.0 + high), TokenLikelihood()
        ),
        "gpg": lambda: (KeepAll(), CurrentPolicy(), TokenLikelihood()),
        "dro": lambda: (KeepAll(), CurrentPolicy(), TokenLikelihood()),
        "sapo": lambda: (SoftClipMask(params["tau_pos"], params["tau_neg"]), BehaviorPolicy(), CLAMPED),
        "geo_mean": lambda: (KeepAll(), BehaviorPolicy(), GeometricLikelihood(low, high)),
        "clip_cov": lambda: (
            ClipCovariance(
                params["clip_cov_lb"], params["clip_cov_ub"], params["clip_cov_ratio"], low, high
            ),
            BehaviorPolicy(),
            TokenLikelihood(),
        ),
        "kl_cov": lambda: (KeepAll(), BehaviorPolicy(), TokenLikelihood()),
        "dppo_tv": lambda: divergence["tv"],
        "dppo_kl": lambda: divergence["kl"],
    }[params["loss_mode"]]()  # fmt: skip


def of_verl(case):
    params = case["params"]
    plain = not case["name"].startswith("verl_adv")
    return plain and params.get("loss_mode", "bypass_mode") != "bypass_mode"


@pytest.mark.parametrize("case", cases("verl", of_verl))
def test_parts_have_the_loss_of_verl(case):
    params, mode = case["params"], case["params"]["loss_mode"]
    width = len(case["inputs"]["mask"][0])
    chosen, average, weight = verl_average(params, width)
    if mode == "sapo":
        average, chosen = AlmostSequenceMean(), NonEmpty(Rollouts())
    if mode == "geo_mean":
        average, chosen = SequenceMean(), Rollouts()
    mask, denominator, likelihood = verl_parts(params)
    if case["inputs"].get("rollout_is_weights"):
        level = "sequence_mean" if mode == "geo_mean" else "token"
        mask = AllOf((mask, TruncatedImportance(1e9, level)))
    terms = [term(mask, denominator, likelihood, average, chosen, weight)]
    if mode == "kl_cov":
        penalized = TopCovariance(params["kl_cov_ratio"], Precomputed())
        terms.append(
            KlPenalty(
                params["ppo_kl_coef"], chosen, average, "abs", "behavior",
                mask=penalized,
            )
        )  # fmt: skip
    if mode == "dro":
        terms.append(KlPenalty(params["dro_beta"], chosen, average, "k2", "behavior"))
    if params.get("entropy_coeff"):
        terms.append(EntropyBonus(params["entropy_coeff"], chosen, average))
    if params.get("use_kl_loss"):
        kind = params["kl_loss_type"].replace("low_var_kl", "k3")
        limit = 10.0 if kind.startswith("k3") else None
        terms.append(KlPenalty(params["kl_loss_coef"], chosen, average, kind, limit=limit))
    # verl's geometric mean adds 1e-8 to a row's length and 1e-10 to its weights.
    check(case, *terms, rtol=1e-7 if mode == "geo_mean" else 1e-9)


def reweighted(case):
    """Say whether verl treats the rollouts' policy as the old one and rejects no token."""
    correction = case["params"].get("rollout_correction")
    return correction and not correction["rollout_rs"]


@pytest.mark.parametrize("case", cases("verl", reweighted))
def test_parts_have_the_loss_of_verl_without_an_old_policy(case):
    params = case["params"]
    correction = params["rollout_correction"]
    if correction["loss_type"] == "ppo_clip":
        mask = DualClipMask(params["clip_ratio_low"], params["clip_ratio_high"], params["clip_ratio_c"])
        check(case, term(mask, BehaviorPolicy(), CLAMPED, TokenMean()))
    else:
        cap, level = correction["rollout_is_threshold"], correction["rollout_is"]
        denominator = ClippedRatio(FLOOR, cap, level=level)
        check(case, term(KeepAll(), denominator, TokenLikelihood(), TokenMean()))


@pytest.mark.parametrize("case", cases("verl", lambda case: case["name"].startswith("verl_sft")))
def test_parts_have_the_supervised_loss_of_verl(case):
    chosen, average, weight = verl_average(case["params"], 0)
    check(case, term(KeepAll(), CurrentPolicy(), TokenLikelihood(), average, AnyOf((chosen,)), weight))
