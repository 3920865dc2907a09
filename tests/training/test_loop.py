"""The training loop: what it asks, samples, records, and when it stops."""

import dataclasses
import json
import math

import pytest
import torch

from algorithms import grpo, sft
from algorithms.relift import relift
from core import Algorithm, Curriculum, Demonstrations, GateWeights, Stage, Term, TokenMean
from tests.training.runs import ALGORITHMS, even_length, metrics, questions, train, train_config, weights
from training.answers import Verdict
from training.config import EngineConfig, OptimizerConfig, RolloutConfig
from training.learner import Learner
from training.loop import Trainer, TrainJob
from training.policy import load_model, load_tokenizer
from training.run_dir import RunDirectory
from training.transformers_rollout import TransformersSampler
from training.update import NotFiniteError

TERMS = {"reinforce", "imitate", "entropy"}
ALL_METRICS = {f"train/loss/{name}" for name in TERMS} | {
    "step", "train/loss", "train/learning_rate", "train/skipped_steps", "train/loss_surrogate",
    "train/gradient_norm", "train/rows", "train/tokens", "policy/entropy", "policy/ratio",
    "policy/masked_share", "policy/sampler_difference", "policy/kl_sampler", "data/rows", "data/tokens",
    "data/offline_row_share", "data/offline_token_share", "rollout/solve_rate", "rollout/solve_rates",
    "rollout/response_tokens", "rollout/tokens", "rollout/entropy", "rollout/truncated_share",
    "rollout/outcomes", "spent/generated_tokens", "spent/demonstration_tokens", "spent/flops",
}  # fmt: skip


def all_equal(pairs):
    return [Verdict(1.0, "right") for _ in pairs]


def test_the_same_seed_gives_the_same_run_and_another_does_not(policy_path, tmp_path):
    found = [train(tmp_path / str(i), policy_path, "hpt", seed=seed) for i, seed in enumerate((3, 3, 4))]
    assert torch.equal(found[0], found[1])
    assert metrics(tmp_path / "0") == metrics(tmp_path / "1")
    assert not torch.equal(found[0], found[2])


def test_every_step_records_every_metric(policy_path, tmp_path):
    train(tmp_path, policy_path, "hpt")
    seen = metrics(tmp_path)
    assert [step["step"] for step in seen] == [1, 2, 3, 4]
    assert [set(step) ^ ALL_METRICS for step in seen] == [set()] * 4
    times = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert {f"time/{phase}" for phase in ("rollout", "reward", "train", "step")} <= set(times)
    assert json.loads((tmp_path / "status.json").read_text())["step"] == 3


PREFIX = {"rollout/prefix_share", "rollout/prefix_rows", "rollout/plain_solve_rate"}
GREEDY = {"rollout/greedy_solve_rate"}
DYNAMIC = {"rollout/dynamic_rounds", "rollout/dynamic_kept_share"}
ASIDE = {"train/aside", "train/buffer"}
WISHES = {
    "grpo": set(),
    "uft": PREFIX,
    "remax": GREEDY,
    "dapo": DYNAMIC,
    "relift": ASIDE,
    "everything": PREFIX | GREEDY | DYNAMIC | ASIDE,
}


@pytest.mark.parametrize("name", WISHES)
def test_an_algorithms_wishes_have_metrics_of_their_own(policy_path, tmp_path, name):
    train(tmp_path, policy_path, name)
    all_wishes = set.union(*WISHES.values())
    found = [set(step) & all_wishes for step in metrics(tmp_path) if not step.get("train/aside")]
    assert found
    assert all(wishes == WISHES[name] for wishes in found)


def test_a_side_step_is_one_of_the_runs_steps(policy_path, tmp_path):
    train(tmp_path, policy_path, "relift", train_config(6))
    steps = metrics(tmp_path)
    aside = [step for step in steps if step["train/aside"]]
    assert len(steps) == 6
    assert 0 < len(aside) < 6
    for step in aside:
        assert (step["data/rows"], step["data/offline_row_share"]) == (5, 1.0)
        assert (step["rollout/tokens"], step["rollout/solve_rate"]) == (0, None)
        assert set(step) >= {"train/loss/imitate"}
    assert {step["data/offline_row_share"] for step in steps if step not in aside} == {0.0}
    state = json.loads((tmp_path / "checkpoints/step-000006/state.json").read_text())
    assert state["asides"] == len(aside)
    assert len(state["buffer"]) == steps[-1]["train/buffer"]


