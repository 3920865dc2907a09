"""One optimizer step against textbook losses that autograd differentiates over the whole batch."""

import copy
import dataclasses

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from algorithms import grpo, sft
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
    TokenLikelihood,
)
from tests.training.rows import make_row, row_logp
from tests.training.textbook import CASES, DEMONSTRATIONS, ROLLOUTS, ROWS
from training.providers import Models, policy_scores
from training.responses import token_batch
from training.update import NotFiniteError, Rates
from training.update import update as update_models


def update(engine, algorithm, rows, learning_rate, behavior=None):
    """Take one step of a policy by itself and return its report."""
    step = dataclasses.replace(token_batch(rows, engine.device), behavior_logp=behavior)
    return update_models(Models(engine), algorithm, step, rows, Rates(learning_rate, 0.0)).report


def behavior_logp(engine, rows):
    return policy_scores(Models(engine), rows).logp


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@pytest.fixture
def gradients():
    """Record the gradient that each optimizer step is given."""
    seen = []

    def record(optimizer, *_):
        group = optimizer.param_groups[0]["params"]
        seen.append(flat(torch.zeros_like(p) if p.grad is None else p.grad for p in group))

    handle = register_optimizer_step_pre_hook(record)
    yield seen
    handle.remove()


@pytest.fixture
def unclipped_engine(make_engine):
    """Return a builder of engines that leave the gradient as it is."""

    def make(micro_batch_tokens=64):
        return make_engine(gradient_clip=None, micro_batch_tokens=micro_batch_tokens)

    return make


def double_model(engine):
    return copy.deepcopy(engine.module.model).double()


def textbook_gradient(engine, loss, old):
    model = double_model(engine)
    return flat(torch.autograd.grad(loss(model, old), list(model.parameters())))


def current_logp(engine):
    model = double_model(engine)
    with torch.no_grad():
        return {row: row_logp(model, row) for row in ROWS}


def assert_same(actual, expected, tolerance=1e-5):
    assert float(expected.norm()) > 1e-3
    assert float((actual - expected).norm() / expected.norm()) < tolerance


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_a_step_is_that_of_the_textbook_loss(unclipped_engine, gradients, name):
    algorithm, loss = CASES[name]
    engine = unclipped_engine()
    expected = textbook_gradient(engine, loss, current_logp(engine))
    report = update(engine, algorithm, ROWS, 1e-3)
    assert_same(gradients[0], expected)
    assert report.gradient_norm == pytest.approx(float(expected.norm()), rel=1e-5)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "hpt"])
def test_the_second_update_weighs_by_the_policy_before_the_first(unclipped_engine, gradients, name):
    algorithm, loss = CASES[name]
    engine = unclipped_engine()
    old = current_logp(engine)
    known = behavior_logp(engine, ROWS)
    first = update(engine, algorithm, ROWS, 1e-2, known)
    expected = textbook_gradient(engine, loss, old)
    second = update(engine, algorithm, ROWS, 1e-2, known)
    assert_same(gradients[1], expected)
    assert first.ratio / first.term_tokens == pytest.approx(1.0, abs=1e-6)
    assert abs(second.ratio / second.term_tokens - 1.0) > 1e-3


def test_the_clip_binds_in_the_second_update(unclipped_engine):
    engine = unclipped_engine()
    known = behavior_logp(engine, ROWS)
    assert update(engine, grpo(), ROWS, 1e-2, known).masked == 0.0
    assert update(engine, grpo(), ROWS, 1e-2, known).masked > 0.0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tokens", [1, 30, 64, 10_000])
def test_micro_batches_do_not_change_the_gradient(unclipped_engine, gradients, name, tokens):
    update(unclipped_engine(10_000), CASES[name][0], ROWS, 1e-3)
    update(unclipped_engine(tokens), CASES[name][0], ROWS, 1e-3)
    assert_same(gradients[1], gradients[0])


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_rows_does_not_change_the_gradient(unclipped_engine, gradients, name):
    update(unclipped_engine(), CASES[name][0], ROWS, 1e-3)
    update(unclipped_engine(), CASES[name][0], ROWS[::-1], 1e-3)
    assert_same(gradients[1], gradients[0])


