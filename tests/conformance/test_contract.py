"""What the registry promises of every algorithm: a value that is its record."""

import contextlib
import dataclasses
import inspect
import json
import pickle
from collections.abc import Sequence
from typing import get_origin

import pytest
import torch

from algorithms import ALGORITHMS
from core import Algorithm, Curriculum, StepPlan, TokenBatch, surrogate
from tests.conformance.registry import built, defaults, one_term, stages
from tests.worlds import assert_same, build_world, gradient, speak

FIELDS = {
    "behavior_logp", "sampler_logp", "reference_logp", "current_logp", "current_entropy", "value",
    "greedy_reward",
}  # fmt: skip
KNOWN_NEEDS = FIELDS | {"rollouts", "demonstrations", "prefixes", "entropy"}
every_build = pytest.mark.parametrize(("name", "arguments"), built())
every_stage = pytest.mark.parametrize("algorithm", stages())


def parts_of(thing):
    """Return a dataclass and every dataclass below it."""
    found = [thing]
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        for child in value if isinstance(value, tuple) else (value,):
            found += parts_of(child) if dataclasses.is_dataclass(child) else []
    return found


@every_build
def test_two_builds_with_the_same_arguments_are_equal_and_hash_alike(name, arguments):
    first, second = (ALGORITHMS[name](**arguments) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


@every_build
def test_it_survives_pickling(name, arguments):
    algorithm = ALGORITHMS[name](**arguments)
    assert pickle.loads(pickle.dumps(algorithm)) == algorithm


@every_build
def test_it_and_all_its_parts_are_frozen(name, arguments):
    for part in parts_of(ALGORITHMS[name](**arguments)):
        for field in dataclasses.fields(part):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, field.name, None)


@every_build
def test_name_and_all_arguments_written_as_json_rebuild_it(name, arguments):
    record = json.loads(json.dumps({"name": name, "arguments": {**defaults(name), **arguments}}))
    assert ALGORITHMS[record["name"]](**record["arguments"]) == ALGORITHMS[name](**arguments)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_is_named_as_registered(name):
    algorithm = ALGORITHMS[name]()
    assert algorithm.name == name
    assert isinstance(algorithm, Algorithm | Curriculum)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_its_arguments_are_keywords_with_a_type_and_a_default(name):
    for parameter in inspect.signature(ALGORITHMS[name]).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.annotation in (float, int, bool, Sequence[float])
        assert isinstance(parameter.default, get_origin(parameter.annotation) or parameter.annotation)


@pytest.mark.parametrize(("name", "argument"), [(n, a) for n in ALGORITHMS for a in defaults(n)])
def test_no_argument_is_ignored(name, argument):
    built = [ALGORITHMS[name](**{argument: value}) for value in others(name, argument)]
    assert built
    assert all(algorithm != ALGORITHMS[name]() for algorithm in built)


def others(name, argument):
    """Yield values of an argument, other than its default, that the algorithm takes."""
    value = defaults(name)[argument]
    if isinstance(value, bool):
        values = [not value]
    elif isinstance(value, tuple):
        values = [(*value, 0.5)]
    else:
        values = [value + 1, value + 2] if isinstance(value, int) else [value + 0.125, value - 0.125]
    for other in values:
        with contextlib.suppress(ValueError):
            ALGORITHMS[name](**{argument: other})
            yield other


@every_stage
def test_its_needs_are_known_names_and_enough(algorithm, world):
    assert algorithm.needs <= KNOWN_NEEDS
    absent = dict.fromkeys(FIELDS - algorithm.needs)
    assert_same(gradient(algorithm, world.step_with(**absent)), gradient(algorithm, world))


@every_stage
def test_what_it_needs_to_plan_is_enough_to_plan(algorithm, world):
    assert algorithm.plan_needs <= algorithm.needs
    late = dict.fromkeys((FIELDS & algorithm.needs) - algorithm.plan_needs)
    early = algorithm.plan(world.step_with(**late).step)
    for one, other in zip(early.plans, algorithm.plan(world.step).plans, strict=True):
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(one, other, strict=True))


@every_stage
def test_what_it_needs_is_missed_when_it_is_not_there(algorithm, world):
    policy, plan = speak(world, world.logits), algorithm.plan(world.step)
    for field in algorithm.needs & FIELDS:
        step = world.step_with(**{field: None}).step
        with pytest.raises(ValueError, match=f"reads {field}, which these rows do not carry"):
            algorithm.plan(step).coefficients(policy, step)
    for spoken in algorithm.needs & {"entropy", "value"}:
        silent = dataclasses.replace(policy, **{spoken: None})
        with pytest.raises(ValueError, match=rf"PolicyTokens\.{spoken} is None"):
            surrogate(plan.coefficients(silent, world.step), silent, world.step)


@every_stage
@pytest.mark.parametrize("rewards", [torch.float32, torch.float64])
@pytest.mark.parametrize("logps", [torch.float32, torch.float64])
def test_plans_keep_the_dtype_of_the_rewards_and_coefficients_that_of_the_log_probs(
    algorithm, rewards, logps
):
    world = build_world(dtype=logps)
    graded = {name: getattr(world.step, name).to(rewards) for name in ("reward", "greedy_reward")}
    step = dataclasses.replace(world.step, **graded)
    plan = algorithm.plan(step)
    for part in plan.plans:
        assert part.advantage.dtype == part.weight.dtype == rewards
    for found in plan.coefficients(speak(world, world.logits), step):
        assert {tensor.dtype for tensor in found if tensor is not None} == {logps}


@every_stage
def test_coefficients_carry_no_graph(algorithm, world):
    policy = speak(world, world.logits.clone().requires_grad_())
    for found in algorithm.plan(world.step).coefficients(policy, world.step):
        assert not any(tensor.requires_grad for tensor in found if tensor is not None)


@every_stage
def test_nothing_it_is_given_is_modified(algorithm):
    world = build_world()
    policy = speak(world, world.logits)
    algorithm_plan = algorithm.plan(world.step)
    before = [t.clone() for t in tensors_of(world.step, algorithm_plan, policy)]
    algorithm.plan(world.step).coefficients(policy, world.step)
    algorithm_plan.coefficients(policy, world.step)
    fresh = build_world()
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(world.step), tensors_of(fresh.step), strict=True))
    after = tensors_of(world.step, algorithm_plan, policy)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def tensors_of(*holders):
    """Return all tensors in batches, policies and plans."""
    found = []
    for holder in holders:
        if isinstance(holder, StepPlan):
            found += [tensor for plan in holder.plans for tensor in plan]
        elif isinstance(holder, TokenBatch):
            found += [tensor for _, tensor in holder.tensors()]
        else:
            found += [getattr(holder, field.name) for field in dataclasses.fields(holder)]
    return [tensor for tensor in found if tensor is not None]


@every_stage
def test_the_gradient_is_the_sum_of_its_terms_and_linear_in_their_weights(algorithm, world):
    parts = [one_term(term, world) for term in algorithm.terms]
    assert_same(sum(parts), gradient(algorithm, world))
    for term, once in zip(algorithm.terms, parts, strict=True):
        assert torch.equal(one_term(term, world, 2.0), 2.0 * once)
        assert not one_term(term, world, 0.0).any()


def test_rows_of_a_batch_are_rows_of_all_its_fields(world):
    index = torch.tensor([4, 0])
    part = dict(world.step.rows(index).tensors())
    assert len(part) > 5
    for name, whole in world.step.tensors():
        assert torch.equal(part[name], whole[index])
