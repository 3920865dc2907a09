"""Which settings are reported to change nothing, and why."""

import inspect
from dataclasses import dataclass
from typing import Literal

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Constant,
    Cosine,
    Curriculum,
    Demonstrations,
    EntropyBonus,
    Gae,
    GateWeights,
    GroupRelative,
    HysteresisGate,
    KlPenalty,
    PolicyGradient,
    Rollouts,
    ScheduleGate,
    SequenceMean,
    SideStep,
    Stage,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    Whitened,
)
from studies.configuring.arguments import argument_types
from studies.explaining.behavior import OFFERED
from studies.explaining.conditions import GRADED, LEARNT, STALE, UNEVEN, Settings
from studies.explaining.dead import Dead, dead_argument, dead_field, examine
from studies.explaining.fields import changed, fields_of
from studies.explaining.variation import algorithms_of, alternatives, near
from tests.studies.explaining.composed import CLIPPED, IMITATE, clipped, ignoring, imitating, one

ONCE, TWICE = Settings(8, 1), Settings(8, 2)


def argument(function, name, settings=ONCE):
    """Return an argument if it is dead."""
    given = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    return dead_argument(function, given, name, argument_types(function)[name], settings)[0]


def field(algorithm, label, settings=ONCE):
    """Return a field of an algorithm if it is dead."""
    (found,) = (each for each in fields_of(algorithm) if label in each.labels(algorithm))
    return dead_field(algorithm, found, settings)


@pytest.mark.parametrize("name", ["clip_low", "clip_high"])
def test_a_clip_is_dead_with_one_update_and_alive_with_two(name):
    once = argument(clipped, name, ONCE)
    assert once == Dead((name,), 0.2, (STALE,))
    assert "every ratio to the behavior policy is 1" in once.reason(ONCE)
    assert argument(clipped, name, TWICE) is None


def test_a_factor_of_the_whole_gradient_is_alive():
    assert argument(clipped, "scale") is None


def test_the_lower_bound_of_a_clip_never_acts_where_every_advantage_is_positive():
    for settings in (ONCE, TWICE):
        found = field(ALGORITHMS["psft"](), "imitate.mask.low", settings)
        assert found.conditions == ()
        assert found.reason(settings) == "has no effect"
    assert argument(ALGORITHMS["psft"], "clip_high", TWICE) is None


def test_an_argument_that_the_function_ignores_has_no_effect():
    assert argument(ignoring, "unused", TWICE) == Dead(("unused",), 0.5, ())
    assert argument(ignoring, "used", TWICE) is None


def test_a_field_that_an_argument_sets_is_left_to_the_argument():
    kinds = argument_types(clipped)
    given = {"clip_low": 0.2, "clip_high": 0.2, "scale": 1.0}
    labels = {label for dead in examine(clipped, given, kinds, ONCE).dead for label in dead.labels}
    assert labels == {"clip_low", "clip_high", "only.advantage.members"}
    assert field(clipped(), "only.mask.low").conditions == (STALE,)


def test_without_demonstrations_it_does_not_matter_whether_they_would_count():
    found = field(clipped(), "only.advantage.members")
    assert found.conditions == (OFFERED,)
    assert found.reason(ONCE) == "cannot act: no demonstrations are collected for it"
    union = Algorithm("both", (*clipped().terms, Term("imitate", IMITATE, Demonstrations(), TokenMean())))
    assert field(union, "only.advantage.members") is None


def test_an_epsilon_that_nothing_is_divided_by_has_no_effect():
    plain = PolicyGradient(
        ClipMask(), BehaviorPolicy(), GroupRelative(normalize_std=False), TokenLikelihood()
    )
    assert field(one(plain), "only.advantage.epsilon").conditions == ()
    assert field(one(CLIPPED), "only.advantage.epsilon") is None


def test_an_entropy_bonus_of_weight_0_is_alive_and_its_name_no_setting():
    algorithm = Algorithm("with", (*clipped().terms, EntropyBonus(0.0, Rollouts(), TokenMean())))
    assert field(algorithm, "entropy.weight") is None
    assert "entropy.name" not in {label for each in fields_of(algorithm) for label in each.labels(algorithm)}


@pytest.mark.parametrize("name", ["low", "high"])
def test_what_acts_only_from_one_step_to_the_next_is_alive(name):
    gated = one(CLIPPED, Rollouts(HysteresisGate(0.0, 0.25)))
    assert field(gated, f"only.rows.gate.{name}") is None


