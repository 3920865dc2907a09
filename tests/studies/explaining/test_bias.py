"""Whether estimators are reported as unbiased: against enumeration and autograd written out here."""

import itertools

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BatchScaled,
    BehaviorPolicy,
    ClipMask,
    Demonstrations,
    EntropyBonus,
    Failed,
    FixedLengthMean,
    FixedLengthSum,
    GreedyBaseline,
    GroupRelative,
    HysteresisGate,
    KeepAll,
    LeaveOneOut,
    Linear,
    Mixed,
    Outcome,
    PolicyGradient,
    QuestionMean,
    Rollouts,
    ScheduleGate,
    SequenceMean,
    Solved,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    TotalReward,
)
from studies.explaining.bias import counted_terms, find_bias
from studies.explaining.tabular import Table, expected_gradient
from studies.explaining.verdicts import Measured, formula, verdict
from tests.studies.explaining.composed import CLIPPED, IMITATE, gradient_of, one

TABLE = Table(((0.0, 1.0, 0.5), (1.0, 0.0, 0.0)), samples=2, tilt=0.3)
TAILED = Table(((0.0, 1.0), (1.0, 0.5)), samples=2, tilt=-0.4, tail=3)


def log_chances(table, logits):
    """Return each response's token log-probs, by question: go on up to the position where it stops."""
    found = []
    for question in range(table.questions):
        goes_on = torch.nn.functional.logsigmoid(logits[question])
        stops = torch.nn.functional.logsigmoid(-logits[question])
        ended = [[*goes_on[:length], stops[length]] for length in range(table.responses - 1)]
        found.append([torch.stack(tokens) for tokens in [*ended, list(goes_on)]])
    return found


def true_gradient(table):
    """Return the derivative of the mean expected reward."""
    logits = table.logits.clone().requires_grad_()
    spoken = log_chances(table, logits)
    expected = sum(
        tokens.sum().exp() * reward
        for responses, rewards in zip(spoken, table.rewards, strict=True)
        for tokens, reward in zip(responses, rewards, strict=True)
    )
    (expected / table.questions).backward()
    return logits.grad


def enumerated_gradient(table, loss):
    """Return the expectation of −∂loss over all ordered samples."""
    logits = table.logits.clone().requires_grad_()
    spoken = log_chances(table, logits)
    choices = list(itertools.product(range(table.responses), repeat=table.samples))
    total = torch.zeros(())
    for drawn in itertools.product(choices, repeat=table.questions):
        rows = [[spoken[q][response] for response in one] for q, one in enumerate(drawn)]
        rewards = [[table.rewards[q][response] for response in one] for q, one in enumerate(drawn)]
        chance = torch.stack([tokens.sum() for group in rows for tokens in group]).sum().exp().detach()
        total = total - chance * loss(rows, rewards)
    total.backward()
    return logits.grad


def grpo_loss(rows, rewards):
    """Return GRPO's loss, its ratio being 1, as a textbook has it."""
    loss = torch.zeros((), dtype=torch.float64)
    for group, scores in zip(rows, rewards, strict=True):
        scores = torch.tensor(scores, dtype=torch.float64)
        spread = float(scores.std())
        credit = (scores - scores.mean()) / (spread + 1e-6) if spread > 0 else torch.zeros_like(scores)
        for tokens, advantage in zip(group, credit, strict=True):
            ratio = (tokens - tokens.detach()).exp()
            loss = loss - (ratio * advantage).mean() / (len(rows) * len(group))
    return loss


def token_mean_loss(rows, rewards):
    """Return the loss of REINFORCE with rewards, as a mean over all tokens."""
    tokens = torch.cat([row for group in rows for row in group])
    rewarded = [row * reward for group, scores in zip(rows, rewards, strict=True)
                for row, reward in zip(group, scores, strict=True)]  # fmt: skip
    return -torch.cat(rewarded).sum() / len(tokens)


