"""What the comparison calls a match, and that it notices a formula that changed."""

import dataclasses
import functools
import math

import pytest
import torch

from core.advantages import Constant, GroupRelative, LeaveOneOut, OptimalBaseline
from core.aggregations import FixedLengthMean, SequenceMean, TokenMean
from core.denominators import BehaviorPolicy
from core.kl import KlPenalty
from core.likelihoods import SequenceLikelihood, SequenceTokenLikelihood
from core.masks import ClipMask, DualClipMask, TwoSidedClipMask
from core.moving_denominators import ClippedRatio
from core.returns import Gae
from core.soft_masks import SoftClipMask
from core.value_loss import ValueLoss
from studies.conforming.cases import read_cases
from studies.conforming.runner import Verdict, run_case
from tests.studies.conforming.make_samples import DATA

CASES = {case.name: case for options in ("trl", "verl") for case in read_cases(DATA / f"{options}.json")}


def expecting(case, **changes):
    return dataclasses.replace(case, expected={**case.expected, **changes})


def tagged(case, *tags):
    return dataclasses.replace(case, tags=tags)


@pytest.mark.parametrize("name", ["advantages", "loss", "grad_logprobs", "returns"])
def test_any_expectation_that_is_off_by_more_than_the_tolerance_is_a_mismatch(name):
    case = CASES["verl_gae"]
    inside = case.inputs["mask"].bool()
    for gap, verdict in ((1e-10, Verdict.PASS), (1e-8, Verdict.MISMATCH)):
        moved = case.expected[name].clone()
        moved[inside if moved.ndim else ...] += gap
        result = run_case(expecting(case, **{name: moved}))
        assert result.verdict is verdict
        assert result.where == name
        assert result.error == pytest.approx(gap, rel=0.7)


def test_the_gradient_of_the_critic_is_compared_too():
    case = CASES["verl_value_loss"]
    result = run_case(expecting(case, grad_vpreds=case.expected["grad_vpreds"] * 1.01))
    assert (result.verdict, result.where) == (Verdict.MISMATCH, "grad_vpreds")


def test_gradients_must_be_zero_outside_the_response():
    case = CASES["trl_grpo_kl"]
    moved = case.expected["grad_logprobs"] + 0.01 * (1 - case.inputs["mask"])
    assert run_case(expecting(case, grad_logprobs=moved)).verdict is Verdict.MISMATCH


def test_advantages_are_compared_at_response_tokens_alone():
    case = CASES["verl_grpo"]
    outside = 1 - case.inputs["mask"]
    assert run_case(expecting(case, returns=case.expected["returns"] + 5 * outside)).verdict is Verdict.PASS


def test_single_precision_of_a_peer_is_told_by_its_tag():
    case = CASES["verl_grpo"]
    rough = expecting(case, loss=case.expected["loss"] + 1e-7)
    assert run_case(rough).verdict is Verdict.MISMATCH
    assert run_case(tagged(rough, "extended", "float32")).verdict is Verdict.PASS


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_a_number_matches_nothing(wrong):
    case = CASES["trl_grpo_kl"]
    result = run_case(expecting(case, loss=torch.tensor(wrong, dtype=torch.float64)))
    assert (result.verdict, result.error) == (Verdict.MISMATCH, math.inf)


def test_another_shape_matches_nothing():
    case = CASES["trl_grpo_kl"]
    result = run_case(expecting(case, grad_logprobs=case.expected["grad_logprobs"][:, :2]))
    assert result.verdict is Verdict.MISMATCH


def test_an_expectation_that_nothing_computes_is_reported():
    case = CASES["trl_grpo_kl"]
    result = run_case(expecting(case, novelty=torch.zeros(())))
    assert result.verdict is Verdict.INEXPRESSIBLE
    assert "novelty" in result.reason


def test_leaving_a_case_out_on_purpose_is_no_excuse_unless_it_is_extended():
    case = CASES["verl_vanilla"]
    drawn = dataclasses.replace(case, params={**case.params, "loss_mode": "clip_cov", "clip_cov_ratio": 0.5})
    for tags, verdict in (
        (("core",), Verdict.INEXPRESSIBLE),
        (("accumulation",), Verdict.INEXPRESSIBLE),
        (("extended",), Verdict.OUT_OF_SCOPE),
        ((), Verdict.OUT_OF_SCOPE),
    ):
        result = run_case(tagged(drawn, *tags))
        assert result.verdict is verdict
        assert "random" in result.reason


def test_a_choice_among_equals_is_out_of_scope():
    case = CASES["verl_vanilla"]
    params = {**case.params, "loss_mode": "kl_cov", "kl_cov_ratio": 0.3, "ppo_kl_coef": 1.0}
    inputs = {**case.inputs, "advantages": torch.zeros_like(case.inputs["mask"])}
    tied = tagged(dataclasses.replace(case, params=params, inputs=inputs), "extended")
    assert run_case(tied).verdict is Verdict.OUT_OF_SCOPE
    every = dataclasses.replace(tied, params={**params, "kl_cov_ratio": 1.0})
    assert run_case(every).verdict is Verdict.MISMATCH


