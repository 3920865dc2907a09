"""Golden cases of a gate: which rows the paper's released training step keeps, and with what advantage.

A case holds the rewards of each question's rollouts and of its demonstration. An algorithm of the registry
plans a step of them all; the rows it keeps are those that one of its policy gradients gives a weight.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from algorithms import ALGORITHMS
from core import Algorithm, Constant, GroupRelative, TokenBatch, TotalReward
from core.protocols import Advantage
from studies.conforming.cases import BadFile
from studies.conforming.options import Inexpressible, Options, OutOfScope
from studies.conforming.reference_registry import exchanged
from studies.conforming.reference_rows import OwnGroup, RewardSign
from studies.conforming.runner import Result, Verdict

FLOAT32 = 1e-6
"""Largest error of an advantage, relative to 1 + |theirs|: the released step computes them in float32."""

Row = tuple[int, int]
"""A row's question, and its number among the rollouts; DEMONSTRATION for the demonstration."""
DEMONSTRATION = -1


@dataclass(frozen=True, eq=False)
class RoutingCase:
    """One case: rewards in, kept rows out."""

    name: str
    params: Mapping[str, Any]
    rollouts: tuple[tuple[float, ...], ...]
    """Rewards of each question's rollouts."""
    demonstrations: tuple[float, ...]
    """Reward of each question's demonstration."""
    kept: Mapping[Row, float]
    """Advantage of each row that the released step keeps."""
    offline_share: float
    """Demonstrations among those rows."""


def holds_routing(path: Path) -> bool:
    """Return whether a file's first case is one of a gate."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # the reader of losses says what is wrong with it
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "rollout_rewards" in first.get("inputs", {})


def read_routing(path: Path) -> list[RoutingCase]:
    """Return a file's cases, in order; raise BadFile where one is malformed."""
    found = []
    for number, entry in enumerate(json.loads(path.read_text(encoding="utf-8")), start=1):
        try:
            found.append(_case(entry))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{path}, case {number} is no case of a gate: {error!r}") from error
    return found


def _case(entry: Mapping[str, Any]) -> RoutingCase:
    rows = entry["expected"]["rows"]
    return RoutingCase(
        name=str(entry["name"]),
        params=entry["params"],
        rollouts=tuple(tuple(map(float, rewards)) for rewards in entry["inputs"]["rollout_rewards"]),
        demonstrations=tuple(map(float, entry["inputs"]["demo_rewards"])),
        kept={(row["prompt"], row["rollout"]): float(row["advantage"]) for row in rows},
        offline_share=float(entry["expected"]["offline_data_ratio"]),
    )


def run_routing(case: RoutingCase) -> Result:
    """Return what comes of a case."""
    try:
        ours = kept_rows(case)
    except OutOfScope as refusal:
        return _result(case, Verdict.OUT_OF_SCOPE, str(refusal))
    except Inexpressible as refusal:
        return _result(case, Verdict.INEXPRESSIBLE, str(refusal))
    if differing := sorted(set(ours) ^ set(case.kept)):
        question, number = differing[0]
        row = "demonstration" if number == DEMONSTRATION else f"rollout {number}"
        who = "only ours keeps" if differing[0] in ours else "only theirs keeps"
        reason = f"{who} question {question}'s {row}; {len(differing)} rows differ"
        return _result(case, Verdict.MISMATCH, reason, where="rows")
    errors = {
        "advantages": max(abs(ours[row] - theirs) / (1 + abs(theirs)) for row, theirs in case.kept.items()),
        "offline_data_ratio": abs(_offline_share(ours) - case.offline_share),
    }
    where = max(errors, key=lambda name: errors[name])
    passed = errors[where] <= FLOAT32
    verdict, reason = (Verdict.PASS, "") if passed else (Verdict.MISMATCH, f"{where} beyond {FLOAT32:g}")
    return _result(case, verdict, reason, where, errors[where])


