import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Coefficients,
    Constant,
    CurrentPolicy,
    Curriculum,
    FixedLengthSum,
    KeepAll,
    PolicyGradient,
    PolicyTokens,
    Rollouts,
    SequenceLikelihood,
    Stage,
    Term,
    TermPlan,
    TokenLikelihood,
    TokenMean,
    surrogate,
)
from tests.core.batches import batch

PROJECT = Path(__file__).parents[2]

STEP = dataclasses.replace(
    batch([1.0, 1.0], lengths=[2, 3]),
    behavior_logp=torch.tensor([[-2.0, -3.0, 9.0], [-1.0, -1.0, -1.0]], dtype=torch.float64),
)
POLICY = PolicyTokens(torch.tensor([[-1.0, -3.5, 7.0], [-1.0, -2.5, -1.0]], dtype=torch.float64))
TOKENWISE = PolicyGradient(KeepAll(), BehaviorPolicy(), Constant(2.0), TokenLikelihood())


def planned(advantage):
    """Return the plan of a term of weight 1 everywhere."""
    return TermPlan(advantage, torch.ones_like(advantage))


def coefficients(estimator, policy=POLICY):
    return estimator.coefficients(planned(estimator.advantage(STEP)), policy, STEP)


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-14, atol=0)


def test_coefficients_are_mask_times_ratio_times_advantage():
    found = coefficients(TOKENWISE)
    close(found.ratio, [[math.e, math.exp(-0.5), 1], [1, math.exp(-1.5), 1]])
    close(found.logp, [[2 * math.e, 2 * math.exp(-0.5), 0], [2, 2 * math.exp(-1.5), 2]])


def test_a_clipped_token_has_no_coefficient_but_is_reported():
    found = coefficients(dataclasses.replace(TOKENWISE, mask=ClipMask(0.2, 0.2)))
    assert found.stable.tolist() == [[0, 1, 1], [1, 1, 1]]
    assert found.logp[0, 0] == 0.0
    close(found.ratio[0, 0], math.e)


def test_the_current_policy_as_denominator_makes_every_ratio_one():
    found = coefficients(dataclasses.replace(TOKENWISE, denominator=CurrentPolicy()))
    assert (found.ratio == 1.0).all()


@dataclasses.dataclass(frozen=True)
class HalfTrust:
    """A mask with weights between 0 and 1, as no hard clip has."""

    def __call__(self, ratio, advantage, policy, batch):
        return torch.where(ratio > 1, 0.5, 0.25).to(ratio.dtype)


def test_a_mask_between_zero_and_one_scales_the_coefficient():
    whole = coefficients(TOKENWISE).logp
    found = coefficients(dataclasses.replace(TOKENWISE, mask=HalfTrust())).logp
    close(found / 2, (whole * torch.tensor([[0.25, 0.125, 0], [0.125, 0.125, 0.125]])).tolist())


def test_a_clipped_token_whose_ratio_overflowed_has_coefficient_zero():
    policy = PolicyTokens(torch.full((2, 3), 5000.0, dtype=torch.float64))
    found = coefficients(dataclasses.replace(TOKENWISE, mask=ClipMask()), policy)
    assert found.ratio[STEP.response_mask].isinf().all()
    assert not found.logp.any()


@dataclasses.dataclass(frozen=True)
class SquaredPolicy:
    """A denominator computed from the policy, as shaped ones are."""

    def __call__(self, policy, batch):
        assert policy.logp.isfinite().all()
        return 2 * policy.logp


def test_parts_never_see_log_probs_outside_the_response():
    garbled = PolicyTokens(torch.where(STEP.response_mask, POLICY.logp, torch.nan))
    found = coefficients(dataclasses.replace(TOKENWISE, denominator=SquaredPolicy()), garbled)
    close(found.ratio, [[math.e, math.exp(3.5), 1], [math.e, math.exp(2.5), math.e]])


def test_an_optional_field_is_read_as_zero_outside_the_response():
    scrambled = torch.where(STEP.response_mask, STEP.behavior_logp, torch.nan)
    found = BehaviorPolicy()(POLICY, dataclasses.replace(STEP, behavior_logp=scrambled))
    assert torch.equal(found, torch.where(STEP.response_mask, STEP.behavior_logp, 0.0))


def test_an_advantage_outside_the_response_has_no_coefficient():
    found = TOKENWISE.coefficients(planned(torch.ones(2, 3, dtype=torch.float64)), POLICY, STEP)
    assert torch.equal(found.logp != 0, STEP.response_mask)