def test_hints_shrink_to_nothing_over_the_run(policy_path, tmp_path):
    train(tmp_path, policy_path, "uft", train_config(6))
    shares = [step["rollout/prefix_share"] for step in metrics(tmp_path)]
    assert shares[0] > 0.5
    # The chance of every piece is 0 from 0.6 of the run on: the fifth step begins at 4/6.
    assert shares[4:] == [0.0, 0.0]


@dataclasses.dataclass(frozen=True)
class Diary:
    """Writes down the progress of every update, and imitates everything."""

    def __call__(self, step):
        ones = torch.ones(len(step.reward), dtype=torch.float64)
        return GateWeights(0.0 * ones, ones)

    def advance(self, step, state):
        return {**state, str(len(state)): step.progress}


def test_parts_see_their_stages_progress_and_remember_within_it(policy_path, tmp_path, monkeypatch):
    diary = Algorithm(
        "diary", (Term("imitate", sft().terms[0].estimator, Demonstrations(Diary()), TokenMean()),)
    )
    curriculum = Curriculum("diaries", (Stage(diary, 0.25), Stage(diary, 0.75)))
    monkeypatch.setitem(ALGORITHMS, "diaries", curriculum)
    train(tmp_path, policy_path, "diaries", train_config(8, keep_checkpoints=9))

    def remembered(step):
        state = json.loads((tmp_path / f"checkpoints/step-{step:06d}/state.json").read_text())
        return list(state["memory"][repr(Diary())].values())

    # Two updates a step; the second stage begins with an empty page.
    assert remembered(2) == [0.0, 0.0, 0.5, 0.5]
    assert remembered(4) == [0 / 6, 0 / 6, 1 / 6, 1 / 6]
    assert remembered(8) == [step / 6 for step in range(6) for _ in range(2)]


def test_what_a_run_cannot_do_is_refused_before_it_begins(policy_path, tmp_path, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "hopeless", relift(questions=11))
    with pytest.raises(ValueError, match=r"SideStep\.questions=11 .* the 10 questions"):
        train(tmp_path, policy_path, "hopeless")
    assert not (tmp_path / "metrics.jsonl").exists()


def test_offline_shares_and_solve_rates_fit_the_gate(policy_path, tmp_path):
    train(tmp_path, policy_path, "hpt")
    for step in metrics(tmp_path):
        imitated = sum(rate <= 0.25 for _, rate in step["rollout/solve_rates"])
        rows = imitated + 4 * (4 - imitated)
        assert step["data/rows"] == rows
        assert step["data/offline_row_share"] == pytest.approx(imitated / rows)


def test_questions_are_asked_in_a_seeded_order_once_an_epoch(policy_path, tmp_path):
    def asked(path, seed):
        seen = []
        config = train_config(4, questions_per_step=5, updates_per_step=1)

        def record(pairs):
            seen.append([int(gold) for _, gold in pairs][::4])
            return even_length(pairs)

        train(path, policy_path, "grpo", config, seed, record)
        return seen

    first = asked(tmp_path / "a", 1)
    assert sorted(first[0] + first[1]) == list(range(10))
    assert sorted(first[2] + first[3]) == list(range(10))
    assert first[:2] != first[2:]
    assert asked(tmp_path / "b", 2) != first


def test_sft_samples_nothing_and_imitates_every_question(policy_path, tmp_path):
    def refuse(pairs):
        raise AssertionError("nothing is graded")

    train(tmp_path, policy_path, "sft", reward=refuse)
    for step in metrics(tmp_path):
        assert step["rollout/tokens"] == 0
        assert step["rollout/solve_rate"] is None
        assert step["data/offline_row_share"] == 1.0
        assert step["train/rows"] == 4


def test_one_update_is_on_policy_and_a_second_is_not(policy_path, tmp_path):
    train(tmp_path / "one", policy_path, "grpo", train_config(updates_per_step=1))
    assert {step["policy/ratio"] for step in metrics(tmp_path / "one")} == {1.0}
    train(tmp_path / "two", policy_path, "grpo", train_config(updates_per_step=2))
    assert all(step["policy/ratio"] != 1.0 for step in metrics(tmp_path / "two"))


