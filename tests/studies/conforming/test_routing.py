"""The released code's gate: which rows of a step the registered algorithms keep, with what advantage."""

import dataclasses
import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.conforming.cases import BadFile
from studies.conforming.routing import (
    DEMONSTRATION,
    RoutingCase,
    holds_routing,
    kept_rows,
    read_routing,
    run_routing,
)
from studies.conforming.runner import Verdict

PATH = Path(__file__).parents[4] / "shared" / "goldens" / "reference_routing.json"
CASES = read_routing(PATH) if PATH.exists() else []
needs_goldens = pytest.mark.skipif(not CASES, reason=f"golden cases are missing: {PATH}")

SWITCH = {
    "strategy": "switch",
    "switch_gate": 1,
    "switch_gate_off": 0,
    "n": 4,
    "adv_estimator": "grpo",
    "use_std": False,
    "epsilon": 1e-6,
}
# Questions with 0, 1, 2 and 4 solved rollouts of 4; a gate of 1 of 4 imitates the first two.
ROLLOUTS = ((0.0,) * 4, (1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), (1.0,) * 4)
DEMONSTRATIONS = (1.0, 0.0, 1.0, 1.0)
KEPT = {
    (0, DEMONSTRATION): 1.0,
    (1, DEMONSTRATION): 0.0,
    **{(2, number): advantage for number, advantage in enumerate((0.5, 0.5, -0.5, -0.5))},
    **{(3, number): 0.0 for number in range(4)},
}
CASE = RoutingCase("by hand", SWITCH, ROLLOUTS, DEMONSTRATIONS, KEPT, 0.2)


def of(**changes):
    return dataclasses.replace(CASE, params={**SWITCH, **changes})


@needs_goldens
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_released_step_keeps_the_same_rows(case):
    result = run_routing(case)
    assert result.verdict is Verdict.PASS, result.reason


def test_a_gate_of_one_in_four_needs_two_solved_rollouts():
    assert kept_rows(CASE) == pytest.approx(KEPT)
    assert run_routing(CASE).verdict is Verdict.PASS


def test_questions_between_the_two_gates_give_way_to_their_demonstration_too():
    kept = kept_rows(of(switch_gate_off=2))
    assert {question for question, number in kept if number == DEMONSTRATION} == {0, 1, 2}


def test_without_a_gate_the_demonstration_joins_its_group():
    rollouts = tuple(rewards[1:] for rewards in ROLLOUTS)
    kept = kept_rows(dataclasses.replace(of(strategy="no"), rollouts=rollouts))
    # Question 2: rollouts 1, 0, 0 in slots 1 to 3 and a demonstration of 1, mean 1/2.
    own = {number: advantage for (question, number), advantage in kept.items() if question == 2}
    assert own == pytest.approx({1: 0.5, 2: -0.5, 3: -0.5, DEMONSTRATION: 0.5})
    assert len(kept) == 16


def test_a_demonstration_outside_the_mean_is_compared_with_the_rollouts():
    case = dataclasses.replace(of(strategy="no", adv_estimator="grpo_split"), rollouts=((1.0, 0.0, 0.0),) * 4)
    kept = kept_rows(case)
    # Mean of the rollouts 1/3: the demonstrations, of reward 1 and 0, are 2/3 above and 1/3 below it.
    assert kept[0, DEMONSTRATION] == pytest.approx(2 / 3)
    assert kept[1, DEMONSTRATION] == pytest.approx(-1 / 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kept": {**KEPT, (2, 0): 0.5001}}, "advantages beyond 1e-06"),
        ({"kept": {**KEPT, (1, 2): 0.0}}, "only theirs keeps question 1's rollout 2; 1 rows differ"),
        (
            {"kept": {row: each for row, each in KEPT.items() if row != (0, DEMONSTRATION)}},
            "only ours keeps question 0's demonstration; 1 rows differ",
        ),
        ({"offline_share": 0.3}, "offline_data_ratio beyond 1e-06"),
    ],
)
def test_what_differs_is_named(change, reason):
    result = run_routing(dataclasses.replace(CASE, **change))
    assert (result.verdict, result.reason) == (Verdict.MISMATCH, reason)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"strategy": "balance"}, Verdict.INEXPRESSIBLE, "strategy=balance; known: switch, no, soft"),
        ({"adv_estimator": "rloo"}, Verdict.INEXPRESSIBLE, "adv_estimator=rloo; known: grpo, grpo_split, gr"),
        ({"remove_sfted_data": True}, Verdict.INEXPRESSIBLE, "remove_sfted_data=True"),
        ({"adv_estimator": "grpo_split"}, Verdict.OUT_OF_SCOPE, "grpo_split fails"),
    ],
)
def test_what_is_not_reproduced_is_named(changes, verdict, reason):
    result = run_routing(of(**changes))
    assert result.verdict is verdict
    assert reason in result.reason


