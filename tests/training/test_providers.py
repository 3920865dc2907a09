"""What the models give an algorithm before each update: the right numbers, and only those it names."""

import copy
import dataclasses

import pytest
import torch

from algorithms import grpo, sft
from core import (
    Algorithm,
    BehaviorPolicy,
    Constant,
    CurrentPolicy,
    Curriculum,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    SideStep,
    Stage,
    Term,
    TokenLikelihood,
    TokenMean,
)
from tests.training.actor_critic import ppo, row_values
from tests.training.rows import ragged_rows, row_logits, row_logp
from training.config import TrainConfig
from training.learner import Learner
from training.policy import load_model, load_reference
from training.providers import needed

ROWS = ragged_rows()
FIELDS = frozenset({"behavior_logp", "current_logp", "current_entropy", "reference_logp"})


@dataclasses.dataclass(frozen=True)
class Probe:
    """Rewards as advantages; keeps what each plan was given, and the policy as it was then."""

    seen: list
    model: torch.nn.Module
    needs: frozenset = frozenset()
    plan_needs: frozenset = frozenset()

    def __call__(self, step):
        self.seen.append((step, copy.deepcopy(self.model)))
        return GroupRelative()(step)


CURRENT = CurrentPolicy()


def probing(advantage, denominator=CURRENT):
    estimator = PolicyGradient(KeepAll(), denominator, advantage, TokenLikelihood())
    return Algorithm("probing", (Term("only", estimator, Rollouts(), TokenMean()),))


@pytest.fixture
def make_learner(make_engine):
    """Return a builder of learners; `made.engine` is the policy's."""

    def make(updates=2, engine=None, **models):
        engine = engine or make_engine(micro_batch_tokens=64)
        config = TrainConfig(questions_per_step=4, updates_per_step=updates)
        learner = Learner(engine, config, **models)
        learner.engine = engine
        return learner

    return make


def learn(learner, algorithm, rows=ROWS, **changes):
    settings = {"learning_rate": 1e-2, "progress": 0.0, "memory": {}}
    return learner.learn(algorithm, rows, **(settings | changes))


def rows_of(step):
    """Return the rows that a plan was made for, in its order."""
    return [row for row in ROWS if row.question in set(step.group.tolist())]


def assert_by_row(tensor, step, expected):
    """Compare with each row's own numbers; outside the response there must be zeros."""
    rows = rows_of(step)
    assert len(rows) == len(tensor)
    for found, row in zip(tensor, rows, strict=True):
        assert torch.allclose(found[: len(row.tokens)], expected(row).detach().float(), atol=1e-5)
        assert not found[len(row.tokens) :].any()


def entropy(model, row):
    log_probs = row_logits(model, row).log_softmax(dim=-1)
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def test_every_update_is_given_log_probs_of_the_policies_that_their_names_say(policy_path, make_learner):
    learner = make_learner(reference=load_reference(policy_path, "fp32", 1.0))
    learn(learner, sft())
    base, start = load_model(policy_path, "fp32"), copy.deepcopy(learner.engine.module.model)
    seen = []
    learn(learner, probing(Probe(seen, learner.engine.module.model, FIELDS, FIELDS)))
    assert len(seen) == 2
    assert torch.equal(seen[0][0].behavior_logp, seen[0][0].current_logp)
    assert not torch.allclose(seen[1][0].behavior_logp, seen[1][0].current_logp, atol=1e-3)
    for step, then in seen:
        assert_by_row(step.reference_logp, step, lambda row: row_logp(base, row))
        assert_by_row(step.behavior_logp, step, lambda row: row_logp(start, row))
        assert_by_row(step.current_logp, step, lambda row, model=then: row_logp(model, row))
        assert_by_row(step.current_entropy, step, lambda row, model=then: entropy(model, row))


def test_every_update_is_given_the_values_of_the_critic_when_the_batch_was_sampled(
    policy_path, make_learner, make_critic, monkeypatch
):
    critic = make_critic(micro_batch_tokens=64)
    torch.nn.init.normal_(critic.module.model.score.weight, generator=torch.Generator().manual_seed(1))
    learner, seen = make_learner(critic=critic), []
    plan = Algorithm.plan
    monkeypatch.setattr(
        Algorithm,
        "plan",
        lambda self, step: seen.append((step, copy.deepcopy(critic.module.model))) or plan(self, step),
    )
    learn(learner, ppo())
    (first, before), (second, after) = seen
    assert_by_row(first.value, first, lambda row: row_values(before, row))
    assert_by_row(second.value, second, lambda row: row_values(before, row))
    assert not torch.allclose(row_values(before, ROWS[0]), row_values(after, ROWS[0]), atol=1e-4)


def test_nothing_is_given_that_is_not_named(make_learner, policy_path, make_critic):
    learner, seen = make_learner(), []
    for name in sorted(FIELDS - {"reference_logp"}):
        only = frozenset({name})
        learn(learner, probing(Probe(seen, learner.engine.module.model, only, only)))
        for step, _ in seen[-2:]:
            assert {field for field in FIELDS if getattr(step, field) is not None} == only
            assert step.value is None


