"""Five AdamW steps of a small transformer: what the fingerprint can't see."""

import dataclasses

import pytest
import torch

from studies.auditing.configuration import DRIFT_BOUNDS, DRIFTED, audit_configuration, diagnose_drift
from studies.auditing.planted import PLANTS
from studies.auditing.transformer import Drift, drift
from training.config import EngineConfig
from training.engine import Engine
from training.ranks import Ranks

torch.set_num_threads(1)


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("case", ["1", "ragged"])
def test_the_engine_goes_where_plain_pytorch_goes(case, clip):
    found = drift(case, EngineConfig(gradient_clip=clip), 1, Engine)
    assert max(found.change, found.norm) < DRIFT_BOUNDS["fp32"] / 4
    assert found.weights < 1e-6


def test_bf16_stays_within_what_its_roundings_explain():
    found = drift("4", EngineConfig(zero_stage=2, precision="bf16"), 1, Engine)
    assert 1e-3 < found.change < DRIFT_BOUNDS["bf16"] / 1.5
    assert found.weights < 0.01


def test_gradient_checkpointing_changes_nothing():
    plain = drift("2", EngineConfig(), 1, Engine)
    checkpointed = drift("2", EngineConfig(gradient_checkpointing=True), 1, Engine)
    assert checkpointed == plain


@pytest.mark.parametrize("name", ["dropped_micro_batches", "shifted_mask", "clip_scale", "no_step"])
def test_faults_of_the_gradient_show_here_too(name):
    found = drift("4", EngineConfig(), 1, PLANTS[name])
    assert found.change > 0.1


@pytest.mark.parametrize(
    ("change", "norm", "right"), [(0.9, 0.9, True), (1.1, 0.0, False), (0.0, 1.1, False)]
)
def test_weights_and_norms_have_to_be_within_the_bound(change, norm, right):
    bound = DRIFT_BOUNDS["fp32"]
    found = diagnose_drift(Drift(0.0, change * bound, norm * bound), bound)
    assert (found.faults == ()) == right


def without_decay(module, config, optimizer):
    return Engine(module, config, dataclasses.replace(optimizer, weight_decay=0.0))


def with_other_decay_rates(module, config, optimizer):
    betas = (0.9, 0.99) if optimizer.betas != (0.0, 0.0) else optimizer.betas
    return Engine(module, config, dataclasses.replace(optimizer, betas=betas))


@pytest.mark.parametrize("faulty", [without_decay, with_other_decay_rates])
def test_a_wrong_optimizer_is_told_from_a_wrong_gradient(faulty):
    found = audit_configuration(EngineConfig(), Ranks(), faulty)
    assert found.diagnoses == [DRIFTED]
    assert found.worst_error < 1e-5
    assert all("five AdamW steps end" in cell.details[0] for cell in found.cells)