def test_a_value_that_a_part_refuses_is_reported_with_the_parts_reason():
    case = CASES["trl_grpo_kl"]
    result = run_case(dataclasses.replace(case, params={**case.params, "epsilon_high": -0.5}))
    assert result.verdict is Verdict.INEXPRESSIBLE
    assert "ClipMask.high=-0.5" in result.reason


def test_arrays_that_do_not_fit_together_are_reported_not_raised():
    case = CASES["trl_grpo_kl"]
    for name in ("old_logprobs", "advantages", "group", "rewards"):
        short = {**case.inputs, name: case.inputs[name][:-1]}
        assert run_case(dataclasses.replace(case, inputs=short)).verdict is Verdict.INEXPRESSIBLE, name


def test_the_loss_is_computed_with_the_advantages_that_the_case_gives():
    case = CASES["trl_grpo_kl"]
    other = dataclasses.replace(case, inputs={**case.inputs, "advantages": case.inputs["advantages"] * 2})
    result = run_case(other)
    assert result.verdict is Verdict.MISMATCH
    assert result.where in ("loss", "grad_logprobs")
    without = {name: tensor for name, tensor in case.inputs.items() if name != "advantages"}
    assert run_case(dataclasses.replace(case, inputs=without)).verdict is Verdict.PASS


MUTATIONS = [
    (ClipMask, "__call__", {"trl_grpo_kl", "trl_dr_grpo", "trl_gspo", "verl_gspo", "verl_vanilla"}),
    (ClipMask, "bounded", {"trl_grpo_kl", "trl_dr_grpo", "trl_gspo", "verl_gspo", "verl_vanilla"}),
    (DualClipMask, "bounded", {"verl_vanilla", "verl_vanilla_seq_mean", "verl_gae"}),
    (TwoSidedClipMask, "__call__", {"trl_grpo_delta"}),
    (TwoSidedClipMask, "bounded", {"trl_grpo_delta"}),
    (SoftClipMask, "__call__", {"trl_sapo"}),
    (SoftClipMask, "bounded", {"trl_sapo"}),
    (BehaviorPolicy, "integral", {"trl_grpo_kl", "verl_vanilla"}),
    (ClippedRatio, "__call__", {"trl_cispo", "verl_cispo"}),
    (Constant, "__call__", {"trl_sft_nll", "trl_sft_dft"}),
    (SequenceLikelihood, "__call__", {"trl_gspo", "trl_gspo_kl_times_ratio"}),
    (SequenceLikelihood, "pull_back", {"trl_gspo", "trl_gspo_kl_times_ratio"}),
    (SequenceTokenLikelihood, "pull_back", {"verl_gspo"}),
    (GroupRelative, "__call__", {"trl_grpo_kl", "trl_grpo_delta", "trl_dr_grpo", "verl_grpo_no_std"}),
    (LeaveOneOut, "__call__", {"verl_rloo"}),
    (OptimalBaseline, "__call__", {"verl_opo"}),
    (Gae, "returns", {"verl_gae"}),
    (TokenMean, "__call__", {"trl_bnpo_accumulated", "trl_dapo_accumulated", "trl_sft_nll", "verl_dro"}),
    (SequenceMean, "__call__", {"trl_grpo_kl", "trl_sapo", "trl_rloo_kl_in_reward"}),
    (FixedLengthMean, "__call__", {"trl_dr_grpo", "verl_gpg", "verl_cispo"}),
    (KlPenalty, "coefficients", {"trl_grpo_kl", "verl_vanilla", "verl_gpg", "verl_dro"}),
    (KlPenalty, "objective", {"trl_grpo_kl", "verl_vanilla", "verl_gpg", "verl_dro"}),
    (ValueLoss, "coefficients", {"verl_value_loss"}),
    (ValueLoss, "objective", {"verl_value_loss"}),
]


def scaled(found):
    """Return what a formula gave, a thousandth off."""
    if isinstance(found, torch.Tensor):
        return found * 1.001
    return type(found)(*(None if part is None else scaled(part) for part in found))


@pytest.mark.parametrize(
    ("part", "method", "names"), MUTATIONS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_formula_of_a_part_that_is_a_thousandth_off_makes_its_cases_red(monkeypatch, part, method, names):
    true = getattr(part, method)

    @functools.wraps(true)
    def wrong(*arguments):
        return scaled(true(*arguments))

    monkeypatch.setattr(part, method, wrong)
    for name in names:
        assert run_case(CASES[name]).verdict is Verdict.MISMATCH, name
