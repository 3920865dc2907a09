"""Small policies that vLLM can sample from on a CPU, and which change when they are told to.

`python -m tests.training.vllm_worlds FOLDER` samples on all ranks and prints what each of them says.
"""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import torch

from tests.small_models import build_llama, build_qwen2
from training.config import RolloutConfig
from training.live_policy import FixedPolicy
from training.policy import ScoringPolicy, load_model, load_tokenizer
from training.rollout import Sampling
from training.vllm_config import VllmConfig
from training.vllm_engine import VllmEngine
from training.vllm_rollout import VllmSampler

needs_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed here; `make vllm` installs it"
)
TEMPERATURE = 0.8
BLOCK = 32
# What a model's files may say about sampling, and what must change nothing.
OWN_SETTINGS = {
    "do_sample": True,
    "eos_token_id": list(range(20, 200)),
    "max_new_tokens": 3,
    "repetition_penalty": 3.0,
    "temperature": 0.2,
    "top_k": 1,
    "top_p": 0.1,
}
# On a CPU vLLM knows heads of 32 and more. Qwen2's output head is its embedding, Llama's is its own.
BUILDERS = {"qwen2": build_qwen2, "llama": build_llama}


def build(kind, folder, **sizes):
    path = BUILDERS[kind](folder, num_attention_heads=2, num_key_value_heads=1, **sizes)
    (Path(path) / "generation_config.json").write_text(json.dumps(OWN_SETTINGS))
    return path


def load(path, precision="fp32"):
    """Return a policy whose distributions are far from uniform, so that warping them would show."""
    model = load_model(path, precision)
    with torch.no_grad():
        model.model.norm.weight.mul_(10.0)
        for name, parameter in model.model.layers.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
            elif parameter.dim() == 2:
                parameter.mul_(8.0)
    return model


class ChangingPolicy:
    """A model as samplers follow it."""

    def __init__(self, model, temperature=TEMPERATURE):
        self.model, self.version, self.pushes = model, 0, 0
        self.scored = FixedPolicy(ScoringPolicy(model, temperature))

    def change(self, seed=0, scale=0.05):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.model.parameters():
                size = scale * parameter.abs().mean()
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
        self.version += 1

    def weights(self):
        self.pushes += 1
        return self.scored.weights()

    def logp(self, prompt, tokens):
        return self.scored.logp(prompt, tokens)


def rollout_config(**changes):
    vllm = {"cpu_cache_gib": 0.125, "block_size": BLOCK, **changes.pop("vllm", {})}
    settings = {
        "temperature": TEMPERATURE,
        "max_prompt_tokens": 96,
        "max_response_tokens": 64,
        "batch_size": 32,
    }
    return RolloutConfig(backend="vllm", vllm=VllmConfig(**vllm), **(settings | changes))


def make_sampler(path, precision="fp32", **changes):
    return VllmSampler(path, load_tokenizer(path), rollout_config(**changes), precision)


def sampling(temperature=TEMPERATURE, top_p=1.0, max_tokens=12):
    return Sampling(temperature, top_p, max_tokens, batch_size=4)


def prompts(count=12):
    """Return prompts of 1 to 90 tokens, the longer of which begin alike and fill blocks of the cache."""
    common = [(7 * place + 11) % 290 for place in range(100)]
    return [(*common[: (17 * index) % 89], index + 3) for index in range(count)]


def worst_gap(policy, asked, found, temperature=TEMPERATURE):
    scored = FixedPolicy(ScoringPolicy(policy.model, temperature))
    gaps = [
        abs(mine - theirs)
        for prompt, sampled in zip(asked, found, strict=True)
        for mine, theirs in zip(scored.logp(prompt, sampled.tokens), sampled.logp, strict=True)
    ]
    assert gaps
    return max(gaps)


def assert_recovers(sampler, policy):
    """Nothing of a failure is left: the next call is answered, by the weights as they are."""
    found = sampler.sample(prompts(), sampling(), 0)
    assert worst_gap(policy, prompts(), found) < 1e-4


def take_over(sampler, path, scale=0.2):
    """Return a policy that a sampler has just taken over, and which then has changed."""
    policy = ChangingPolicy(load(path))
    sampler.follow(policy)
    sampler.refresh()
    policy.change(scale=scale)
    return policy


def record_asked(asked):
    """Let every engine note the last tokens of the prompts that it is asked, but for those of its check."""
    ask = VllmEngine.generate

    def noting(engine, requests, *settings, **named):
        asked.append([request.prompt[-1] for request in requests if request.seed])
        return ask(engine, requests, *settings, **named)

    VllmEngine.generate = noting


def _main(folder):
    torch.set_num_threads(1)
    sampler = make_sampler(folder)
    policy = ChangingPolicy(load(folder))
    sampler.follow(policy)
    asked = []
    record_asked(asked)
    sampler.refresh()
    policy.change()
    found = sampler.sample(prompts(7), sampling(), seed=5)
    first = sampler.sample(prompts(1), sampling(), seed=5)
    said = {
        "rank": int(os.environ["RANK"]),
        "asked": [share for share in asked if share],
        "gap": worst_gap(policy, prompts(7), found),
        "tokens": [sampled.tokens for sampled in found],
        "first": first[0].tokens,
        "children": [child.cmdline() for child in psutil.Process().children(recursive=True)],
    }
    sampler.close()
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
