"""Checkpoints of an engine: bit for bit where nothing changed, and whole wherever they are loaded."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.training import many_ranks, resumed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 2])
def saved(request, policy_path, tmp_path_factory):
    """Return what was said of every configuration on one rank and on two, and the checkpoints' folder."""
    folder = tmp_path_factory.mktemp(f"ranks-{request.param}")
    out = many_ranks.run(request.param, "tests.training.resumed", policy_path, folder)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")], folder


def test_what_is_loaded_goes_on_bitwise_at_every_stage_offload_and_precision(saved):
    said, _ = saved
    assert [each["config"] for each in said] == [resumed.label(config) for config in resumed.CONFIGS]
    assert all(each["equal"] for each in said), said


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_a_checkpoint_is_loaded_on_one_rank_whatever_wrote_it(saved, policy_path, stage):
    _, folder = saved
    for config in resumed.CONFIGS:
        path = folder / resumed.label(config)
        written = {}
        for file in (path / "engine").glob("weight-*.safetensors"):
            written |= load_file(file)
        engine = resumed.make(policy_path, zero_stage=stage)
        engine.load(path)
        found = {name: weight.clone() for name, weight in engine.master_weights()}
        assert found.keys() == written.keys()
        assert all(torch.equal(found[name], written[name]) for name in found)
        assert all(torch.equal(weight, written[name]) for name, weight in engine.weights())
        engine.close()


def test_training_goes_on_elsewhere_as_it_would_have_there(saved, policy_path):
    _, folder = saved
    expected = resumed.make(policy_path, zero_stage=0)
    resumed.train(expected, resumed.BEFORE + 5)
    for config in resumed.CONFIGS:
        engine = resumed.make(policy_path, zero_stage=2)
        engine.load(folder / resumed.label(config))
        resumed.train(engine, 5)
        distance = (resumed.masters(engine) - resumed.masters(expected)).norm()
        bound = 1e-2 if config["precision"] == "bf16" else 1e-5
        assert distance < bound * resumed.masters(expected).norm(), config
        engine.close()
