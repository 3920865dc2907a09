"""What `--dry-run` says of tokens and time."""

import dataclasses
import json

import pytest

from evaluation.samples import append_samples
from studies.configuring.requested import request
from studies.costs.foretold import ESTIMATED, foretell
from studies.costs.planned import expected_flops, flops, longest, plan_run
from studies.costs.text import amount, makespan
from studies.directories import run_directory
from studies.record import to_json
from studies.run import main
from tests.evaluation.rows import row
from training.run_dir import RunDirectory

ANSWERS = 6 * 100 * 4


@pytest.fixture(scope="module")
def resolved():
    return request("ablation_gate", ("tiny",), 2).resolved


def run_of(resolved, arm, seed=0):
    return next(run for run in resolved.runs if (run.arm, run.seed) == (arm, seed))


def leave(folder, run, *, steps, seconds, answers=0, answer_seconds=0.0, state="running", tokens=40.0):
    """Leave what a run of so many steps leaves, each of which took so many seconds."""
    directory = run_directory(folder, run.arm, run.seed)
    records = RunDirectory(directory)
    records.write_config(to_json(run), {})
    for step in range(1, steps + 1):
        rows = {"data/rows": 4, "data/tokens": 4 * tokens, "rollout/response_tokens": tokens}
        records.append_metrics({"step": step, "time/total": seconds * step, **rows})
    half = answer_seconds / 2
    answered = [
        row("tiny_add2", str(number), 0, "wrong", seconds=half, grading_seconds=half)
        for number in range(answers)
    ]
    append_samples(directory / "samples.jsonl", answered)
    records.write_status(state, "evaluate" if state == "finished" else "train", steps, run.train.steps)


def test_without_records_the_closed_forms_are_told_and_said_to_be_estimates(resolved, tmp_path):
    cost = foretell(resolved, tmp_path / "ablation_gate")
    grpo = cost.of("grpo")
    assert {arm.pace.source for arm in cost.arms} == {ESTIMATED}
    # 80 steps of 16 questions x 8 rollouts of 52 tokens, prompts of 16 in each trained row besides.
    assert grpo.planned.whole.sampled == 80 * 16 * 8 * 52
    assert grpo.planned.whole.trained == pytest.approx(80 * 16 * 8 * (52 + 16))
    assert grpo.planned.whole.evaluated == ANSWERS * 52
    assert cost.of("base").planned.whole.trained == 0
    assert grpo.seconds > cost.of("base").seconds > 0


def test_runs_are_ranked_by_their_operations_and_one_of_unreadable_files_comes_last(resolved):
    expected = {arm: expected_flops(run_of(resolved, arm)) for arm in ("base", "sft", "grpo", "hpt gate=0.0")}
    assert sorted(expected, key=expected.get) == ["base", "sft", "grpo", "hpt gate=0.0"]
    assert expected["base"] > 0
    assert expected_flops(dataclasses.replace(run_of(resolved, "grpo"), policy="no/policy")) == 0


def test_an_arms_own_runs_tell_its_pace(resolved, tmp_path):
    folder = tmp_path / "ablation_gate"
    leave(folder, run_of(resolved, "grpo"), steps=40, seconds=2.0, answers=10, answer_seconds=0.01)
    grpo = foretell(resolved, folder).of("grpo")
    assert grpo.pace.source == "measured: this arm's runs here"
    assert grpo.seconds == pytest.approx(80 * 2.0 + ANSWERS * 0.01)
    assert grpo.lengths.response == 40.0
    assert grpo.planned.whole.sampled == pytest.approx(80 * 16 * 8 * 40)


@pytest.mark.parametrize(
    ("place", "source"), [("ablation_gate", "other arms here"), ("other", "other studies")]
)
def test_other_runs_of_the_scale_tell_it_by_planned_work(resolved, tmp_path, place, source):
    grpo, sft = (run_of(resolved, arm) for arm in ("grpo", "sft"))
    leave(tmp_path / place, grpo, steps=10, seconds=2.0, answers=10, answer_seconds=0.01)
    found = foretell(resolved, tmp_path / "ablation_gate").of("sft")
    share = flops(plan_run(sft, longest(sft)).step) / flops(plan_run(grpo, longest(grpo)).step)
    assert found.pace.source == f"measured: {source}, by planned FLOPs"
    assert 0.05 < share < 0.5
    assert found.seconds == pytest.approx(80 * 2.0 * share + ANSWERS * 0.01)


def test_runs_at_another_scale_tell_nothing(resolved, tmp_path):
    other = dataclasses.replace(run_of(resolved, "grpo"), scale="large")
    leave(tmp_path / "other", other, steps=10, seconds=2.0, answers=10, answer_seconds=0.01)
    assert foretell(resolved, tmp_path / "ablation_gate").of("grpo").pace.source == ESTIMATED


