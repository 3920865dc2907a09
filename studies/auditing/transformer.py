"""Five ordinary AdamW steps of a small transformer: the engine's weights against those of plain PyTorch.

The fingerprint tells what gradient one step applies; this, that moments, weight decay, learning rates and
weights that are used twice are right over several, in a model like those that are trained.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from core import Algorithm, PolicyTokens, surrogate
from studies.auditing.batch import LARGE, token_ids
from studies.auditing.layout import layout_of
from studies.auditing.probe import MakeEngine, Schedule, active_rows, announce, schedule
from studies.auditing.truth import audited_algorithm
from training.config import EngineConfig, OptimizerConfig
from training.policy import ScoringPolicy, parameter_type, place
from training.providers import Models
from training.responses import Response, collate, token_batch
from training.update import Rates, update

LEARNING_RATES = (1e-3, 2e-3, 5e-4, 1e-3, 3e-3)
WEIGHT_DECAY = 0.1
_SHARED = ("gradient_clip", "skip_norm_above")
"""What plain PyTorch's steps depend on of a configuration."""
BEYOND_CLIP = 4.0
"""The first step's norm, as a multiple of the clip."""


@dataclass(frozen=True)
class Drift:
    """How far the engine's weights are from plain PyTorch's after five steps.

    Args:
        weights: L2 norm of the difference, over that of the weights.
        change: The same, over that of what the steps changed.
        norm: Largest relative error of the reported gradient norms.
    """

    weights: float
    change: float
    norm: float


@dataclass(frozen=True)
class _Plain:
    """Weights before and after the steps in plain PyTorch, and the gradients' norms."""

    before: dict[str, Tensor]
    after: dict[str, Tensor]
    norms: tuple[float, ...]


def drift(case: str, config: EngineConfig, ranks: int, make_engine: MakeEngine) -> Drift:
    """Return how far the steps of a case lead from plain PyTorch; called on every rank.

    Args:
        case: How many micro-batches.
        config: The engine's; its `micro_batch_tokens` are replaced.
        ranks: How many there are.
        make_engine: Builds the engine.
    """
    plan = schedule(case, ranks)
    config = dataclasses.replace(config, micro_batch_tokens=plan.budget)
    scale = _scale(plan, config)
    plain = _plain(case, ranks, EngineConfig(**{name: getattr(config, name) for name in _SHARED}))
    model = _model(plan).to(parameter_type(config.precision))
    module = ScoringPolicy(place(model, gradient_checkpointing=config.gradient_checkpointing))
    optimizer = OptimizerConfig(weight_decay=WEIGHT_DECAY, epsilon=_epsilon(config))
    engine = make_engine(module, config, optimizer)
    norms = []
    try:
        for number, learning_rate in enumerate(LEARNING_RATES):
            rows = plan.steps[number % len(plan.steps)]
            announce(engine, rows, layout_of(rows, active_rows(rows), plan.budget, ranks))
            step = token_batch(rows, engine.device)
            rates = Rates(policy=learning_rate, critic=0.0)
            done = update(Models(engine), audited_algorithm(scale), step, rows, rates)
            norms.append(done.report.gradient_norm)
        found = {name: weight.to("cpu", copy=True) for name, weight in engine.master_weights()}
    finally:
        engine.close()
    return _drift(plain, found, norms)


def _drift(plain: _Plain, found: dict[str, Tensor], norms: Sequence[float]) -> Drift:
    error = _distance(found, plain.after)
    size = math.sqrt(sum(float(weight.double().square().sum()) for weight in plain.after.values()))
    return Drift(
        weights=error / size,
        change=error / _distance(plain.before, plain.after),
        norm=max(abs(ours - theirs) / theirs for ours, theirs in zip(norms, plain.norms, strict=True)),
    )


def _distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the L2 norm of the difference over all parameters."""
    if one.keys() != other.keys():
        raise ValueError(f"parameters {sorted(one)} are not those of the reference, {sorted(other)}")
    return math.sqrt(sum(float((one[name] - other[name]).double().square().sum()) for name in other))


def _model(plan: Schedule) -> Any:  # noqa: ANN401
    """Return a small random model of Qwen2's architecture in fp32, its weights exact in bf16."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=token_ids(plan.steps[0]),
                hidden_size=32,
                # Larger than what DeepSpeed leaves whole at stage 3: it is gathered anew for every use.
                intermediate_size=LARGE // 32,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=64,
                initializer_range=0.1,
                tie_word_embeddings=True,
            )
        )
    return model.to(torch.bfloat16).to(torch.float32)


def _loss(policy: ScoringPolicy, algorithm: Algorithm, rows: Sequence[Response]) -> Tensor:
    """Return the whole step's surrogate loss, in one batch and on one rank."""
    inputs = collate(rows, torch.device("cpu"))
    step = token_batch(rows, torch.device("cpu"))
    spoken = PolicyTokens(policy(inputs).logp)
    step = dataclasses.replace(step, behavior_logp=spoken.logp.detach())
    return surrogate(algorithm.plan(step).coefficients(spoken, step), spoken, step)


@cache
def _unscaled_norm(rows: tuple[Response, ...]) -> float:
    policy = ScoringPolicy(_model(Schedule(0, (rows,))))
    _loss(policy, audited_algorithm(), rows).backward()  # type: ignore[no-untyped-call]
    return float(torch.nn.utils.clip_grad_norm_(policy.parameters(), math.inf))


def _scale(plan: Schedule, config: EngineConfig) -> float:
    """Return the factor of the loss that makes the clip bind, and no step too large to be taken."""
    norm = _unscaled_norm(tuple(plan.steps[0]))
    wanted = 1.0 if config.gradient_clip is None else config.gradient_clip * BEYOND_CLIP
    return (wanted if config.skip_norm_above is None else min(wanted, 0.3 * config.skip_norm_above)) / norm


def _epsilon(config: EngineConfig) -> float:
    """Return AdamW's ε: far below what the model's gradients are, and far above what rounds them.

    With less, AdamW makes full steps of gradients that are nothing but rounding.
    """
    return 1e-5 * (config.gradient_clip or 1.0)


@cache
def _plain(case: str, ranks: int, config: EngineConfig) -> _Plain:
    """Return what plain PyTorch makes of the steps of a case."""
    plan = schedule(case, ranks)
    scale, clip = _scale(plan, config), config.gradient_clip
    policy = ScoringPolicy(_model(plan))
    before = {name: weight.detach().clone() for name, weight in policy.model.named_parameters()}
    optimizer = torch.optim.AdamW(policy.parameters(), eps=_epsilon(config), weight_decay=WEIGHT_DECAY)
    norms = []
    for number, learning_rate in enumerate(LEARNING_RATES):
        optimizer.param_groups[0]["lr"] = learning_rate
        rows = plan.steps[number % len(plan.steps)]
        _loss(policy, audited_algorithm(scale), rows).backward()  # type: ignore[no-untyped-call]
        norms.append(float(torch.nn.utils.clip_grad_norm_(policy.parameters(), clip or math.inf)))
        optimizer.step()
        optimizer.zero_grad()
    after = {name: weight.detach() for name, weight in policy.model.named_parameters()}
    return _Plain(before, after, tuple(norms))