def test_idle_rows_count_in_normalisers_but_are_not_computed(unclipped_engine, gradients):
    report = update(unclipped_engine(), grpo(), ROWS, 1e-3)
    # Question 4 was always solved and question 3 never: their advantages are 0.
    assert report.rows == sum(row.question in (5, 7) for row in ROLLOUTS)
    assert report.selected_rows == len(ROLLOUTS)
    update(unclipped_engine(), grpo(), [row for row in ROWS if row.question in (5, 7)], 1e-3)
    # Without the idle rows the mean is over fewer rows, and nothing else differs.
    assert_same(gradients[1] * 6 / len(ROLLOUTS), gradients[0])
    assert sum(row.question in (5, 7) for row in ROLLOUTS) == 6


def test_the_ratio_of_a_step_on_its_own_samples_is_exactly_one(unclipped_engine):
    report = update(unclipped_engine(), grpo(), ROWS, 1e-3)
    assert report.ratio == report.term_tokens > 0
    assert report.masked == 0.0


def test_a_report_counts_rows_and_tokens_by_source(unclipped_engine):
    report = update(unclipped_engine(), CASES["hpt"][0], ROWS, 1e-3)
    # Question 3 is imitated: one demonstration of 6 tokens; rollouts of 7, 4 and 5 are reinforced.
    trained = [row for row in ROLLOUTS if row.question != 3]
    assert (report.offline_rows, report.offline_tokens) == (1, 6)
    assert report.selected_rows == len(trained) + 1
    assert report.selected_tokens == sum(len(row.tokens) for row in trained) + 6
    # The entropy bonus reaches rows of zero advantage too.
    assert (report.rows, report.tokens) == (report.selected_rows, report.selected_tokens)


def test_the_masked_share_counts_only_tokens_a_term_trains_on(unclipped_engine):
    imitate_nothing = Algorithm("clipped", (CASES["grpo"][0].terms[0], *sft().terms))
    engine = unclipped_engine()
    known = behavior_logp(engine, ROWS) - 1.0
    report = update(engine, imitate_nothing, ROWS, 1e-3, known)
    # All ratios of rollouts are e: the tokens of positive advantage are clipped, the others are kept.
    reinforced = [row for row in ROLLOUTS if row.question in (5, 7)]
    clipped = sum(len(row.tokens) for row in reinforced if row.reward == 1.0)
    demonstrated = sum(len(row.tokens) for row in DEMONSTRATIONS)
    assert report.masked == clipped
    assert report.term_tokens == sum(len(row.tokens) for row in reinforced) + demonstrated


def test_a_step_of_idle_rows_is_taken_with_a_zero_gradient(unclipped_engine, gradients):
    solved_rows = [make_row(1, 4, 5), make_row(1, 4, 3), make_row(2, 5, 2)]
    engine = unclipped_engine()
    before = flat(engine.module.parameters())
    report = update(engine, grpo(), [dataclasses.replace(row, reward=0.0) for row in solved_rows], 0.1)
    assert report.gradient_norm == 0.0
    assert float(gradients[0].abs().max()) == 0.0
    # AdamW decays weights whatever the gradient: w ← (1 − 0.1 · 0.01) w.
    assert torch.allclose(flat(engine.module.parameters()), before * 0.999, rtol=1e-6)


def test_a_part_that_does_not_say_what_it_needs_is_not_given_a_substitute(unclipped_engine):
    @dataclasses.dataclass(frozen=True)
    class Silent:
        def __call__(self, policy, batch):
            return BehaviorPolicy()(policy, batch)

    estimator = PolicyGradient(ClipMask(), Silent(), GroupRelative(), TokenLikelihood())
    silent = Algorithm("silent", (Term("reinforce", estimator, Rollouts(), SequenceMean()),))
    with pytest.raises(ValueError, match="behavior_logp"):
        update(unclipped_engine(), silent, ROWS, 1e-3)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_gradient_that_is_not_finite_stops_the_step_with_its_rows(make_engine, stage):
    engine = make_engine(zero_stage=stage)
    loss = engine.backward
    engine.backward = lambda value, last: loss(value * float("inf"), last=last)
    with pytest.raises(NotFiniteError, match="gradient's norm is") as caught:
        update(engine, sft(), ROWS, 1e-3)
    assert len(caught.value.batch["rows"]) == len(DEMONSTRATIONS)