def test_a_sequence_likelihood_of_an_empty_response_is_finite():
    empty = batch([1.0, 0.0], lengths=[0, 1])
    assert not SequenceLikelihood()(torch.full((2, 2), torch.nan), torch.ones(2, 2), empty)[0].any()


def test_a_sequence_likelihood_gives_all_tokens_of_a_row_the_mean_log_ratio():
    found = coefficients(dataclasses.replace(TOKENWISE, likelihood=SequenceLikelihood()))
    first, second = 2 * math.exp(0.5 / 2), 2 * math.exp(-1.5 / 3)
    close(found.logp, [[first, first, 0], [second] * 3])
    close(found.ratio, [[first / 2, first / 2, 1], [second / 2] * 3])


def test_a_part_says_what_it_reads_and_the_rows_lack():
    with pytest.raises(ValueError, match="BehaviorPolicy reads behavior_logp"):
        TOKENWISE.coefficients(
            planned(Constant()(STEP)), POLICY, dataclasses.replace(STEP, behavior_logp=None)
        )


def test_a_term_multiplies_its_weight_the_rows_and_the_factor():
    term = Term("one", TOKENWISE, Rollouts(), FixedLengthSum(4), weight=3.0)
    plan = term.plan(STEP)
    assert plan.weight.tolist() == [[0.75, 0.75, 0.0], [0.75] * 3]
    found = term.coefficients(plan, POLICY, STEP)
    close(found.logp, (0.75 * coefficients(TOKENWISE).logp).tolist())


def test_the_gradient_of_the_surrogate_is_the_negated_sum_of_coefficients_inside_the_mask():
    logp, entropy = (torch.full((2, 3), -1.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ones, twos = torch.ones(2, 3, dtype=torch.float64), torch.full((2, 3), 2.0, dtype=torch.float64)
    found = (Coefficients(ones, entropy=twos), Coefficients(twos))
    loss = surrogate(found, PolicyTokens(logp, entropy), STEP)
    loss.backward()
    mask = STEP.response_mask
    assert torch.equal(logp.grad, torch.where(mask, -3.0, 0.0))
    assert torch.equal(entropy.grad, torch.where(mask, -2.0, 0.0))
    assert loss == 3 * 5 + 2 * 5


def test_a_term_on_entropy_is_never_dropped_in_silence():
    found = (Coefficients(torch.ones(2, 3), entropy=torch.ones(2, 3)),)
    with pytest.raises(ValueError, match=r"PolicyTokens\.entropy is None"):
        surrogate(found, PolicyTokens(torch.zeros(2, 3)), STEP)


def test_an_algorithm_needs_terms():
    with pytest.raises(ValueError, match="'empty' has no terms"):
        Algorithm("empty", ())


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.6)])
def test_the_stages_of_a_curriculum_take_the_whole_run(shares):
    algorithm = Algorithm("one", (Term("one", TOKENWISE, Rollouts(), FixedLengthSum(4)),))
    with pytest.raises(ValueError, match="stages of Curriculum 'two'"):
        Curriculum("two", tuple(Stage(algorithm, share) for share in shares))


@pytest.mark.parametrize("field", ["group", "reward", "behavior_logp"])
def test_a_batch_refuses_fields_that_do_not_fit_its_mask(field):
    wrong = torch.zeros(5, dtype=getattr(STEP, field).dtype)
    with pytest.raises(Exception, match=field):
        dataclasses.replace(STEP, **{field: wrong})


def test_log_probs_of_another_shape_than_the_batch_are_refused_and_not_broadcast():
    term = Term(
        "imitate",
        PolicyGradient(KeepAll(), CurrentPolicy(), Constant(1.0), TokenLikelihood()),
        Rollouts(),
        TokenMean(),
    )
    plan = Algorithm("sft", (term,)).plan(STEP)
    with pytest.raises(ValueError, match=r"PolicyTokens\.logp has shape \(2, 1\).*must be equal"):
        plan.coefficients(PolicyTokens(torch.zeros(2, 1, dtype=torch.float64)), STEP)


def test_a_reward_a_token_is_refused_where_one_a_row_is_due_also_without_type_checks():
    code = (
        "import torch; from core import TokenBatch; mask = torch.ones(2, 3, dtype=torch.bool); "
        "TokenBatch(mask, torch.zeros(2, dtype=torch.long), mask[:, 0], reward=torch.ones(2, 3))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert "ValueError: TokenBatch.reward has shape (2, 3)" in done.stderr
    assert "must have (2,)" in done.stderr
