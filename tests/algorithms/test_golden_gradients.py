"""Each algorithm's gradient against autograd through an independent textbook loss."""

from functools import partial

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    Term,
)
from tests.algorithms import textbook
from tests.worlds import assert_same, autograd, gradient, speak

CASES = {
    "sft": ("sft", {}, textbook.sft),
    "reinforce": ("reinforce", {}, textbook.reinforce),
    "reinforce-credits": ("reinforce", {"solved": 0.7, "failed": -0.2},
                          partial(textbook.reinforce, solved=0.7, failed=-0.2)),
    "grpo": ("grpo", {}, textbook.grpo),
    "grpo-no-std": ("grpo", {"normalize_std": False}, partial(textbook.grpo, std=False)),
    "grpo-clip-higher": ("grpo", {"clip_low": 0.35, "clip_high": 0.04},
                         partial(textbook.grpo, low=0.35, high=0.04)),
    "dr_grpo": ("dr_grpo", {}, textbook.dr_grpo),
    "dr_grpo-length": ("dr_grpo", {"length": 6, "clip_low": 0.1, "clip_high": 0.4},
                       partial(textbook.dr_grpo, length=6, low=0.1, high=0.4)),
    "hpt": ("hpt", {}, textbook.hpt),
    "hpt-all-terms": ("hpt", {"gate": 0.25, "sft_weight": 0.3, "entropy_weight": 0.05, "length": 6},
                      partial(textbook.hpt, gate=0.25, beta=0.3, entropy=0.05, length=6)),
    "hpt-entropy-on-rollouts": ("hpt", {"gate": -1.0, "entropy_weight": 0.5, "length": 6},
                                partial(textbook.hpt, gate=-1.0, entropy=0.5, length=6)),
    "hpt-gate-between": ("hpt", {"gate": 0.4, "length": 6}, partial(textbook.hpt, gate=0.4, length=6)),
    "hpt_equations": ("hpt_equations", {}, textbook.hpt_equations),
    "hpt_equations-gate": ("hpt_equations", {"gate": 0.25, "sft_weight": 0.3, "clip": 0.3},
                           partial(textbook.hpt_equations, gate=0.25, beta=0.3, clip=0.3)),
}  # fmt: skip
STAGES = {
    "sft": ({}, 0, textbook.sft),
    "grpo": ({}, 1, textbook.grpo),
    "grpo-arguments": ({"clip_low": 0.35, "clip_high": 0.04, "normalize_std": False}, 1,
                       partial(textbook.grpo, low=0.35, high=0.04, std=False)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_the_textbook_loss(case, world):
    name, arguments, loss = CASES[case]
    assert_same(gradient(ALGORITHMS[name](**arguments), world), autograd(loss, world), rtol=1e-9)


@pytest.mark.parametrize("case", STAGES)
def test_gradient_of_each_stage_is_that_of_the_textbook_loss(case, world):
    arguments, position, loss = STAGES[case]
    stage = ALGORITHMS["sft_then_grpo"](**arguments).stages[position]
    assert_same(gradient(stage.algorithm, world), autograd(loss, world), rtol=1e-9)


def test_gradient_of_the_sequence_likelihood_is_that_of_gspo(world):
    estimator = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), SequenceLikelihood())
    algorithm = Algorithm("gspo", (Term("reinforce", estimator, Rollouts(), SequenceMean()),))
    # Token ratios average to 1 over a row, so shift whole rows over the bounds, in both directions.
    shift = torch.tensor([0.5, -0.5, 0.02, 0.25, -0.35])[torch.arange(len(world.logits)) % 5, None]
    world = world.step_with(behavior_logp=world.step.behavior_logp - shift.double())
    assert_same(gradient(algorithm, world), autograd(textbook.gspo, world), rtol=1e-9)


def test_every_textbook_case_is_an_algorithm_and_every_algorithm_has_one():
    assert {name for name, _, _ in CASES.values()} | {"sft_then_grpo"} == set(ALGORITHMS)


def test_the_world_reaches_every_branch_of_the_clip_and_of_the_gate(world):
    advantage = GroupRelative()(world.step)
    ratio = (speak(world, world.logits).logp - world.step.behavior_logp).exp()
    seen = world.step.response_mask & ~world.step.is_demonstration[:, None]
    for sign in (1, -1):
        credited = seen & (sign * advantage > 0)
        for low, high in ((0, 0.6), (0.6, 0.8), (0.8, 1), (1, 1.2), (1.2, 1.4), (1.4, 9)):
            assert (credited & (ratio > low) & (ratio < high)).any(), (sign, low, high)
    rates = [textbook.solve_rate(world.step, question) for question in textbook.questions(world.step)]
    assert sorted(rates) == [0, 0, 0.25, 0.5, 1, 1]
    sizes = {len(textbook.rollouts(world.step, question)) for question in textbook.questions(world.step)}
    assert min(sizes) == 1
    assert max(sizes) > 2
    assert len(set(world.step.response_mask.sum(dim=1).tolist())) >= 5