def test_split_statistics_are_fine_behind_a_gate_that_lets_all_pass():
    assert len(kept_rows(of(switch_gate=-1, switch_gate_off=-1, adv_estimator="grpo_split"))) == 16


@pytest.mark.parametrize(("estimator", "failed"), [("grpo_balance", -1.0), ("reinforce", 0.0)])
@pytest.mark.parametrize("strategy", ["switch", "no", "soft"])
def test_an_estimator_without_groups_credits_every_kept_row_by_its_own_reward(estimator, failed, strategy):
    rewards = {(question, DEMONSTRATION): reward for question, reward in enumerate(DEMONSTRATIONS)}
    for question, own in enumerate(ROLLOUTS):
        rewards |= {(question, number): reward for number, reward in enumerate(own)}
    kept = kept_rows(of(strategy=strategy, adv_estimator=estimator, use_std=True))
    assert set(kept) == set(KEPT if strategy == "switch" else rewards)
    assert kept == {row: 1.0 if rewards[row] else failed for row in kept}


rewards = st.sampled_from((0.0, 1.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rewards, rewards, rewards, rewards), min_size=1, max_size=5), st.data())
def test_any_step_is_routed_by_its_counts(rollouts, data):
    gate, std = data.draw(st.integers(-1, 5)), data.draw(st.booleans())
    demonstrations = tuple(data.draw(rewards) for _ in rollouts)
    params = {**SWITCH, "switch_gate": gate, "switch_gate_off": gate, "use_std": std}
    wanted = {}
    for question, own in enumerate(rollouts):
        if sum(own) <= gate:
            wanted[question, DEMONSTRATION] = demonstrations[question] / (1.0 + 1e-6 if std else 1.0)
            continue
        spread = statistics.stdev(own) + 1e-6 if std else 1.0
        wanted |= {(question, number): (r - statistics.mean(own)) / spread for number, r in enumerate(own)}
    assert kept_rows(RoutingCase("drawn", params, tuple(rollouts), demonstrations, {}, 0.0)) == pytest.approx(
        wanted
    )


def written(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_files_of_a_gate_are_told_from_those_of_losses(tmp_path):
    entry = {"inputs": {"rollout_rewards": [[1.0]], "demo_rewards": [1.0]}}
    assert holds_routing(written(tmp_path / "gate.json", [entry]))
    assert not holds_routing(written(tmp_path / "loss.json", [{"inputs": {"logprobs": [[0.0]]}}]))
    assert not holds_routing(written(tmp_path / "peer.json", {"verl": "0.9.1", "cases": []}))
    assert not holds_routing(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert not holds_routing(tmp_path / "broken.json")


def test_a_malformed_case_is_named(tmp_path):
    entry = {"name": "x", "params": {}, "inputs": {"rollout_rewards": [[1.0]], "demo_rewards": [1.0]}}
    with pytest.raises(BadFile, match="case 1 is no case of a gate"):
        read_routing(written(tmp_path / "gate.json", [entry]))