@pytest.mark.parametrize("name", ["start", "end", "over", "warmup"])
def test_what_acts_only_in_a_part_of_the_run_is_alive(name):
    schedule = Cosine(0.9, 0.05, over=0.4, warmup=0.02)
    assert (
        field(one(IMITATE, Demonstrations(ScheduleGate(schedule))), f"only.rows.gate.schedule.{name}") is None
    )


def test_a_gate_in_two_places_is_one_setting():
    gate = ThresholdGate(0.25, reinforce=0.7, imitate=0.4)
    reinforce = Term("reinforce", CLIPPED, Rollouts(gate), SequenceMean())
    imitate = Term("imitate", IMITATE, Demonstrations(gate), TokenMean())
    assert field(Algorithm("both", (reinforce, imitate)), "reinforce.rows.gate.imitate") is None
    assert field(Algorithm("alone", (reinforce,)), "reinforce.rows.gate.imitate").conditions == ()


def test_the_clip_of_values_acts_from_the_second_update_of_a_rollout_batch_on():
    gae = Gae(1.0, 0.9)
    reinforce = PolicyGradient(ClipMask(), BehaviorPolicy(), Whitened(gae), TokenLikelihood())
    terms = (
        Term("reinforce", reinforce, Rollouts(), TokenMean()),
        ValueLoss(gae, 1.0, Rollouts(), TokenMean(), clip=0.2),
    )
    algorithm = Algorithm("critic", terms)
    assert field(algorithm, "value.clip").conditions == (LEARNT,)
    assert field(algorithm, "value.clip", TWICE) is None
    assert field(algorithm, "value.weight", TWICE) is None
    assert field(algorithm, "value.returns.lam", TWICE) is None


def test_a_bound_far_above_every_ratio_acts_only_far_from_where_it_is():
    found = argument(ALGORITHMS["grpo_two_sided_clip"], "delta")
    assert found.conditions == (STALE,)
    assert found.acts_at
    assert max(found.acts_at) < 1.0
    assert list(found.acts_at) == sorted(found.acts_at)
    assert found.reason(ONCE) == (
        "has no effect near its value: one update per rollout batch, so every ratio to the behavior policy "
        "is 1; 0.0, 0.2 and 0.5 do act"
    )
    assert Dead(("a",), 4.0, (), (0.5,)).reason(ONCE) == "has no effect near its value; 0.5 does act"
    assert argument(ALGORITHMS["grpo_two_sided_clip"], "delta", TWICE) is None


def test_stages_and_side_steps_name_their_fields_after_themselves():
    second = Algorithm("second", clipped().terms, aside=SideStep(imitating()))
    built = Curriculum("two", (Stage(imitating(), 0.5), Stage(second, 0.5)))
    assert [prefix for prefix, _ in algorithms_of(built)] == ["custom.", "second.", "second.aside."]


@pytest.mark.parametrize(("algorithm", "name"), [
    ("sft_then_grpo", "sft_share"), ("uft", "start"), ("uft", "over"), ("uft", "chunks"),
    ("prefix_rft", "longest"),
    ("relift", "questions"), ("relift", "gate"),
])  # fmt: skip
def test_what_is_asked_of_stages_rollouts_and_side_steps_is_alive(algorithm, name):
    assert argument(ALGORITHMS[algorithm], name) is None


def opaque(*, label: object = None, scale: float = 1.0) -> Algorithm:
    """Return GRPO; the label is not something that other values are known of."""
    return clipped(scale=scale)


def test_an_argument_without_other_values_is_said_not_to_be_examined():
    given = {"label": None, "scale": 1.0}
    assert examine(opaque, given, argument_types(opaque), ONCE).unvaried == ("label",)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["target", "smoothing", "trim", "low", "every"])
def test_a_controller_is_judged_once_it_has_settled(name):
    assert field(ALGORITHMS["gac"](), f"imitate.rows.gate.{name}") is None


@pytest.mark.slow
def test_a_controller_does_not_hide_that_a_clip_cannot_act():
    assert argument(ALGORITHMS["gac"], "clip") == Dead(("clip",), 0.2, (STALE,))
    assert argument(ALGORITHMS["gac"], "clip", TWICE) is None


def test_what_is_remembered_does_not_hide_that_a_clip_cannot_act():
    gated = one(CLIPPED, Rollouts(HysteresisGate(0.0, 0.25)))
    assert field(gated, "only.mask.low").conditions == (STALE,)
    assert field(gated, "only.mask.low", TWICE) is None