def test_the_true_gradient_is_the_derivative_of_the_expected_reward():
    for table in (TABLE, TAILED):
        torch.testing.assert_close(table.true_gradient(), true_gradient(table), rtol=1e-12, atol=1e-14)


def test_the_chances_of_responses_and_of_groups_add_up_to_1():
    table = Table(((0.0, 1.0, 0.5, 2.0), (1.0, 0.0, 0.0, 0.0)), samples=3)
    torch.testing.assert_close(table.chances.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert sum(chance for chance, _ in table.groups()) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("algorithm", "loss"), [
    (one(CLIPPED), grpo_loss), (gradient_of(TotalReward(), TokenMean()), token_mean_loss),
])  # fmt: skip
@pytest.mark.parametrize("samples", [2, 3])
def test_expected_gradients_are_those_of_all_ordered_samples(algorithm, loss, samples):
    table = Table(((0.0, 1.0, 0.5), (1.0, 0.0, 0.0)), samples, tilt=0.3)
    expected = enumerated_gradient(table, loss)
    torch.testing.assert_close(expected_gradient(algorithm, table, [0]), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("algorithm", "loss"), [
    (one(CLIPPED), grpo_loss), (gradient_of(TotalReward(), TokenMean()), token_mean_loss),
])  # fmt: skip
def test_a_tail_lengthens_the_last_response_and_adds_nothing_else(algorithm, loss):
    expected = enumerated_gradient(TAILED, loss)
    torch.testing.assert_close(expected_gradient(algorithm, TAILED, [0]), expected, rtol=1e-9, atol=1e-12)
    assert TAILED.mask.sum(dim=1).tolist() == [1, 4]
    assert bool((expected[:, 1:] == 0).all())


def said(algorithm, samples=3):
    """Return the verdicts where rewards are 0 and 1, and where they are not."""
    found = find_bias(algorithm, samples)
    return found.binary, found.graded


UNBIASED = ("unbiased", "unbiased")


@pytest.mark.parametrize("advantage", [TotalReward(), LeaveOneOut(), GreedyBaseline()])
def test_baselines_that_do_not_depend_on_the_action_leave_no_bias(advantage):
    assert said(gradient_of(advantage)) == UNBIASED


def test_the_group_mean_shrinks_the_gradient_by_the_own_share():
    for aggregation, tail in ((FixedLengthMean(1), ""), (FixedLengthMean(52), " · 1/52")):
        found = said(gradient_of(GroupRelative(normalize_std=False), aggregation))
        expected = f"unbiased up to the factor (n − 1)/n{tail} (n rollouts of a question)"
        assert found == (expected, expected)


def test_dr_grpo_is_unbiased_and_grpo_is_not():
    dr_grpo, grpo = said(ALGORITHMS["dr_grpo"](length=52)), said(ALGORITHMS["grpo"]())
    assert dr_grpo[0].startswith("unbiased up to the factor (n − 1)/n · 1/52")
    assert grpo[0].startswith("biased: cosine")
    assert grpo[1].startswith("biased: cosine")


def test_each_of_its_two_divisions_alone_biases_grpo():
    by_length = gradient_of(GroupRelative(normalize_std=False), SequenceMean())
    by_spread = gradient_of(GroupRelative(), FixedLengthMean(1))
    assert all(found.startswith("biased") for found in said(by_length, 4) + said(by_spread, 4))


def test_of_few_rollouts_every_mixed_group_has_the_same_spread():
    # Of 3 rollouts 1 or 2 are solved: their variance is 1/3 either way, and (n − 1)/n · √3 = 1.1547.
    found = said(gradient_of(GroupRelative(epsilon=0.0), FixedLengthMean(1)), 3)
    assert found[0] == "unbiased up to the factor 1.15 (with 3 rollouts of a question)"
    assert found[1].startswith("biased")


