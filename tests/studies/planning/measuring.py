"""What engines and models really need, operation by operation, on a CPU.

As a script, started on several ranks: the memory of engines as JSON, from rank 0.
"""

import gc
import json
import os
import sys

import torch

import training.engine
from tests.studies.planning.storages import PeakMemory
from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.engine_setup import deepspeed_config
from training.policy import ScoringPolicy, place
from training.responses import Response, collate

BUCKET = 100_000
DEEP = {"num_hidden_layers": 8}
"""Enough weights that the largest, which engines handle one by one, is a small share of them."""
ROW = Response(0, tuple(range(5, 10)), tuple(range(10, 20)), is_demonstration=False, reward=1.0)


def small_bucket(config):
    """DeepSpeed's configuration with a bucket that does not hide all the rest."""
    settings = deepspeed_config(config)
    settings["zero_optimization"]["reduce_bucket_size"] = BUCKET
    return settings


def build_model(precision, *, sizes=None, kind="Qwen2"):
    """Return a model of about 2 million weights, with a head of its own."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": 256,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "bos_token_id": None,
            **(sizes or {}),
        }
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    return model.to(torch.bfloat16 if precision == "bf16" else torch.float32)


def measure_engine(stage, precision, offload):
    """Return the most bytes of an engine in its second step: in passes, and in the optimizer's step."""
    training.engine.deepspeed_config = small_bucket
    config = EngineConfig(zero_stage=stage, precision=precision, offload=offload)
    with PeakMemory() as memory:
        engine = Engine(ScoringPolicy(build_model(precision, sizes=DEEP)), config, OptimizerConfig())
        for _ in range(2):
            memory.peak = memory.now
            for last in (False, True):
                scores = engine.score(collate([ROW], engine.device))
                loss = -scores.logp.sum()
                del scores
                engine.backward(loss, last=last)
                del loss
            passes, memory.peak = memory.peak, memory.now
            engine.step(1e-4)
            found = {"passes": passes, "step": memory.peak}
    training.engine.deepspeed_config = deepspeed_config
    engine.close()
    return found


def measure_activations(precision, *, rows, response, checkpointing, sizes=None, kind="Qwen2"):
    """Return the bytes beside parameters and gradients, at most, of a micro-batch's forward and backward."""
    model = build_model(precision, sizes=sizes, kind=kind)
    policy = ScoringPolicy(place(model, gradient_checkpointing=checkpointing))
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    # Prompts of two lengths: their padding makes a mask, as in training.
    prompts = ((1, 2), (3,))
    each = [
        Response(0, prompts[i % 2], tuple(range(2, 2 + response)), is_demonstration=False, reward=1.0)
        for i in range(rows)
    ]
    inputs = collate(each, torch.device("cpu"))
    with PeakMemory() as memory:
        policy(inputs).logp.sum().backward()
    return memory.peak, inputs.input_ids.numel(), inputs.input_ids.shape[1]


def measure_all(named):
    """Return what engines need, by settings like 2:bf16:offload."""
    found = {}
    for settings in named:
        stage, precision, place = settings.split(":")
        found[settings] = measure_engine(int(stage), precision, place == "offload")
        gc.collect()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = measure_all(sys.argv[1:])
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(json.dumps(found) + "\n")