@dataclass(frozen=True)
class Until:
    """A gate that reinforces for a number of steps."""

    steps: float

    def __call__(self, step):
        on = step.memory[repr(self)]["age"] <= self.steps
        return GateWeights(torch.full_like(step.reward, float(on)), torch.zeros_like(step.reward))

    def advance(self, step, state):
        return {"age": state.get("age", 0.0) + 1.0}


def test_values_far_off_are_tried_in_a_long_run_too():
    found = field(one(CLIPPED, Rollouts(Until(400.0))), "only.rows.gate.steps")
    assert found.conditions == ()
    assert 20.0 in found.acts_at  # later than in the few steps that are tried first
    assert field(one(CLIPPED, Rollouts(Until(20.0))), "only.rows.gate.steps") is None


@dataclass(frozen=True)
class Only:
    """A gate that takes no step but with the number 1."""

    number: float = 1.0

    def __call__(self, step):
        if self.number != 1.0:
            raise ValueError(f"Only.number={self.number} must be 1")
        return GateWeights(torch.ones_like(step.reward), torch.zeros_like(step.reward))


def test_values_that_no_step_can_be_taken_with_do_not_show_that_a_setting_is_dead():
    assert field(one(CLIPPED, Rollouts(Only())), "only.rows.gate.number") is None


def test_a_part_that_a_gate_measures_is_changed_with_the_gate():
    gac = ALGORITHMS["gac"]()
    fields = {field.labels(gac): field for field in fields_of(gac)}
    places = ("imitate.advantage.credit", "imitate.rows.gate.imitate.advantage.credit")
    (credit,) = (field for labels, field in fields.items() if set(places) <= set(labels))
    assert changed(gac, credit, 2.0).terms[1].estimator.advantage == Constant(2.0)
    assert dead_field(gac, credit, ONCE) is None
    for labels, field in fields.items():
        assert any(_takes(gac, field, other) for other in alternatives(field.value, field.kind)), labels


def _takes(algorithm, field, value):
    try:
        changed(algorithm, field, value)
    except ValueError:
        return False
    return True


def test_a_field_called_estimator_is_named():
    kl = KlPenalty(0.0, Rollouts(), TokenMean())
    algorithm = Algorithm("with", (*clipped().terms, kl))
    labels = {label for each in fields_of(algorithm) for label in each.labels(algorithm)}
    assert {"kl.estimator", "only.mask.low"} <= labels
    assert field(algorithm, "kl.estimator").conditions == ()


@pytest.mark.parametrize(("value", "kind", "some"), [
    (True, bool, {False}),
    (0.2, float, {0.45, 0.4, 0.1, 0.0, 1.0}),
    (8, int, {9, 7, 16, 4}),
    ("a", "x", set()),
    (None, float | None, {0.1, 1.0, 10.0}),
    (0.5, float | None, {None, 0.75}),
    ((0.0, 1.0), tuple[float, ...], {(0.25, 1.0), (0.0, 0.5)}),
    (Constant(), object, set()),
])  # fmt: skip
def test_other_values_are_of_the_same_kind(value, kind, some):
    found = alternatives(value, kind)
    assert some <= set(found)
    assert bool(found) == bool(some)
    assert all(type(other) is not type(value) or other != value for other in found)


def test_choices_come_from_the_annotation():
    assert set(alternatives("rows", Literal["rows", "tokens"])) == {"tokens"}
    assert set(alternatives("rows", Literal["rows", "tokens"] | None)) == {"tokens", None}


@pytest.mark.parametrize(("value", "other", "said"), [
    (4.0, 8.0, True), (4.0, 2.0, True), (4.0, 0.5, False), (0.0, 0.25, True), (0.0, 1.0, False),
    (8, 7, True), (8, 1, False), ("a", "b", True), (None, 1.0, True), (True, False, True), (-1.0, -2.0, True),
])  # fmt: skip
def test_near_values_are_within_a_factor_of_two_or_a_step(value, other, said):
    assert near(value, other) == said


def test_conditions_of_the_settings_are_told_one_by_one():
    dead = Dead(("a",), 1.0, (GRADED, UNEVEN))
    assert dead.reason(ONCE) == (
        "cannot act: every reward is 0 or 1, and every question has as many rollouts, and one demonstration"
    )
