"""The released training step under its scripts' options: which algorithm it is, and what has no part."""

import pytest
import torch

from core import Rollouts, TokenBatch
from studies.conforming import reference, reference_registry
from studies.conforming.composition import reproduce, reproduced_values
from studies.conforming.options import Inexpressible, OutOfScope
from studies.conforming.reference_rows import Flagged
from tests.studies.conforming.comparing import assert_released, case_of, numbers_of
from tests.studies.conforming.released_script import BRANCH, INPUTS, script


@pytest.mark.parametrize("label", BRANCH)
@pytest.mark.parametrize("cells", [((0, 1, 2),), ((2, 0), (1,))])
def test_a_script_s_step_is_a_registered_algorithm(label, cells):
    params, inputs, cells = script(label, cells=cells, micro_batching="dynamic")
    names = {piece.algorithm.name for piece in reference.compose(case_of(params, inputs, cells)).pieces}
    assert names == {BRANCH[label][1]}
    assert_released(params, inputs, cells)


@pytest.mark.parametrize("label", BRANCH)
def test_a_registered_algorithm_and_its_parts_agree(label, monkeypatch):
    params, inputs, cells = script(label)
    registered = numbers_of(case_of(params, inputs, cells))
    monkeypatch.setattr(reference_registry, "REGISTERED", {})
    composition = reference.compose(case_of(params, inputs, cells))
    assert composition.pieces[0].algorithm.name == f"{label} of parts"
    for name, value in reproduced_values(composition, reproduce(composition)).items():
        torch.testing.assert_close(value, registered[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("label", "changes"),
    [
        ("hpt", {"use_std": True}),
        ("hpt", {"loss_remove_clip": False}),
        ("hpt", {"sft_loss_coef": 0.0}),
        ("hpt_off_on", {"off_policy_reshape": "no_reshape"}),
        ("hpt_mix_on", {"off_max_clip": 0.4}),
        ("luffy", {"on_policy_reshape": "square_root"}),
        ("srft", {"srft_type": "exp"}),
        ("grpo", {"loss_remove_clip": True}),
    ],
)
def test_a_step_with_an_option_that_no_registered_algorithm_has_is_made_of_parts(label, changes):
    params, inputs, cells = script(label, **changes)
    composition = reference.compose(case_of(params, inputs, cells))
    assert composition.pieces[0].algorithm.name == f"{label} of parts"
    assert_released(params, inputs, cells)


def test_demonstrations_among_rollouts_of_their_group_are_not_behind_a_gate():
    params, inputs, cells = script("hpt", {**INPUTS, "group": [0, 0, 0]})
    composition = reference.compose(case_of(params, inputs, cells))
    assert composition.pieces[0].algorithm.name == "hpt of parts"
    assert_released(params, inputs, cells)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"off_policy_reshape": "cube"}, "off_policy_reshape=cube; known: no_reshape"),
        ({"on_policy_reshape": "cube"}, "on_policy_reshape=cube; known: no_reshape"),
        ({"off_policy_reshape": "p_div_p_x"}, "γ must be a number"),
        ({"adv_estimator": "rloo"}, "adv_estimator=rloo; known: grpo"),
        ({"use_ppo_kl_loss": "maybe"}, "use_ppo_kl_loss=maybe"),
        ({"use_kl_loss": True, "kl_loss_type": "low_var_kl"}, "the composition reads reference_logp"),
        ({"use_kl_loss": True, "kl_loss_type": "full"}, "kl_loss_type=full; known: kl, abs, mse"),
        ({"clip_ratio": -0.1, "loss_remove_clip": False}, "a part refuses"),
        ({"micro_batching": "by_luck"}, "micro_batching=by_luck"),
        ({"use_adaptive_temperature": True}, "use_adaptive_temperature=True"),
        ({"offline_loss_type": None}, "offline_loss_type is missing"),
    ],
)
def test_what_no_part_stands_for_is_named(changes, message):
    params, inputs, cells = script("luffy", **changes)
    with pytest.raises(Inexpressible, match=message):
        reference.compose(case_of(params, inputs, cells))


@pytest.mark.parametrize(
    ("label", "name", "message"),
    [
        ("hpt", "entropy", "the composition reads entropy"),
        ("srft", "entropy", "the composition reads current_entropy"),
        ("luffy", "rewards", "input rewards is missing"),
    ],
)
def test_an_input_that_a_part_misses_is_named(label, name, message):
    params, inputs, cells = script(label)
    without = {key: value for key, value in inputs.items() if key != name}
    with pytest.raises(Inexpressible, match=message):
        reference.compose(case_of(params, without, cells))


def test_an_input_that_nothing_reads_is_named():
    params, inputs, cells = script("luffy", {**INPUTS, "teacher_entropy": INPUTS["entropy"]})
    with pytest.raises(Inexpressible, match="input teacher_entropy"):
        reference.compose(case_of(params, inputs, cells))


def test_unrecorded_micro_batches_are_refused():
    params, inputs, _ = script("hpt", micro_batching="fixed", micro_batch_size=2)
    with pytest.raises(Inexpressible, match="micro_batches is missing"):
        reference.compose(case_of(params, inputs))


def test_random_rejection_is_out_of_scope():
    params, inputs, cells = script("luffy", off_policy_reshape="classic_reject_token")
    with pytest.raises(OutOfScope, match="random draws"):
        reference.compose(case_of(params, inputs, cells))


def test_random_rejection_does_not_concern_a_branch_without_that_loss():
    params, inputs, cells = script("hpt", off_policy_reshape="classic_reject_token")
    assert_released(params, inputs, cells)


def test_a_configuration_s_unset_bound_is_none():
    params, inputs, cells = script("luffy", off_max_clip=-1, off_min_clip=-1, all_max_clip=-1)
    unset = dict.fromkeys(("off_max_clip", "off_min_clip", "all_max_clip"))
    assert_released({**params, **unset}, inputs, cells)
    bounded, free = (numbers_of(case_of({**params, **each}, inputs, cells)) for each in ({}, unset))
    assert torch.equal(bounded["grad_logprobs"], free["grad_logprobs"])


def test_flags_of_other_rows_are_refused():
    step = TokenBatch(torch.ones(2, 1).bool(), torch.arange(2), torch.zeros(2).bool(), torch.zeros(2))
    with pytest.raises(ValueError, match="3 flags for the step's 2 rows"):
        Flagged(Rollouts(), (True, False, True))(step)
