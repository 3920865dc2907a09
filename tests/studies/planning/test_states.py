"""ZeRO's memory by formula, against real engines."""

import json
from functools import cache

import pytest

from studies.planning import states as planned
from studies.planning.states import states
from tests.studies.planning import measuring
from tests.training import many_ranks
from training.config import EngineConfig

SETTINGS = [
    (0, "fp32", False),
    (1, "fp32", False),
    (2, "fp32", False),
    (3, "fp32", False),
    (1, "bf16", False),
    (2, "bf16", False),
    (3, "bf16", False),
]


@pytest.fixture(autouse=True)
def _small_bucket(monkeypatch):
    monkeypatch.setattr(planned, "deepspeed_config", measuring.small_bucket)


def expected(model, stage, precision, offload, ranks):
    return states(model, EngineConfig(zero_stage=stage, precision=precision, offload=offload), ranks)


@pytest.mark.parametrize(("stage", "precision", "offload"), SETTINGS)
def test_a_ranks_states_are_those_of_a_real_engine(stage, precision, offload, counted):
    found = measuring.measure_engine(stage, precision, offload)
    need = expected(counted(sizes=measuring.DEEP), stage, precision, offload, 1)
    assert found["passes"] == pytest.approx(need.passes, rel=0.05)
    assert found["step"] == pytest.approx(need.step, rel=0.05)


SHARED = [(1, "bf16"), (2, "bf16"), (3, "bf16"), (2, "fp32"), (3, "fp32")]


@pytest.fixture(scope="module")
def measured():
    """Measure in a process of its own, or on several ranks: all that tests ask for in one go."""

    @cache
    def of(ranks):
        settings = [f"{stage}:bf16:offload" for stage in (1, 2, 3)]
        settings += [f"{stage}:{precision}:keep" for stage, precision in SHARED] if ranks > 1 else []
        out = many_ranks.run(ranks, "tests.studies.planning.measuring", *settings, timeout=300)
        return json.loads(next(line for line in out.splitlines() if line.startswith("{")))

    return lambda ranks, stage, precision, place: of(ranks)[f"{stage}:{precision}:{place}"]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "precision"), SHARED)
def test_two_ranks_share_states_as_planned(stage, precision, counted, measured):
    found = measured(2, stage, precision, "keep")
    need = expected(counted(sizes=measuring.DEEP), stage, precision, False, 2)
    assert found["passes"] == pytest.approx(need.passes, rel=0.06)
    assert found["step"] == pytest.approx(need.step, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("stage", [1, 2])
def test_offloaded_states_are_those_of_a_real_engine(stage, ranks, counted, measured):
    found = measured(ranks, stage, "bf16", "offload")
    need = expected(counted(sizes=measuring.DEEP), stage, "bf16", True, ranks)
    # On a CPU what is offloaded and what is not lie side by side.
    assert found["passes"] == pytest.approx(need.passes + need.cpu, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_stage_3_offloads_what_is_planned(ranks, counted, measured):
    found = measured(ranks, 3, "bf16", "offload")
    need = expected(counted(sizes=measuring.DEEP), 3, "bf16", True, ranks)
    gathered = need.parameters if ranks > 1 else 0  # on a CPU a single rank copies nothing
    assert found["passes"] == pytest.approx(need.cpu + need.gradients + need.buffers + gathered, rel=0.06)


def test_zero_divides_as_its_paper_says(counted):
    """2N + 2N + 12N bytes, of which stage 1 divides 12N, stage 2 also a 2N, stage 3 all."""
    n = counted(sizes=measuring.DEEP).parameters
    for stage, optimizer in ((1, 12 * n / 64), (2, 12 * n / 64), (3, 12 * n / 64)):
        assert expected(counted(sizes=measuring.DEEP), stage, "bf16", False, 64).optimizer == pytest.approx(
            optimizer
        )
    one, many = (expected(counted(sizes=measuring.DEEP), 1, "bf16", False, ranks) for ranks in (1, 64))
    assert one.parameters == many.parameters == 2 * n
    assert many.gradients == pytest.approx(2 * n * (1 + 1 / 64))