def test_damaged_metrics_tell_nothing_and_stop_nothing(resolved, tmp_path):
    folder = tmp_path / "ablation_gate"
    leave(folder, run_of(resolved, "grpo"), steps=10, seconds=2.0)
    path = run_directory(folder, "grpo", 0) / "metrics.jsonl"
    path.write_text(path.read_text().replace('"step": 3', '"step" 3'))
    assert foretell(resolved, folder).of("grpo").pace.source == ESTIMATED


def test_only_what_is_missing_is_still_to_do_from_the_last_checkpoint_on(resolved, tmp_path):
    folder = tmp_path / "ablation_gate"
    leave(folder, run_of(resolved, "grpo", 0), steps=80, seconds=2.0, answers=10, state="finished")
    leave(folder, run_of(resolved, "grpo", 1), steps=45, seconds=2.0)
    runs = {(each.run.arm, each.run.seed): each for each in foretell(resolved, folder).runs}
    assert (runs["grpo", 0].seconds, runs["grpo", 0].work.sampled) == (0.0, 0.0)
    assert runs["grpo", 1].state == "interrupted"
    assert runs["grpo", 1].seconds == pytest.approx(40 * 2.0)  # checkpoints are taken every 20 steps
    assert runs["sft", 1].state == "missing"


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        ({"generated_tokens": 10 * 16 * 8 * 52}, {"grpo": 10, "sft": 80}),
        ({"generated_tokens": 10 * 16 * 8 * 52 + 1}, {"grpo": 11, "sft": 80}),
        ({"demonstration_tokens": 5 * 16 * 52}, {"grpo": 80, "sft": 5}),
        ({"seconds": 7.0}, {"grpo": 4}),
    ],
)
def test_a_budget_ends_runs_before_their_last_step(tmp_path, budget, steps):
    changes = [f"train.budget.{name}={limit}" for name, limit in budget.items()]
    resolved = request("ablation_gate", ("tiny",), 1, changes).resolved
    folder = tmp_path / "ablation_gate"
    if "seconds" in budget:
        leave(folder, run_of(resolved, "grpo"), steps=1, seconds=2.0)
    cost = foretell(resolved, folder)
    assert {arm: cost.of(arm).planned.steps for arm in steps} == steps


def test_validations_are_counted_with_the_evaluation():
    changes = ["validation.every=30", "validation.limit=5"]
    resolved = request("ablation_gate", ("tiny",), 1, changes).resolved
    grpo, base = (run_of(resolved, arm) for arm in ("grpo", "base"))
    assert plan_run(grpo, longest(grpo)).answers == ANSWERS + 2 * 6 * 5
    assert plan_run(base, longest(base)).answers == ANSWERS


def test_workers_take_runs_in_order_as_they_become_free():
    assert makespan([3.0, 2.0, 2.0, 1.0], 1) == 8.0
    assert makespan([3.0, 2.0, 2.0, 1.0], 2) == 4.0
    assert makespan([1.0], 4) == 1.0
    assert makespan([], 2) == 0.0


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (12, "12"), (999.9, "1k"), (532_480, "532k"), (1e6, "1M"), (2.5e18, "2.5E")],
)
def test_amounts_are_short(number, said):
    assert amount(number) == said


def test_the_command_tells_arms_seeds_states_tokens_and_time(resolved, tmp_path, capsys):
    folder = tmp_path / "ablation_gate"
    for seed in (0, 1):
        for arm in ("base", "sft", "grpo"):
            run = run_of(resolved, arm, seed)
            leave(folder, run, steps=0 if arm == "base" else 80, seconds=1.0, answers=5, answer_seconds=0.01)
    path = run_directory(folder, "grpo", 0) / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "finished"}))
    command = ["ablation_gate", "--scale", "tiny", "--seeds", "2", "--dry-run", "--workers", "2"]
    before = sorted(tmp_path.rglob("*"))
    assert main([*command, "--results", str(tmp_path)], check=lambda runs: None) == 0
    out = capsys.readouterr().out
    flat = " ".join(out.split())
    assert "12 runs: 1 finished, 5 interrupted, 6 missing" in flat
    assert "grpo: 80 steps of 16 questions x 8 rollouts; seeds: 0 finished, 1 interrupted" in flat
    assert "1:44 measured: this arm's runs here" in flat  # 80 s and 2400 answers of 0.01 s
    assert "measured: other arms here, by planned FLOPs" in flat
    assert "still to do: 11 runs, tokens generated " in flat
    assert " with 2 workers (" in flat
    assert max(map(len, out.splitlines())) <= 110
    assert sorted(tmp_path.rglob("*")) == before
