"""The paper's released code: from a case of its loss functions or its training step to a composition.

Rules: the released code itself (github.com/TsinghuaC3I/Unify-Post-Training, commit ae332f5): its advantages
in trainer/ppo/core_algos.py, its losses in mix_src/mix_core_alg.py, its training step in
mix_src/mix_actor.py. What it computes oddly stands in `reference_masks`, `reference_quirks` and
`reference_rows`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch

from algorithms import ALGORITHMS
from core import Algorithm, Demonstrations, Gae, RewardToGo, TotalReward, Whitened, needs_of
from core.protocols import Advantage, LossTerm
from studies.conforming.cases import Case
from studies.conforming.composition import Composition, Piece, rows_of
from studies.conforming.options import Inexpressible, Options, OutOfScope
from studies.conforming.reference_critic import actor_and_critic
from studies.conforming.reference_losses import (
    EVERYONE,
    MixedLoss,
    Reading,
    read_mixed_loss,
    read_policy_loss,
)
from studies.conforming.reference_options import by_argument, teacher_of
from studies.conforming.reference_rows import Flagged, PastTheEnd, RewardSign, RoundedGroup
from studies.conforming.reference_steps import training_step

LOGGED = frozenset(
    {
        "clipfrac",
        "value_clipfrac",
        "ppo_kl",
        "off_pg_loss",
        "on_pg_loss",
        "on_pg_clipfrac",
        "off_ratio_mean",
        "row_entropy",
        "on_coef",
        "per_micro_pg_loss",
        "per_micro_entropy",
    }
)
"""What the released code reports beside its loss, no part of which enters a gradient."""

RESHAPE_WEIGHT = 1.0
"""Default of the reshapes' weights in the functions' signatures."""


def compose(case: Case) -> Composition:
    """Return the composition that reproduces a case.

    Raises:
        Inexpressible: An option or input has no part that stands for it, or a value that its part refuses.
        OutOfScope: The case draws random numbers.
    """
    case = dataclasses.replace(case, params=by_argument(case.params))
    options, inputs = Options(case.params), Options(case.inputs, "input")
    step, policy = rows_of(case)
    # What `rows_of` reads, and what describes another input in words.
    inputs.ignore("logprobs", "old_logprobs", "ref_logprobs", "mask", "rewards", "group", "is_demo")
    inputs.ignore("token_rewards", "values", "vpreds", "entropy")
    options.ignore("critic_loss_mask")
    teacher = teacher_of(options, inputs)
    if teacher is not None:
        step = dataclasses.replace(step, sampler_logp=teacher.log())
    reading = Reading(case, options, inputs, step, policy)
    try:
        composition = options.choose("algorithm", RECIPES)(reading)
        if options.given("adv_estimator"):
            composition = dataclasses.replace(composition, advantage=_estimator(options))
    except (Inexpressible, OutOfScope):
        raise
    except ValueError as refusal:
        raise Inexpressible(f"a part refuses what an option asks: {refusal}") from refusal
    options.close()
    inputs.close()
    _check_given(composition, inputs)
    return composition


def _check_given(composition: Composition, inputs: Options) -> None:
    """Raise Inexpressible where a part reads what the case does not give."""
    if composition.advantage is not None and not (inputs.given("rewards") or inputs.given("token_rewards")):
        raise Inexpressible("input rewards is missing")
    algorithms = (piece.algorithm for piece in composition.pieces)
    computed = {"advantage"} if composition.advantage is not None else set()
    for need in sorted(needs_of(*algorithms, composition.advantage) - computed):
        source = composition.policy if need == "entropy" else composition.step
        if getattr(source, need, "not a field of rows") is None:
            raise Inexpressible(f"an input is missing: the composition reads {need}")


def _group_relative(
    members: Literal["rollouts", "rollouts_and_demonstrations"], options: Options
) -> Advantage:
    return RoundedGroup(members, bool(options.take("use_std", True)), options.number("epsilon", 1e-6))


def _reward_to_go(options: Options) -> Advantage:
    return Whitened(RewardToGo(options.number("gamma", 1.0)), rows="all")


def _gae(options: Options) -> Advantage:
    gae = Gae(options.number("gamma", 1.0), options.number("lam", 1.0))
    return Whitened(PastTheEnd(gae), rows="all")


ESTIMATORS: Mapping[str, Callable[[Options], Advantage]] = {
    "grpo": partial(_group_relative, "rollouts_and_demonstrations"),
    "grpo_split": partial(_group_relative, "rollouts"),
    "grpo_balance": lambda _: RewardSign(),
    "reinforce": lambda _: TotalReward(),
    "reinforce_plus_plus": _reward_to_go,
    "gae": _gae,
}


def _estimator(options: Options) -> Advantage:
    options.ignore("use_std", "epsilon", "gamma", "lam")  # each estimator reads its own of them
    return options.choose("adv_estimator", ESTIMATORS)(options)


def _one_piece(reading: Reading, terms: tuple[LossTerm, ...]) -> Composition:
    algorithm = Algorithm(f"{reading.case.algorithm} of parts", terms)
    return Composition(reading.step, reading.policy, (Piece(algorithm),))


def _sft(reading: Reading) -> Composition:
    # The function is given the demonstrations alone.
    every = torch.ones_like(reading.step.is_demonstration)
    rows = dataclasses.replace(reading.step, is_demonstration=every)
    algorithm = ALGORITHMS["sft"]()
    assert isinstance(algorithm, Algorithm)
    return Composition(rows, reading.policy, (Piece(algorithm),))


def _policy_loss(reading: Reading) -> Composition:
    return _one_piece(reading, (read_policy_loss(reading, "cliprange").term(EVERYONE),))


def _mixed(reading: Reading) -> MixedLoss:
    return read_mixed_loss(reading, read_policy_loss(reading, "cliprange"), RESHAPE_WEIGHT, unset=None)


def _on_off(reading: Reading) -> Composition:
    loss = _mixed(reading)
    return _one_piece(reading, (*loss.on_terms(), *loss.off_terms()))


def _on_off_mask(reading: Reading) -> Composition:
    loss, flags = _mixed(reading), reading.flags(range(len(reading.step.group)))
    if flags is None:
        raise Inexpressible("input whether_off is missing")
    rows = Flagged(Demonstrations(), flags)
    return _one_piece(reading, (*loss.on_terms(), *loss.off_terms(rows)))


def _on_off_weight(reading: Reading) -> Composition:
    loss, weight = _mixed(reading), reading.options.number("off_loss_coef")
    return _one_piece(reading, (*loss.on_terms(), *loss.off_terms(weight=weight)))


def _srft_rl_only(reading: Reading) -> Composition:
    loss, kind = _mixed(reading), str(reading.options.take("srft_type", "paper"))
    return _one_piece(reading, (*loss.off_terms(), *loss.srft_terms(kind)))


def _ppo(reading: Reading) -> Composition:
    return actor_and_critic(reading, read_policy_loss(reading, "cliprange"))


RECIPES: Mapping[str, Callable[[Reading], Composition]] = {
    "sft": _sft,
    "policy_loss": _policy_loss,
    "ppo_gae": _ppo,
    "on_off": _on_off,
    "on_off_mask": _on_off_mask,
    "on_off_weight": _on_off_weight,
    "srft_rl_only": _srft_rl_only,
    "hpt": training_step,
    "hpt_off_on": training_step,
    "hpt_mix_on": training_step,
    "hpt_off_sft": training_step,
    "luffy": training_step,
    "srft": training_step,
    "grpo": training_step,
}