def test_a_sum_over_rows_grows_with_rollouts_and_questions():
    found = said(gradient_of(LeaveOneOut(), FixedLengthSum(4)))[0]
    assert found == "unbiased up to the factor n · q · 1/4 (n rollouts of a question, q questions of a step)"


def test_plus_and_minus_one_is_twice_the_reward_only_where_that_is_0_or_1():
    binary, graded = said(gradient_of(Outcome(1.0, -1.0)))
    assert binary == "unbiased up to the factor 2"
    assert graded.startswith("biased: cosine")
    assert said(ALGORITHMS["reinforce"]())[0].startswith("biased: cosine")


def test_a_demonstration_in_the_baseline_counts_as_one_more_rollout():
    union = GroupRelative("rollouts_and_demonstrations", normalize_std=False)
    estimator = PolicyGradient(KeepAll(), BehaviorPolicy(), union, TokenLikelihood())
    terms = (Term("reinforce", estimator, Rollouts(), FixedLengthMean(1)),
             Term("imitate", IMITATE, Demonstrations(), TokenMean()))  # fmt: skip
    assert said(Algorithm("both", terms))[0] == (
        "unbiased up to the factor n/(n + 1) (n rollouts of a question)"
    )


def test_a_mean_over_questions_is_a_mean_over_rows():
    assert said(gradient_of(LeaveOneOut(), QuestionMean("sum"))) == UNBIASED


def test_statistics_of_the_whole_batch_bias():
    assert said(gradient_of(BatchScaled(LeaveOneOut())))[0].startswith("biased: cosine")


def test_leaving_out_groups_without_signal_biases_the_mean_over_rows():
    estimator = gradient_of(GroupRelative(normalize_std=False)).terms[0].estimator
    assert said(one(estimator, Mixed(Rollouts()), FixedLengthMean(1)))[0].startswith("biased")
    assert said(one(estimator, Mixed(Rollouts()), FixedLengthSum(1)))[0].startswith("unbiased up to")


def test_solved_rows_alone_have_the_gradient_of_the_reward_where_that_is_0_or_1():
    estimator = gradient_of(TotalReward()).terms[0].estimator
    binary, graded = said(one(estimator, Solved(Rollouts()), FixedLengthSum(1)))
    assert binary == "unbiased up to the factor n · q (n rollouts of a question, q questions of a step)"
    assert graded.startswith("biased")


def test_a_gate_at_0_drops_only_groups_without_a_gradient():
    estimator = PolicyGradient(
        KeepAll(), BehaviorPolicy(), GroupRelative(normalize_std=False), TokenLikelihood()
    )
    at_0, at_half = (
        one(estimator, Rollouts(ThresholdGate(threshold)), FixedLengthSum(1)) for threshold in (0.0, 0.5)
    )
    assert said(at_0)[0].startswith("unbiased up to the factor (n − 1) · q")
    assert said(at_0)[1].startswith("biased")
    assert said(at_half)[0].startswith("biased")


def test_terms_off_the_policy_are_left_out_and_named():
    terms = (Term("reinforce", gradient_of(LeaveOneOut()).terms[0].estimator, Rollouts(), FixedLengthMean(1)),
             Term("imitate", IMITATE, Demonstrations(), TokenMean()),
             EntropyBonus(0.1, Rollouts(), TokenMean()))  # fmt: skip
    found = find_bias(Algorithm("all", terms), 3)
    assert found.text() == (
        "unbiased (counted: reinforce; left out: imitate (on given tokens), entropy (additive))"
    )


def test_terms_on_given_prefixes_are_left_out():
    found = counted_terms(ALGORITHMS["uft"](), 3)
    assert (found.counted, found.given) == (("reinforce",), ("imitate",))


def test_without_a_term_on_rollouts_nothing_is_said_of_the_reward():
    assert (
        find_bias(ALGORITHMS["sft"](), 3).text() == "no term on rollouts; left out: imitate (on given tokens)"
    )


