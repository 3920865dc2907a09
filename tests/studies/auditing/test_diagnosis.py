"""Diagnoses of coefficients that were made up: every known fault by its name, nothing else by any."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from studies.auditing.diagnosis import BOUNDS, FAULTS, UNKNOWN, diagnose, errors, pattern
from studies.auditing.faults import DROPPED
from tests.studies.auditing.synthetic import make_truths, noise, predicted, seen

BOUND = BOUNDS["fp32"]
TRUTHS = {(case, clip): make_truths(case, 2, clip) for case in ("4", "ragged") for clip in (None, 1.0)}


def forms(truths):
    """Yield every fault with each of its variants that shows in these steps."""
    for fault in FAULTS:
        variants = {}
        steps = [seen(truth) for truth in truths]
        for step, before in zip(steps, [None, *steps[:-1]], strict=True):
            truth = step.truth
            for each in fault.predict(step, before):
                norm = truth.norm(truth.coefficient) if each.norm is None else each.norm
                same = torch.allclose(each.coefficient, truth.applied, rtol=1e-4, atol=0)
                same = same and norm == pytest.approx(truth.norm(truth.coefficient), rel=1e-4)
                variants[each.variant] = variants.get(each.variant, True) and same
        yield from ((fault, variant) for variant, same in variants.items() if not same)


@pytest.mark.parametrize("key", TRUTHS, ids=str)
def test_right_steps_have_no_diagnosis(key):
    found = diagnose([seen(truth) for truth in TRUTHS[key]], BOUND)
    assert found.faults == found.details == ()


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("key", TRUTHS, ids=str)
def test_every_fault_is_named_and_alone(key, precision):
    known = list(forms(TRUTHS[key]))
    assert len({fault.name for fault, _ in known}) >= (7 if key[1] is None else 9)
    for fault, variant in known:
        steps = predicted(fault, variant, TRUTHS[key])
        found = diagnose(steps, BOUNDS[precision])
        assert found.faults == (fault.name,), (fault.name, variant, found)
        assert found.details[0].startswith(fault.name)


@pytest.mark.parametrize("case", ["4", "ragged"])
def test_a_fault_before_the_clip_is_known_by_the_norm_where_the_clip_hides_it(case):
    truths = TRUTHS[case, 1.0][:1]
    (found,) = [fault for fault in FAULTS if fault.name == "rank_factor"]
    step = predicted(found, "multiplied", truths)[0]
    # Clipped to the same norm, the coefficients are as they should be.
    assert errors(step).coefficient < 1e-6
    assert set(diagnose([step], BOUND).faults) == {"rank_factor", "wrong_norm"}
    assert diagnose(predicted(found, "multiplied", TRUTHS[case, 1.0]), BOUND).faults == ("rank_factor",)


@given(kept=st.sets(st.integers(0, 7), min_size=1, max_size=7), clip=st.sampled_from([None, 1.0]))
@settings(max_examples=30, deadline=None)
def test_dropped_micro_batches_are_told_one_by_one(kept, clip):
    truths = TRUTHS["4", clip]
    steps = []
    for truth in truths:
        inside = torch.stack([truth.inside(truth.places[place]) for place in kept]).any(dim=0)
        left = torch.where(inside, truth.coefficient, 0.0)
        steps.append(seen(truth, truth.clipped(left), truth.norm(left)))
    found = diagnose(steps, BOUND)
    assert DROPPED.name in found.faults
    (detail,) = [each for each in found.details if each.startswith(DROPPED.name)]
    lost = [place for place in range(8) if place not in kept]
    for place, (rank, number) in enumerate(truths[0].places):
        assert (f"{number + 1} of rank {rank}" in detail) == (place in lost)


@given(seed=st.integers(0, 100), size=st.floats(0.05, 2.0), key=st.sampled_from(list(TRUTHS)))
@settings(max_examples=20, deadline=None)
def test_what_no_known_fault_does_is_unknown_and_described_in_numbers(seed, size, key):
    steps = [seen(truth, truth.applied + noise(truth, size, seed)) for truth in TRUTHS[key]]
    found = diagnose(steps, BOUND)
    assert found.faults == (UNKNOWN,)
    assert len(found.details) == len(steps)
    assert "rank 1 micro-batch 1 ×" in found.details[0]


@pytest.mark.parametrize(("size", "right"), [(0.9, True), (1.1, False)])
def test_the_bound_decides(size, right):
    truths = TRUTHS["4", 1.0]
    for wrong in ("coefficient", "residual", "stray", "norm"):
        steps = []
        for truth in truths:
            scale = float(truth.applied.abs().max())
            off = torch.zeros_like(truth.applied)
            off[0] = size * BOUND * scale
            norm = truth.norm(truth.coefficient)
            changes = {
                "coefficient": {"coefficient": truth.applied + off},
                "residual": {"residual": size * BOUND * scale},
                "stray": {"stray": size * BOUND * scale},
                "norm": {"norm": norm * (1 + size * BOUND)},
            }
            steps.append(seen(truth, **changes[wrong]))
        assert (diagnose(steps, BOUND).faults == ()) == right, wrong
        assert errors(steps[0]).worst == pytest.approx(size * BOUND, rel=1e-3)


def test_a_step_that_the_engine_skipped_is_not_right():
    truths = TRUTHS["4", 1.0]
    found = diagnose([seen(truths[0], applied=False), seen(truths[1])], BOUND)
    assert found.faults == (UNKNOWN,)
    assert "skipped" in pattern(seen(truths[0], applied=False))


def test_a_fault_must_explain_every_step():
    truths = TRUTHS["4", None]
    (fault,) = [each for each in FAULTS if each.name == "shifted_mask"]
    right = predicted(fault, "right", truths)
    left = predicted(fault, "left", truths)
    assert diagnose(right, BOUND).faults == ("shifted_mask",)
    # Shifted one way in one step and the other way in the next is no fault that is known.
    assert diagnose([right[0], left[1]], BOUND).faults == (UNKNOWN,)
    assert diagnose([right[0], seen(truths[1])], BOUND).faults == (UNKNOWN,)
