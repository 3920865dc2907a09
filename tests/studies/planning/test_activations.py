"""Activations, logits and FLOPs by formula, against real models."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from studies.planning import activations as planned
from studies.planning.activations import MicroBatch, activations
from studies.planning.work import Lengths, backward_flops, forward_flops
from tests.studies.planning.measuring import build_model, measure_activations
from training.config import EngineConfig
from training.policy import ScoringPolicy, place
from training.responses import Response, collate

SHAPES = {
    "wide": {"intermediate_size": 2048, "hidden_size": 128},
    "deep": {"num_hidden_layers": 8, "hidden_size": 128, "intermediate_size": 256},
    "many tokens": {"vocab_size": 8192, "hidden_size": 64, "intermediate_size": 128},
}


def planned_bytes(counted, sizes, kind, precision, checkpointing, shape):
    stage = 1 if precision == "bf16" else 0
    engine = EngineConfig(zero_stage=stage, precision=precision, gradient_checkpointing=checkpointing)
    return activations(counted(sizes=sizes, kind=kind), engine, MicroBatch(*shape)).most


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("sizes", SHAPES.values(), ids=list(SHAPES))
@pytest.mark.parametrize("kind", ["Qwen2", "Llama"])
def test_a_micro_batch_needs_what_is_planned(kind, sizes, precision, checkpointing, counted):
    found, *shape = measure_activations(
        precision, rows=24, response=126, checkpointing=checkpointing, sizes=sizes, kind=kind
    )
    need = planned_bytes(counted, sizes, kind, precision, checkpointing, shape)
    assert found == pytest.approx(need, rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_logits_that_are_scored_in_parts_need_what_is_planned(precision, counted, monkeypatch):
    part = 24 * 8192 * 4
    monkeypatch.setattr("training.policy.PART_LOGITS", part)
    monkeypatch.setattr(planned, "PART_LOGITS", part)
    sizes = SHAPES["many tokens"]
    found, *shape = measure_activations(precision, rows=24, response=126, checkpointing=True, sizes=sizes)
    need = planned_bytes(counted, sizes, "Qwen2", precision, True, shape)
    assert found == pytest.approx(need, rel=0.1)


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_flops_are_those_that_are_counted(checkpointing, stage, counted, monkeypatch):
    if stage == 3:
        from deepspeed.runtime.zero.linear import zero3_linear_wrap

        monkeypatch.setattr("torch.nn.functional.linear", zero3_linear_wrap)
    model = build_model("fp32")
    model.set_attn_implementation("eager")  # of plain products, which are counted
    policy = ScoringPolicy(place(model, gradient_checkpointing=checkpointing))
    rows = [Response(0, tuple(range(2, 34)), (5,) * 96, is_demonstration=False, reward=1.0)] * 2
    rows.append(Response(0, tuple(range(2, 33)), (5,) * 96, is_demonstration=False, reward=1.0))
    inputs = collate(rows, torch.device("cpu"))
    lengths = Lengths(32, 96)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        policy(inputs)
    assert forward.get_total_flops() / 3 == pytest.approx(forward_flops(counted(), lengths), rel=0.02)
    with FlopCounterMode(display=False) as both:
        policy(inputs).logp.sum().backward()
    engine = EngineConfig(zero_stage=stage, gradient_checkpointing=checkpointing)
    planned_flops = backward_flops(counted(), lengths, engine)
    assert both.get_total_flops() / 3 == pytest.approx(planned_flops, rel=0.02)