def test_the_learning_rate_warms_up_and_then_stays(policy_path, tmp_path):
    config = train_config(5, optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=3))
    train(tmp_path, policy_path, "sft", config)
    rates = [step["train/learning_rate"] for step in metrics(tmp_path)]
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3])


def test_a_learning_rate_of_zero_trains_nothing(policy_path, tmp_path, make_engine):
    found = train(tmp_path, policy_path, "sft", train_config(optimizer=OptimizerConfig(learning_rate=0.0)))
    assert torch.equal(found, weights(make_engine()))


def test_a_step_whose_rewards_are_all_equal_is_taken_with_a_zero_gradient(policy_path, tmp_path, make_engine):
    config = train_config(1, updates_per_step=1, optimizer=OptimizerConfig(learning_rate=0.1))
    found = train(tmp_path, policy_path, "grpo", config, reward=all_equal)
    (step,) = metrics(tmp_path)
    assert step["train/gradient_norm"] == 0.0
    assert step["train/skipped_steps"] == 0
    assert torch.allclose(found, weights(make_engine()) * 0.999, rtol=1e-6)


def broken_trainer(path, policy_path, make_engine, algorithm):
    """Return a trainer whose policy holds a NaN."""
    engine = make_engine()
    with torch.no_grad():
        engine.module.model.model.layers[1].mlp.up_proj.weight[3, 5] = math.nan
    tokenizer = load_tokenizer(policy_path)
    directory = RunDirectory(path)
    directory.write_config({}, {})
    job = TrainJob(questions(tokenizer), algorithm, even_length, train_config(), 0)
    sampler = TransformersSampler(load_model(policy_path, "fp32"), tokenizer)
    return Trainer(job, Learner(engine, job.config), sampler, tokenizer, directory)


@pytest.mark.parametrize("algorithm", [sft(), grpo()])
def test_a_policy_that_is_not_a_number_stops_the_run_with_its_batch(
    policy_path, tmp_path, make_engine, algorithm
):
    trainer = broken_trainer(tmp_path, policy_path, make_engine, algorithm)
    with pytest.raises(NotFiniteError, match="step 1: the loss is nan") as caught:
        trainer.run()
    path = tmp_path / "failure" / "step-000001.pt"
    assert str(path) in str(caught.value)
    batch = torch.load(path, weights_only=True)
    assert batch["rows"][0]["question"] in range(10)
    assert batch["logp"].isnan().any()
    assert metrics(tmp_path) == []
    assert not (tmp_path / "checkpoints").exists()


def test_only_the_newest_checkpoints_stay(policy_path, tmp_path):
    train(tmp_path, policy_path, "sft", train_config(5, keep_checkpoints=2))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000004",
        "step-000005",
    ]


def test_stages_train_their_own_algorithm_with_a_fresh_optimizer(policy_path, tmp_path, make_engine):
    config = train_config(4, updates_per_step=1, optimizer=OptimizerConfig(learning_rate=0.01))
    found = train(tmp_path, policy_path, "sft_then_grpo", config, reward=all_equal)
    assert [step["data/offline_row_share"] for step in metrics(tmp_path)] == [1.0, 1.0, 0.0, 0.0]
    after_sft = make_engine()
    after_sft.load(tmp_path / "checkpoints" / "step-000002")
    # Equal rewards give GRPO no gradient: moments kept from SFT would move the weights, decay alone does not.
    assert torch.allclose(found, weights(after_sft) * (1 - 0.01 * 0.01) ** 2, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_whole_run_is_the_same_at_every_zero_stage(policy_path, tmp_path, stage):
    rollout = RolloutConfig(samples=4, max_response_tokens=8, batch_size=6)
    expected = train(tmp_path / "0", policy_path, "hpt", train_config(rollout=rollout))
    engine = EngineConfig(zero_stage=stage, micro_batch_tokens=120)
    found = train(tmp_path / "n", policy_path, "hpt", train_config(rollout=rollout, engine=engine))
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    solved = [[step["rollout/solve_rates"] for step in metrics(tmp_path / n)] for n in ("0", "n")]
    assert solved[0] == solved[1]