def test_no_signal_is_no_gradient():
    assert said(gradient_of(Outcome(1.0, 1.0)))[0] == "no gradient in expectation"


def test_a_gradient_that_is_turned_around_has_a_negative_factor():
    turned = said(gradient_of(LeaveOneOut(), weight=-2.0))
    assert turned == ("descends: the expectation is the gradient times −2",) * 2
    scaled = said(gradient_of(GroupRelative(normalize_std=False), FixedLengthSum(52), weight=-1.0))[0]
    assert scaled == (
        "descends: the expectation is the gradient times −(n − 1) · q · 1/52 "
        "(n rollouts of a question, q questions of a step)"
    )
    turned = said(gradient_of(GroupRelative(), SequenceMean(), weight=-1.0), 4)
    assert all(found.startswith("biased: cosine as low as −") for found in turned)


def test_the_greedy_reward_is_that_of_the_likeliest_tokens():
    table = Table(((0.3, 0.5, 0.7, 0.9), (0.2, 0.4, 0.6, 0.8)), samples=2)
    assert table.logits.tolist() == [[0.4, -0.3, 0.8], [-0.9, 0.6, 0.1]]
    greedy = table.rows().step.greedy_reward
    assert {(int(q), float(r)) for q, r in zip(table.rows().step.group, greedy, strict=True)} == {
        (0, 0.5),
        (1, 0.2),
    }


def test_two_terms_are_counted_together():
    half = gradient_of(LeaveOneOut()).terms[0].estimator
    terms = tuple(Term(name, half, Rollouts(), FixedLengthMean(1), 0.5) for name in ("one", "two"))
    assert said(Algorithm("halves", terms)) == UNBIASED


def test_a_clip_does_nothing_on_policy():
    bound = PolicyGradient(ClipMask(0.0, 0.0), BehaviorPolicy(), LeaveOneOut(), TokenLikelihood())
    assert said(one(bound, aggregation=FixedLengthMean(1))) == UNBIASED


def measured(samples, questions, factor):
    rewards = ((0.0, 1.0, 0.5), (1.0, 0.0, 0.0))[:questions]
    return Measured(Table(rewards, samples), 1.0, factor, parallel=True)


@pytest.mark.parametrize(("of", "text"), [
    (lambda n, q: 0.25, "unbiased up to the factor 1/4"),
    (lambda n, q: 3.0, "unbiased up to the factor 3"),
    (lambda n, q: -1.0, "descends: the expectation is the gradient times −1"),
    (lambda n, q: 1.0, "unbiased"),
    (lambda n, q: n * q, "unbiased up to the factor n · q (n rollouts of a question, q questions of a step)"),
    (lambda n, q: (n - 1) / n, "unbiased up to the factor (n − 1)/n (n rollouts of a question)"),
    (lambda n, q: 0.3 + n / 10,
     "biased: parallel to the true gradient on the small policies tried, but by factors from 0.5 to 0.9"),
    (lambda n, q: 0.3 + q / 10,
     "biased: parallel to the true gradient on the small policies tried, but by several factors"),
])  # fmt: skip
def test_factors_are_told_by_a_formula_that_fits_all_of_them(of, text):
    places = [(2, 1), (2, 2), (3, 2), (6, 1)]
    assert verdict([measured(n, q, of(n, q)) for n, q in places]) == text


def test_powers_are_written_as_a_fraction():
    assert formula((2, 0, -1, 1)) == "n² · q/(n + 1)"
    assert formula((-1, 0, 0, -1)) == "1/(n · q)"
    assert formula((0, 1, 0, 0)) == "(n − 1)"


