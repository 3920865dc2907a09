"""Steps of the engine under audit, and what each reveals of the coefficients it applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from studies.auditing.batch import audit_rows, lone_rows, token_ids
from studies.auditing.bigram import Bigram, gradient_of, initial_table, reveal, revealing_optimizer, rounding
from studies.auditing.layout import CASES, Layout, find_budget, layout_of
from studies.auditing.observation import Observation
from studies.auditing.planting import PlantedEngine
from studies.auditing.truth import Truth, audited_algorithm
from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.policy import ScoringPolicy, TokenScores, parameter_type, place
from training.providers import Models
from training.responses import Response, token_batch
from training.update import Rates, update

MakeEngine: TypeAlias = Callable[[ScoringPolicy, EngineConfig, OptimizerConfig], Engine[TokenScores]]
"""What builds the engine: `Engine`, or one with a fault planted in it."""

MOST_SETS = 4
"""How many sets of rows beyond the least are tried before a case is given up."""


@dataclass(frozen=True)
class Schedule:
    """The steps of a cell.

    Args:
        budget: `EngineConfig.micro_batch_tokens`.
        steps: Rows of each step.
    """

    budget: int
    steps: tuple[Sequence[Response], ...]


@cache
def schedule(case: str, ranks: int) -> Schedule:
    """Return the steps that divide their rows among ranks and micro-batches as a case wants.

    Raises:
        ValueError: No number of rows can be divided so.
    """
    least = -(-ranks // 2)
    for sets in range(least, least + MOST_SETS):
        rows = audit_rows(sets)
        budget = find_budget(rows, active_rows(rows), case, ranks)
        if budget is not None:
            return Schedule(budget, (rows, rows, lone_rows(rows)) if case == "ragged" else (rows, rows))
    raise ValueError(
        f"the rows of the audit can't be divided among {ranks} ranks for case {case!r} of {CASES}"
    )


def observe(case: str, config: EngineConfig, ranks: int, make_engine: MakeEngine) -> list[Observation]:
    """Return what the steps of a case reveal of an engine; called on every rank.

    The clip binds in the first step and in every other one after it. Decay rates of 0 leave nothing of a step
    in the optimizer, so that later ones show what an engine fails to clear.

    Args:
        case: How many micro-batches.
        config: The engine's; its `micro_batch_tokens` are replaced.
        ranks: How many there are.
        make_engine: Builds it.
    """
    plan = schedule(case, ranks)
    config = dataclasses.replace(config, micro_batch_tokens=plan.budget)
    optimizer = revealing_optimizer(config.gradient_clip or 1.0)
    # The table of the rows of all steps: later ones are drawn from the first's.
    table = initial_table(token_ids(plan.steps[0])).to(parameter_type(config.precision))
    module = ScoringPolicy(place(Bigram(table), gradient_checkpointing=False))
    setup = _Setup(config, optimizer, ranks)
    engine = make_engine(module, config, optimizer)
    try:
        return [_step(engine, rows, setup, binding=number % 2 == 0) for number, rows in enumerate(plan.steps)]
    finally:
        engine.close()


@dataclass(frozen=True)
class _Setup:
    """What is audited: the configuration asked for, whatever a planted fault made of it."""

    config: EngineConfig
    optimizer: OptimizerConfig
    ranks: int


def _step(
    engine: Engine[TokenScores], rows: Sequence[Response], setup: _Setup, *, binding: bool
) -> Observation:
    before = _table(engine)
    truth = _truth(setup, rows, before, binding=binding)
    announce(engine, rows, truth.layout)
    device = engine.device
    behavior = truth.step.behavior_logp
    assert behavior is not None
    step = dataclasses.replace(token_batch(rows, device), behavior_logp=behavior.float().to(device))
    rates = Rates(policy=setup.optimizer.learning_rate, critic=0.0)
    report = update(Models(engine), truth.algorithm, step, rows, rates).report
    after = _table(engine)
    gradient = gradient_of(after - before, setup.optimizer)
    found = reveal(gradient, truth.previous, truth.direction)
    return Observation(
        truth=truth,
        coefficient=found.coefficient,
        residual=found.residual,
        stray=found.stray,
        norm=report.gradient_norm,
        applied=not report.skipped,
        resolution=rounding(torch.maximum(before.abs(), after.abs()), setup.optimizer)
        / truth.direction.norm(dim=1),
    )


def _truth(setup: _Setup, rows: Sequence[Response], table: Tensor, *, binding: bool) -> Truth:
    """Return the step whose gradient has the norm that the clip is to meet."""
    config = setup.config
    seen = table.to(parameter_type(config.precision)).double()
    active = active_rows(rows)
    layout = layout_of(rows, active, config.micro_batch_tokens, setup.ranks)
    plain = Truth(rows, seen, audited_algorithm(), layout, None)
    scale = _wanted_norm(setup, binding=binding) / plain.norm(plain.coefficient)
    return Truth(rows, seen, audited_algorithm(scale), layout, config.gradient_clip)


def _wanted_norm(setup: _Setup, *, binding: bool) -> float:
    """Return a norm beyond the clip or within it, and never so large that the step is skipped.

    Beyond it by so much that a clip of a part of the gradient, or of its mean over ranks or micro-batches,
    binds too: what it scales by then differs from what no clip and the right one do.
    """
    config = setup.config
    beyond = 4.3 * max(setup.ranks, 4)
    wanted = 0.9 if config.gradient_clip is None else config.gradient_clip * (beyond if binding else 0.45)
    return wanted if config.skip_norm_above is None else min(wanted, 0.9 * config.skip_norm_above)


def announce(engine: Engine[TokenScores], rows: Sequence[Response], layout: Layout) -> None:
    """Tell a planted fault what comes; an engine is told nothing."""
    if isinstance(engine, PlantedEngine):
        engine.expect(rows, layout)


def active_rows(rows: Sequence[Response]) -> list[int]:
    """Return which rows have a gradient."""
    step = token_batch(rows, torch.device("cpu"))
    behavior = torch.zeros(step.response_mask.shape, dtype=torch.float64)
    idle = audited_algorithm().plan(dataclasses.replace(step, behavior_logp=behavior)).idle()
    return [int(index) for index in torch.nonzero(~idle).flatten()]


def _table(engine: Engine[TokenScores]) -> Tensor:
    """Return the fp32 master weights, in float64; collective."""
    weights = {name: tensor.to("cpu", torch.float64) for name, tensor in engine.master_weights()}
    return torch.cat([weights[name] for name in Bigram.names()])
