"""Each algorithm's gradient against autograd through an independent textbook loss."""

from functools import partial

import pytest
import torch

from algorithms import ALGORITHMS
from core import GroupRelative
from tests.algorithms import textbook
from tests.algorithms import textbook_mixed as mixed
from tests.algorithms import textbook_reinforcement as rl
from tests.worlds import assert_same, autograd, gradient, speak

CASES = {
    "sft": ("sft", {}, textbook.sft),
    "reinforce": ("reinforce", {}, textbook.reinforce),
    "reinforce-credits": (
        "reinforce",
        {"solved": 0.7, "failed": -0.2},
        partial(textbook.reinforce, solved=0.7, failed=-0.2),
    ),
    "grpo": ("grpo", {}, textbook.grpo),
    "grpo-no-std": ("grpo", {"normalize_std": False}, partial(textbook.grpo, std=False)),
    "grpo-clip-higher": (
        "grpo",
        {"clip_low": 0.35, "clip_high": 0.04},
        partial(textbook.grpo, low=0.35, high=0.04),
    ),
    "dr_grpo": ("dr_grpo", {}, textbook.dr_grpo),
    "dr_grpo-length": (
        "dr_grpo",
        {"length": 6, "clip_low": 0.1, "clip_high": 0.4},
        partial(textbook.dr_grpo, length=6, low=0.1, high=0.4),
    ),
    "hpt": ("hpt", {}, textbook.hpt),
    "hpt-all-terms": (
        "hpt",
        {"gate": 0.25, "sft_weight": 0.3, "entropy_weight": 0.05, "length": 6},
        partial(textbook.hpt, gate=0.25, beta=0.3, entropy=0.05, length=6),
    ),
    "hpt-entropy-on-rollouts": (
        "hpt",
        {"gate": -1.0, "entropy_weight": 0.5, "length": 6},
        partial(textbook.hpt, gate=-1.0, entropy=0.5, length=6),
    ),
    "hpt-gate-between": ("hpt", {"gate": 0.4, "length": 6}, partial(textbook.hpt, gate=0.4, length=6)),
    "hpt_equations": ("hpt_equations", {}, textbook.hpt_equations),
    "hpt_equations-gate": (
        "hpt_equations",
        {"gate": 0.25, "sft_weight": 0.3, "clip": 0.3},
        partial(textbook.hpt_equations, gate=0.25, beta=0.3, clip=0.3),
    ),
    "luffy": ("luffy", {}, mixed.luffy),
    "luffy-all-terms": (
        "luffy",
        {"gamma": 0.3, "normalize_std": True, "entropy_weight": 0.05, "length": 6},
        partial(mixed.luffy, gamma=0.3, std=True, entropy=0.05, length=6),
    ),
    "srft": ("srft", {}, mixed.srft),
    "srft-all-terms": (
        "srft",
        {"sft_weight": 0.3, "positive_weight": 0.4, "gamma": 0.3, "entropy_weight": 0.05, "length": 6},
        partial(mixed.srft, sft=0.3, positive=0.4, gamma=0.3, entropy=0.05, length=6),
    ),
    "srft_equations": ("srft_equations", {}, mixed.srft_equations),
    "srft_equations-weights": (
        "srft_equations",
        {"sft_weight": 0.3, "positive_weight": 0.4},
        partial(mixed.srft_equations, sft=0.3, positive=0.4),
    ),
    "rl_plus": ("rl_plus", {}, mixed.rl_plus),
    "rl_plus-small": (
        "rl_plus",
        {"power": 2.0, "vocabulary": 5},
        partial(mixed.rl_plus, power=2.0, vocabulary=5),
    ),
    "chord_mu": ("chord_mu", {}, mixed.chord_mu),
    "chord_mu-schedule": (
        "chord_mu",
        {"peak": 0.6, "valley": 0.2, "over": 0.9, "warmup": 0.1, "clip": 0.05},
        partial(mixed.chord_mu, peak=0.6, valley=0.2, over=0.9, warmup=0.1, clip=0.05),
    ),
    "chord_phi": ("chord_phi", {}, mixed.chord_phi),
    "chord_phi-mu": ("chord_phi", {"mu": 0.7, "clip": 0.3}, partial(mixed.chord_phi, mu=0.7, clip=0.3)),
    "uft": ("uft", {}, mixed.uft),
    "uft-hint": ("uft", {"hint_weight": 0.5, "clip": 0.3}, partial(mixed.uft, hint=0.5, clip=0.3)),
    "prefix_rft": ("prefix_rft", {}, mixed.prefix_rft),
    "prefix_rft-share": (
        "prefix_rft",
        {"share": 0.6, "clip": 0.3, "length": 6},
        partial(mixed.prefix_rft, share=0.6, clip=0.3, length=6),
    ),
    "relift": ("relift", {}, mixed.relift),
    "relift-clip": (
        "relift",
        {"clip_low": 0.35, "clip_high": 0.04},
        partial(mixed.relift, low=0.35, high=0.04),
    ),
    "hpt_off_on": ("hpt_off_on", {}, mixed.hpt_off_on),
    "hpt_off_on-all-terms": (
        "hpt_off_on",
        {"gate": 0.25, "gamma": 0.3, "entropy_weight": 0.05, "length": 6},
        partial(mixed.hpt_off_on, gate=0.25, gamma=0.3, entropy=0.05, length=6),
    ),
    "hpt_mix_on": ("hpt_mix_on", {}, mixed.hpt_mix_on),
    "hpt_mix_on-all-terms": (
        "hpt_mix_on",
        {
            "gate": 0.25,
            "sft_weight": 0.4,
            "off_weight": 0.6,
            "gamma": 0.3,
            "entropy_weight": 0.05,
            "length": 6,
        },
        partial(mixed.hpt_mix_on, gate=0.25, sft=0.4, off=0.6, gamma=0.3, entropy=0.05, length=6),
    ),
    "hpt_soft": ("hpt_soft", {}, mixed.hpt_soft),
    "hpt_soft-tables": (
        "hpt_soft",
        {"reinforce": (0.1, 0.9, 0.3), "imitate": (1.0, 0.0, 0.0, 0.0), "entropy_weight": 0.05, "length": 6},
        partial(mixed.hpt_soft, alpha=(0.1, 0.9, 0.3), beta=(1.0, 0.0, 0.0, 0.0), entropy=0.05, length=6),
    ),
    "dft": ("dft", {}, mixed.dft),
    "f_alpha": ("f_alpha", {}, mixed.f_alpha),
    "f_alpha-ten": ("f_alpha", {"alpha": 10.0}, partial(mixed.f_alpha, alpha=10.0)),
    "f_alpha-zero": ("f_alpha", {"alpha": 0.0}, textbook.sft),
    "trsft": ("trsft", {}, mixed.trsft),
    "trsft-floor": ("trsft", {"floor": 0.3}, partial(mixed.trsft, floor=0.3)),
    "iw_sft": ("iw_sft", {}, mixed.iw_sft),
    "iw_sft-capped": ("iw_sft", {"high": 1.1}, partial(mixed.iw_sft, high=1.1)),
    "psft": ("psft", {}, mixed.psft),
    "psft-clip": ("psft", {"clip_high": 0.05}, partial(mixed.psft, high=0.05)),
    "rloo": ("rloo", {}, rl.rloo),
    "remax": ("remax", {}, rl.remax),
    "opo": ("opo", {}, rl.opo),
    "gpg": ("gpg", {}, rl.gpg),
    "gpg-std": ("gpg", {"normalize_std": True}, partial(rl.gpg, std=True)),
    "reinforce_plus_plus": ("reinforce_plus_plus", {}, rl.reinforce_plus_plus),
    "reinforce_plus_plus-gamma": (
        "reinforce_plus_plus",
        {"gamma": 0.9, "clip_low": 0.35, "clip_high": 0.04},
        partial(rl.reinforce_plus_plus, gamma=0.9, low=0.35, high=0.04),
    ),
    "reinforce_plus_plus_baseline": ("reinforce_plus_plus_baseline", {}, rl.reinforce_plus_plus_baseline),
    "reinforce_plus_plus_baseline-clip": (
        "reinforce_plus_plus_baseline",
        {"clip_low": 0.35, "clip_high": 0.04},
        partial(rl.reinforce_plus_plus_baseline, low=0.35, high=0.04),
    ),
    "ppo": ("ppo", {}, rl.ppo),
    "ppo-gae": (
        "ppo",
        {
            "gamma": 0.9,
            "lam": 0.8,
            "value_weight": 0.3,
            "value_clip": 0.2,
            "clip_low": 0.35,
            "clip_high": 0.04,
        },
        partial(rl.ppo, gamma=0.9, lam=0.8, weight=0.3, clip=0.2, low=0.35, high=0.04),
    ),
    "cispo": ("cispo", {}, rl.cispo),
    "cispo-bounds": (
        "cispo",
        {"low": 0.8, "high": 1.2, "normalize_std": False},
        partial(rl.cispo, low=0.8, high=1.2, std=False),
    ),
    "gspo": ("gspo", {}, rl.gspo),
    "gspo-wide": (
        "gspo",
        {"clip_low": 0.05, "clip_high": 0.2, "normalize_std": False},
        partial(rl.gspo, low=0.05, high=0.2, std=False),
    ),
    "gmpo": ("gmpo", {}, rl.gmpo),
    "gmpo-narrow": ("gmpo", {"clip_low": 0.1, "clip_high": 0.2}, partial(rl.gmpo, low=0.1, high=0.2)),
    "sapo": ("sapo", {}, rl.sapo),
    "sapo-temperatures": (
        "sapo",
        {"positive": 2.0, "negative": 5.0},
        partial(rl.sapo, positive=2.0, negative=5.0),
    ),
    "dapo": ("dapo", {}, rl.dapo),
    "dapo-clip": ("dapo", {"clip_low": 0.35, "clip_high": 0.04}, partial(rl.dapo, low=0.35, high=0.04)),
    "grpo_dual_clip": ("grpo_dual_clip", {}, rl.dual_clip),
    "grpo_dual_clip-tight": (
        "grpo_dual_clip",
        {"dual": 1.5, "clip_low": 0.35, "clip_high": 0.04},
        partial(rl.dual_clip, dual=1.5, low=0.35, high=0.04),
    ),
    "grpo_two_sided_clip": ("grpo_two_sided_clip", {}, rl.two_sided_clip),
    "grpo_two_sided_clip-tight": (
        "grpo_two_sided_clip",
        {"delta": 1.1, "clip_high": 0.25},
        partial(rl.two_sided_clip, delta=1.1, high=0.25),
    ),
    "grpo_tis": ("grpo_tis", {}, rl.grpo_tis),
    "grpo_tis-cap": ("grpo_tis", {"cap": 1.02}, partial(rl.grpo_tis, cap=1.02)),
    "grpo_mis": ("grpo_mis", {}, rl.grpo_mis),
    "grpo_mis-bounds": ("grpo_mis", {"low": 0.9, "high": 1.07}, partial(rl.grpo_mis, low=0.9, high=1.07)),
    "grpo_kl": ("grpo_kl", {}, rl.grpo_kl),
    "grpo_kl-weight": (
        "grpo_kl",
        {"kl_weight": 2.0, "normalize_std": False, "clip_low": 0.35},
        partial(rl.grpo_kl, weight=2.0, std=False, low=0.35),
    ),
    "clip_cov-all": (
        "clip_cov",
        {"low": 0.05, "high": 0.6, "share": 1.0, "clip_low": 0.35, "clip_high": 0.3},
        partial(rl.clip_cov, low=0.05, high=0.6, clip_low=0.35, clip_high=0.3),
    ),
    "kl_cov": ("kl_cov", {}, rl.kl_cov),
    "kl_cov-share": ("kl_cov", {"share": 0.3, "kl_weight": 0.4}, partial(rl.kl_cov, share=0.3, weight=0.4)),
}
STAGES = {
    "sft": ({}, 0, textbook.sft),
    "grpo": ({}, 1, textbook.grpo),
    "grpo-arguments": (
        {"clip_low": 0.35, "clip_high": 0.04, "normalize_std": False},
        1,
        partial(textbook.grpo, low=0.35, high=0.04, std=False),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_the_textbook_loss(case, world):
    name, arguments, loss = CASES[case]
    assert_same(gradient(ALGORITHMS[name](**arguments), world), autograd(loss, world), rtol=1e-9)


@pytest.mark.parametrize("case", STAGES)
def test_gradient_of_each_stage_is_that_of_the_textbook_loss(case, world):
    arguments, position, loss = STAGES[case]
    stage = ALGORITHMS["sft_then_grpo"](**arguments).stages[position]
    assert_same(gradient(stage.algorithm, world), autograd(loss, world), rtol=1e-9)


@pytest.mark.parametrize("name", ["gspo", "gmpo"])
def test_gradient_is_that_of_the_textbook_loss_where_whole_rows_leave_the_bounds(name, world):
    # Token ratios average to 1 over a row, so shift whole rows over the bounds, in both directions.
    shift = torch.tensor([0.5, -0.5, 0.02, 0.25, -0.35])[torch.arange(len(world.logits)) % 5, None]
    world = world.step_with(behavior_logp=world.step.behavior_logp - shift.double())
    arguments, loss = {"clip_low": 0.2, "clip_high": 0.2}, partial(getattr(rl, name), low=0.2, high=0.2)
    assert_same(gradient(ALGORITHMS[name](**arguments), world), autograd(loss, world), rtol=1e-9)


def test_gradient_of_a_controlled_mixture_is_that_of_the_textbook_loss_with_its_share(world):
    algorithm = ALGORITHMS["gac"]()
    (state,) = algorithm.plan(world.step).memory.values()
    loss = partial(mixed.chord_phi, mu=state["mu"])
    assert state["mu"] != 0.5
    assert_same(gradient(algorithm, world), autograd(loss, world), rtol=1e-9)


def test_every_textbook_case_is_an_algorithm_and_every_algorithm_has_one():
    assert {name for name, _, _ in CASES.values()} | {"sft_then_grpo", "gac"} == set(ALGORITHMS)


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