def _result(
    case: RoutingCase, verdict: Verdict, reason: str, where: str = "", error: float | None = None
) -> Result:
    name = f"{case.params.get('strategy', '')} routing"
    return Result(case.name, name, ("routing",), verdict, "reference", error, where, reason)


def kept_rows(case: RoutingCase) -> dict[Row, float]:
    """Return the advantage of each row that the composition keeps.

    Raises:
        Inexpressible: An option has no part that stands for it.
        OutOfScope: The released step fails on the case.
    """
    options = Options(case.params)
    algorithm = options.choose("strategy", STRATEGIES)(options)
    estimator = options.choose("adv_estimator", ESTIMATORS)
    normalize, epsilon = bool(options.take("use_std")), options.number("epsilon")
    slots = options.number("n")
    options.close()

    def credited(part: object) -> object:
        if not isinstance(part, GroupRelative):
            return part
        return estimator(dataclasses.replace(part, normalize_std=normalize, epsilon=epsilon))

    algorithm = exchanged(algorithm, credited)
    step, rows = _step(case, slots)
    kept: dict[Row, float] = {}
    for plan in algorithm.plan(step).plans:
        weighed = zip(rows, plan.weight[:, 0].tolist(), plan.advantage[:, 0].tolist(), strict=True)
        kept |= {row: advantage for row, weight, advantage in weighed if weight}
    split = case.params["adv_estimator"] == "grpo_split"
    if split and algorithm.name == "hpt" and any(number == DEMONSTRATION for _, number in kept):
        raise OutOfScope("grpo_split fails where a question lost its rollouts: it has none to take a mean of")
    return kept


def _step(case: RoutingCase, slots: float) -> tuple[TokenBatch, list[Row]]:
    """Return responses of one token with the case's rewards, and which row each is.

    Where a demonstration takes one of a question's `slots`, it takes the first.
    """
    rows, rewards = [], []
    for question, (rollouts, demonstration) in enumerate(
        zip(case.rollouts, case.demonstrations, strict=True)
    ):
        first = int(slots) - len(rollouts)
        rows += [(question, first + number) for number in range(len(rollouts))] + [(question, DEMONSTRATION)]
        rewards += [*rollouts, demonstration]
    step = TokenBatch(
        response_mask=torch.ones(len(rows), 1, dtype=torch.bool),
        group=torch.tensor([question for question, _ in rows]),
        is_demonstration=torch.tensor([number == DEMONSTRATION for _, number in rows]),
        reward=torch.tensor(rewards, dtype=torch.float64),
    )
    return step, rows


def _offline_share(kept: Mapping[Row, float]) -> float:
    return sum(number == DEMONSTRATION for _, number in kept) / len(kept)


def _switch(options: Options) -> Algorithm:
    # Questions between the two gates give way to their demonstration too; what told them apart gets lost.
    count = max(options.number("switch_gate"), options.number("switch_gate_off"))
    algorithm = ALGORITHMS["hpt"](gate=count / options.number("n"))
    return exchanged(cast(Algorithm, algorithm), _own_group)


def _own_group(part: object) -> object:
    # Imitation's credit is 1; the released step computes an advantage for the demonstration all the same.
    return OwnGroup(GroupRelative("rollouts_and_demonstrations")) if isinstance(part, Constant) else part


def _ungated(options: Options) -> Algorithm:
    options.ignore("switch_gate", "switch_gate_off")  # which `switch` alone reads
    return cast(Algorithm, ALGORITHMS["luffy"]())


STRATEGIES: Mapping[str, Callable[[Options], Algorithm]] = {
    "switch": _switch,
    "no": _ungated,
    "soft": _ungated,  # its weights reach the batch and are never read
}
ESTIMATORS: Mapping[str, Callable[[GroupRelative], Advantage]] = {
    "grpo": lambda own: own,
    "grpo_split": lambda own: dataclasses.replace(own, members="rollouts"),
    "grpo_balance": lambda _: RewardSign(),
    "reinforce": lambda _: TotalReward(),
}
"""What an estimator puts in the place of the algorithm's own `GroupRelative`."""
