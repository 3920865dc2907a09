"""Metrics of training: worked numbers, and the divergence from the reference on what was sampled."""

import dataclasses
import json
import math

import pytest
import torch

from algorithms import grpo, sft
from core import KlPenalty, Rollouts, TokenMean
from tests.training.rows import ragged_rows, row_logp
from training.config import TrainConfig
from training.learner import Learner
from training.metrics import CriticReport, UpdateReport
from training.policy import load_model, load_reference

ROWS = ragged_rows()


def critic_report(value, target):
    report = CriticReport()
    report.count(torch.tensor(value), torch.tensor(target))
    return report


def test_explained_variance_is_the_share_of_the_returns_variance_that_values_foretell():
    # Var(R) of 0, 2 is 1; the errors −1, 0 leave a variance of 1/4.
    assert critic_report([1.0, 2.0], [0.0, 2.0]).explained_variance() == 0.75
    # Values off by a constant foretell everything that varies.
    assert critic_report([5.0, 7.0], [0.0, 2.0]).explained_variance() == 1.0
    # Worse than saying nothing: the errors are 4 and −4.
    assert critic_report([-2.0, 4.0], [2.0, 0.0]).explained_variance() == -15.0


def test_explained_variance_survives_returns_far_from_zero():
    far = critic_report([10_001.0, 10_002.0], [10_000.0, 10_002.0])
    assert far.explained_variance() == pytest.approx(0.75, rel=1e-6)


# The sums of 51 tenths leave a variance of a rounding error above 0.
@pytest.mark.parametrize(("reward", "tokens"), [(0.0, 7), (1.0, 7), (0.1, 51), (-1e6 / 3, 7)])
def test_returns_that_do_not_vary_leave_nothing_to_explain(reward, tokens):
    report = critic_report(torch.linspace(0, 1, tokens).tolist(), [reward] * tokens)
    assert report.explained_variance() is None


def test_reports_of_updates_add_up_as_if_all_tokens_were_one_updates():
    value, target = [1.0, 2.0, 4.0, -1.0], [0.0, 2.0, 3.0, 1.0]
    total = UpdateReport()
    for part in (slice(0, 1), slice(1, 4)):
        total.add(UpdateReport(updates=1, critic=critic_report(value[part], target[part])))
    whole = critic_report(value, target)
    assert total.critic.explained_variance() == pytest.approx(whole.explained_variance())
    assert (total.updates, total.critic.tokens, total.critic.value) == (2, 4, 6.0)


def test_losses_are_means_over_updates_and_norms_the_last_ones():
    total = UpdateReport()
    total.add(UpdateReport(updates=1, losses={"a": 1.0, "b": -0.5}, gradient_norm=3.0, loss=2.0))
    total.add(UpdateReport(updates=1, losses={"a": 2.0, "b": 0.0}, gradient_norm=4.0, loss=1.0))
    found = total.metrics()
    assert (found["train/loss/a"], found["train/loss/b"], found["train/loss"]) == (1.5, -0.25, 1.25)
    assert (found["train/gradient_norm"], found["train/loss_surrogate"]) == (4.0, 3.0)
    assert not any(name.startswith("critic/") for name in found)


def test_what_was_never_measured_is_none_and_the_record_is_json():
    found = UpdateReport().metrics()
    assert found["train/gradient_norm"] is None
    assert found["policy/entropy"] is None
    assert "policy/kl_reference" not in found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.fixture
def make_learner(make_engine, policy_path):
    def make(updates=1):
        engine = make_engine(micro_batch_tokens=64, gradient_clip=None)
        reference = load_reference(policy_path, "fp32", 1.0)
        return Learner(
            engine, TrainConfig(questions_per_step=4, updates_per_step=updates), reference=reference
        )

    return make


def learn(learner, algorithm, rows=ROWS):
    return learner.learn(algorithm, rows, learning_rate=1e-2, progress=0.0, memory={}).metrics()


def anchored():
    kl = KlPenalty(0.1, Rollouts(), TokenMean(), estimator="k3")
    return dataclasses.replace(grpo(), terms=(*grpo().terms, *sft().terms, kl))


def test_the_divergence_from_the_reference_is_the_mean_over_sampled_tokens(make_learner, policy_path):
    learner = make_learner()
    assert learn(learner, anchored())["policy/kl_reference"] == pytest.approx(0.0, abs=1e-6)
    policy, base = learner._models.policy.module.model, load_model(policy_path, "fp32")
    given = [dataclasses.replace(row, prefix_tokens=0 if row.is_demonstration else 2) for row in ROWS]
    differences = []
    for row in ROWS:
        if not row.is_demonstration:
            differences.append((row_logp(policy, row) - row_logp(base, row)).detach()[2:])
    expected = torch.cat(differences).mean().item()
    assert abs(expected) > 1e-3
    assert learn(learner, anchored(), given)["policy/kl_reference"] == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_every_term_is_named(make_learner, policy_path):
    learner = make_learner()
    learn(learner, anchored())
    policy, base = learner._models.policy.module.model, load_model(policy_path, "fp32")
    logp = {row: row_logp(policy, row).detach() for row in ROWS}
    behind = [row_logp(base, row).detach() - logp[row] for row in ROWS if not row.is_demonstration]
    k3 = torch.cat([difference.exp() - difference - 1.0 for difference in behind]).mean().item()
    cross_entropy = -torch.cat([logp[row] for row in ROWS if row.is_demonstration]).mean().item()
    found = learn(learner, anchored())
    names = [name for name in found if name.startswith("train/loss/")]
    assert len(names) == 3
    assert found["train/loss/kl"] == pytest.approx(0.1 * k3, rel=1e-4)
    imitate = f"train/loss/{sft().terms[0].name}"
    assert found[imitate] == pytest.approx(cross_entropy, rel=1e-5)
    assert found["train/loss"] == pytest.approx(math.fsum(found[name] for name in names))
