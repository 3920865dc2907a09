"""Every registered algorithm trains at the embedded scale, as a study runs it, to finite numbers."""

import json
import math

import pytest

from algorithms import ALGORITHMS
from studies.catalog import find_scale
from studies.configuring.changes import Changes
from studies.configuring.resolve import resolve
from studies.execute import execute
from studies.study import Arm, Study

STEPS = 30
SETTINGS = {
    "train.steps": STEPS,
    "train.checkpoint_every": STEPS,
    "train.questions_per_step": 8,
    "train.updates_per_step": 2,
    "evaluation.suites": ("tiny_add2",),
    "evaluation.samples": 1,
    "evaluation.limit": 5,
}


def numbers(value):
    """Yield all numbers of a JSON value."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_thirty_steps_end_finite(name, tmp_path):
    study = Study(name="every", title="Every algorithm", arms=(Arm(name, name),), seeds=(0,))
    (run,) = resolve(study, [find_scale("tiny")], (0,), Changes(settings=SETTINGS)).runs
    execute(run, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(math.isfinite(number) for line in lines for number in numbers(line))
    # The norm is the last update's; a step of few questions may well have nothing to train on.
    assert any(line["train/gradient_norm"] > 0 for line in lines)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"