@pytest.mark.parametrize(("samples", "rollouts"), [(1, "1 rollout"), (4, "4 rollouts")])
def test_a_factor_that_no_formula_tells_is_told_for_the_number_of_rollouts(samples, rollouts):
    here = [measured(samples, q, 0.3 * q) for q in (1, 1, 2)]
    elsewhere = [measured(n, 1, n**0.5) for n in (2, 3)]
    assert verdict(here, lambda: elsewhere) == (
        f"unbiased up to the factor q · 0.3 (with {rollouts} of a question, q questions of a step)"
    )


def test_other_numbers_of_rollouts_may_be_biased_without_harm():
    here, other = [measured(4, q, 1.0) for q in (1, 2)], Measured(Table(((0.0, 1.0),), 3), 0.5, 0.3, False)
    assert verdict(here, lambda: [other]) == "unbiased (with 4 rollouts of a question)"
    alone = verdict(here[:1], lambda: [other])
    assert alone == "unbiased (with 4 rollouts of a question, one question a step)"


def test_a_policy_without_a_gradient_has_no_cosine():
    nothing, skewed = measured(4, 1, 0.0), Measured(Table(((0.0, 1.0),), 4), 0.5, 0.3, False)
    assert verdict([nothing, skewed]) == (
        "biased: cosine as low as 0.5 with the true gradient on the small policies tried; "
        "no gradient on others"
    )
    straight = verdict([nothing, measured(4, 1, 0.25), measured(4, 1, 0.5)])
    assert straight == (
        "biased: cosine above 0.999 with the true gradient on the small policies tried, "
        "but by factors from 0.25 to 0.5; no gradient on others"
    )
    assert verdict([nothing, nothing]) == "no gradient in expectation"


def gated(threshold):
    """Return HPT's estimator of rollouts, of questions above a threshold."""
    estimator = PolicyGradient(
        KeepAll(), BehaviorPolicy(), GroupRelative(normalize_std=False), TokenLikelihood()
    )
    return one(estimator, Rollouts(ThresholdGate(threshold)), FixedLengthSum(1))


def test_a_gate_is_judged_with_the_rollouts_of_the_settings():
    assert said(gated(0.125), 4)[0].startswith("unbiased up to the factor (n − 1) · q")
    assert said(gated(0.125), 8)[0].startswith("biased")
    assert said(gated(0.5), 2)[0] == "no gradient in expectation"


def test_a_lone_rollout_has_no_group_to_shrink_its_gradient():
    (binary, graded) = said(gradient_of(GroupRelative(normalize_std=False), FixedLengthMean(52)), 1)
    assert binary == graded == "unbiased up to the factor 1/52 (with 1 rollout of a question)"


def test_of_many_rollouts_too_a_sum_grows_with_the_questions():
    found = said(gradient_of(LeaveOneOut(), FixedLengthSum(4)), 16)[0]
    assert found == "unbiased up to the factor n · q · 1/4 (n rollouts of a question, q questions of a step)"
    assert all("unbiased" not in each for each in said(gated(0.0), 65)[1:])


def test_a_term_that_trains_no_token_is_left_out_as_such():
    idle = Term("idle", IMITATE, Failed(Solved(Demonstrations())), TokenMean())
    found = find_bias(Algorithm("with", (*gradient_of(LeaveOneOut()).terms, idle)), 3)
    assert found.text() == "unbiased (counted: only; left out: idle (trains no token))"


def test_what_changes_over_the_run_is_told_of_its_middle():
    estimator = gradient_of(LeaveOneOut()).terms[0].estimator
    scheduled = one(estimator, Rollouts(ScheduleGate(Linear(1.0, 0.5))), FixedLengthMean(1))
    assert find_bias(scheduled, 3).text() == (
        "unbiased up to the factor 1/4; that is so half-way through the run (counted: only)"
    )


def test_what_is_remembered_is_not_known_in_a_first_step():
    estimator = gated(0.0).terms[0].estimator
    remembering = one(estimator, Rollouts(HysteresisGate(0.0, 0.5)), FixedLengthSum(1))
    assert "; that is so in a first step (counted: only)" in find_bias(remembering, 3).text()
