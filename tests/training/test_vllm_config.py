"""vLLM's settings, and that nothing of it is loaded before it samples."""

import subprocess
import sys
from pathlib import Path

import pytest

from training.config import RolloutConfig
from training.vllm_config import VllmConfig

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpu_memory_share", 0.0),
        ("gpu_memory_share", 1.0),
        ("cpu_cache_gib", 0.0),
        ("timeout_seconds", -1.0),
        ("timeout_seconds", float("inf")),
        ("block_size", 0),
    ],
)
def test_settings_that_mean_nothing_are_named(name, value):
    with pytest.raises(ValueError, match=rf"rollout\.vllm\.{name}={value} must"):
        VllmConfig(**{name: value})


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match=r"rollout\.backend='sglang' must be 'transformers' or 'vllm'"):
        RolloutConfig(backend="sglang")


@pytest.mark.parametrize("temperature", [0.001, 2.5])
def test_temperatures_that_vllm_does_not_have_are_refused_for_vllm_alone(temperature):
    with pytest.raises(ValueError, match=rf"rollout\.temperature={temperature} is none of vLLM's"):
        RolloutConfig(backend="vllm", temperature=temperature)
    RolloutConfig(temperature=temperature)
    RolloutConfig(backend="vllm", temperature=0.01)
    RolloutConfig(backend="vllm", temperature=2.0)


def test_importing_the_sampler_loads_neither_vllm_nor_transformers():
    code = "import training.vllm_rollout, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"vllm", "transformers", "deepspeed"}