def refuse(*_, **__):
    raise AssertionError("this model was not needed")


def test_models_that_are_not_needed_are_not_asked(make_learner, make_critic, policy_path):
    critic, reference = make_critic(), load_reference(policy_path, "fp32", 1.0)
    critic.score = reference.forward = refuse
    learn(make_learner(critic=critic, reference=reference), grpo())


@pytest.fixture
def passes(make_engine):
    """Return an engine that takes all rows at once, and the list of its passes: with gradient, or not."""
    engine, seen = make_engine(micro_batch_tokens=10_000), []
    score = engine.score

    def counted(inputs, **options):
        seen.append("gradient" if torch.is_grad_enabled() else "none")
        return score(inputs, **options)

    engine.score = counted
    return engine, seen


PRE, STEP = "none", "gradient"


@pytest.mark.parametrize(
    ("needs", "denominator", "expected"),
    [
        ((), CURRENT, [STEP, STEP]),
        # The behavior policy's of the second update, before the first.
        ((), BehaviorPolicy(), [PRE, STEP, STEP]),
        (("current_logp",), CURRENT, [PRE, STEP, PRE, STEP]),
        (("behavior_logp",), CURRENT, [PRE, PRE, STEP, STEP]),
        (("behavior_logp", "current_logp", "current_entropy"), BehaviorPolicy(), [PRE, PRE, STEP, PRE, STEP]),
    ],
)
def test_one_pass_serves_all_that_is_the_same(make_learner, passes, needs, denominator, expected):
    engine, seen = passes
    probe = Probe([], engine.module.model, frozenset(needs), frozenset(needs))
    learn(make_learner(engine=engine), probing(probe, denominator))
    assert seen == expected


def test_without_a_critic_an_algorithm_with_values_is_refused(make_learner):
    with pytest.raises(ValueError, match=r"'ppo' needs the values of a critic.*load_critic"):
        learn(make_learner(), ppo())


def test_without_a_reference_an_algorithm_with_an_anchor_is_refused(make_learner):
    needs = frozenset({"reference_logp"})
    anchored = probing(Probe([], None, needs))
    with pytest.raises(ValueError, match=r"'probing' needs reference_logp.*load_reference"):
        learn(make_learner(), anchored)
    with pytest.raises(ValueError, match=r"needs reference_logp"):
        learn(make_learner(), dataclasses.replace(sft(), aside=SideStep(anchored)))


def test_what_is_needed_is_that_of_all_stages_and_side_steps():
    anchored = probing(Probe([], None, frozenset({"reference_logp"})))
    sided = dataclasses.replace(sft(), aside=SideStep(anchored))
    assert needed(sft()) == {"demonstrations"}
    assert needed(sided) == {"demonstrations", "rollouts", "reference_logp"}
    both = Curriculum("both", (Stage(sided, 0.5), Stage(ppo(), 0.5)))
    assert needed(both) == needed(sided) | {"value", "behavior_logp"}


def test_the_reference_is_frozen_and_scores_at_the_trained_temperature(policy_path):
    reference = load_reference(policy_path, "fp32", 0.7)
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert reference.temperature == 0.7


@dataclasses.dataclass(frozen=True)
class Counting:
    """Constant advantages; remembers how many plans there were."""

    progress: list

    def advance(self, step, state):
        return {"plans": state.get("plans", 0.0) + 1.0}

    def __call__(self, step):
        assert set(step.memory) == {repr(self)}
        self.progress.append(step.progress)
        return Constant()(step)

    def __repr__(self):
        return "Counting()"


def test_memory_is_handed_on_from_update_to_update_and_others_keep_theirs(make_learner):
    learner, progress = make_learner(), []
    algorithm, other = probing(Counting(progress)), {"Other()": {"seen": 3.0}}
    first = learn(learner, algorithm, progress=0.25, memory=other)
    assert first.memory == {"Counting()": {"plans": 2.0}, **other}
    assert learn(learner, algorithm, memory=first.memory).memory["Counting()"] == {"plans": 4.0}
    assert learn(learner, sft(), memory=first.memory).memory == first.memory
    assert progress == [0.25, 0.25, 0.0, 0.0]


@pytest.mark.parametrize(
    ("updates", "questions"),
    [(1, [{7, 3, 4, 5}]), (2, [{7, 3}, {4, 5}]), (4, [{7}, {3}, {4}, {5}])],
)
def test_every_update_takes_whole_questions_of_its_own(make_learner, updates, questions):
    learner, seen = make_learner(updates), []
    learn(learner, probing(Probe(seen, None)))
    assert [set(step.group.tolist()) for step, _ in seen] == questions
    assert sum(len(step.group) for step, _ in seen) == len(ROWS)
