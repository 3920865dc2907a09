"""One optimizer step: plan over all its rows, then coefficients and gradients micro-batch by micro-batch.

Every rank plans the whole step, from the same rows, and backpropagates its share of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from core import Algorithm, Coefficients, PolicyTokens, StepPlan, TokenBatch, surrogate
from core.types import State
from training.engine import Engine
from training.metrics import UpdateReport
from training.packing import own_micro_batches, shortest
from training.providers import Models
from training.responses import Response, collate
from training.row_use import RowUse, row_uses


class NotFiniteError(ArithmeticError):
    """A loss or gradient norm is not a number; carries the rows that led to it."""

    def __init__(self, what: str, batch: dict[str, Any]) -> None:
        super().__init__(what)
        self.batch = batch


@dataclass(frozen=True)
class Rates:
    """Learning rates of one step. None: the policy is left as it is, and only the critic is trained."""

    policy: float | None
    critic: float


class Updated(NamedTuple):
    """What one optimizer step did, what stateful parts remember after it, and what became of each row."""

    report: UpdateReport
    memory: Mapping[str, State]
    uses: Sequence[RowUse]


class _MicroBatch(NamedTuple):
    """Rows of a step with their share of its plan."""

    plan: StepPlan
    step: TokenBatch
    rows: Sequence[Response]
    last: bool


def update(
    models: Models, algorithm: Algorithm, step: TokenBatch, rows: Sequence[Response], rates: Rates
) -> Updated:
    """Take one optimizer step of the policy, and of the critic where the algorithm trains one.

    Args:
        models: What is trained.
        algorithm: The estimator.
        step: All rows of the step, those that no term selects included, with what its plan needs. Without
            `behavior_logp` the policy is the one that the rollouts were sampled from.
        rows: The same rows, for the models; every rank is given all of them.
        rates: Learning rates.

    Raises:
        NotFiniteError: A loss or a gradient's norm is not a number.
    """
    plan = algorithm.plan(step)
    report = UpdateReport(updates=1)
    report.count_plan(plan, step)
    active = _active_rows(plan, rows)
    trained = [rows[i] for i in active]
    own = UpdateReport()
    packed = own_micro_batches(trained, models.policy.config.micro_batch_tokens, models.ranks)
    for position, chosen in enumerate(packed):
        last = position == len(packed) - 1
        if not chosen:
            _keep_in_step(models, algorithm.needs, trained, rates, last=last)
            continue
        mine = [active[i] for i in chosen]
        index = torch.tensor(mine, device=models.policy.device)
        part = _MicroBatch(plan.rows(index), step.rows(index), [rows[i] for i in mine], last)
        own.add(_backward(models, algorithm.needs, part, trains_policy=rates.policy is not None))
    for each in models.ranks.gather(own):
        report.add(each)
    if rates.policy is not None:
        report.gradient_norm, report.skipped = _take_step("", models.policy, rates.policy, trained)
    if models.critic is not None and "value" in algorithm.needs:
        report.critic.updates = 1
        report.critic.gradient_norm, _ = _take_step("critic's ", models.critic, rates.critic, trained)
    return Updated(report, plan.memory, row_uses(plan, rows, set(active)))


def _keep_in_step(
    models: Models, needs: frozenset[str], rows: Sequence[Response], rates: Rates, *, last: bool
) -> None:
    """Backpropagate zeros: other ranks have one more micro-batch, and reduce gradients with it."""
    inputs = collate([rows[shortest(rows)]], models.policy.device)
    # Both forwards, then both backwards, as on the other ranks: shards are gathered in one order on all.
    with torch.set_grad_enabled(rates.policy is not None):
        scores = models.policy.score(inputs, entropy_gradient="entropy" in needs)
    value = models.critic.score(inputs) if models.critic is not None and "value" in needs else None
    if rates.policy is not None:
        models.policy.backward(0.0 * scores.logp.sum(), last=last)
    if models.critic is not None and value is not None:
        models.critic.backward(0.0 * value.sum(), last=last)


def _active_rows(plan: StepPlan, rows: Sequence[Response]) -> list[int]:
    """Return the rows that get a gradient; where none does, one row whose gradient is zero.

    The optimizer's step is taken either way: Adam's moments and weight decay act on a zero gradient too.
    """
    active = [int(i) for i in torch.nonzero(~plan.idle()).flatten()]
    return active or [shortest(rows)]


def _score(models: Models, needs: frozenset[str], part: _MicroBatch, *, trains_policy: bool) -> PolicyTokens:
    """Return what the models say of the rows, as wide as the step."""
    inputs = collate(part.rows, models.policy.device)
    with torch.set_grad_enabled(trains_policy):
        scores = models.policy.score(inputs, entropy_gradient="entropy" in needs)
    # The micro-batch may be narrower than the step: what is padded lies outside the response mask.
    missing = part.step.response_mask.shape[1] - scores.logp.shape[1]
    value = None
    if models.critic is not None and "value" in needs:
        value = pad(models.critic.score(inputs), (0, missing))
    return PolicyTokens(pad(scores.logp, (0, missing)), pad(scores.entropy, (0, missing)), value)


def _backward(
    models: Models, needs: frozenset[str], part: _MicroBatch, *, trains_policy: bool
) -> UpdateReport:
    """Backpropagate a micro-batch, through each model by itself."""
    plan, step = part.plan, part.step
    spoken = _score(models, needs, part, trains_policy=trains_policy)
    if "behavior_logp" in needs and step.behavior_logp is None:
        # Nothing was updated since these rows were sampled: the behavior policy is the policy itself.
        step = dataclasses.replace(step, behavior_logp=spoken.logp.detach())
    found = plan.coefficients(spoken, step)
    report = UpdateReport()
    policy = surrogate(
        tuple(each._replace(value=None) for each in found), dataclasses.replace(spoken, value=None), step
    )
    _check_loss("loss", policy, part.rows, spoken, found)
    if trains_policy:
        models.policy.backward(policy, last=part.last)
    if models.critic is not None and spoken.value is not None:
        critic = surrogate(
            tuple(Coefficients(torch.zeros_like(each.logp), value=each.value) for each in found),
            PolicyTokens(spoken.logp.detach(), value=spoken.value),
            step,
        )
        _check_loss("critic's loss", critic, part.rows, spoken, found)
        models.critic.backward(critic, last=part.last)
    report.loss = float(policy.detach())
    with torch.no_grad():
        losses = plan.losses(spoken, step)
    report.count_losses(plan, losses)
    report.count_tokens(spoken, plan, found, step)
    return report


def _check_loss(
    name: str, loss: Tensor, rows: Sequence[Response], spoken: PolicyTokens, found: Sequence[Coefficients]
) -> None:
    if torch.isfinite(loss):
        return
    raise NotFiniteError(
        f"the {name} is {loss.item()}",
        {
            "rows": [dataclasses.asdict(row) for row in rows],
            "logp": spoken.logp.detach().cpu(),
            "value": None if spoken.value is None else spoken.value.detach().cpu(),
            "coefficients": [each.logp.detach().cpu() for each in found],
        },
    )


def _take_step(
    whose: str, engine: Engine[Any], learning_rate: float, rows: Sequence[Response]
) -> tuple[float, int]:
    """Step an engine; return its gradient's norm, and 1 if the step was skipped."""
    outcome = engine.step(learning_rate)
    if not math.isfinite(outcome.gradient_norm):
        raise NotFiniteError(
            f"the {whose}gradient's norm is {outcome.gradient_norm}",
            {"rows": [dataclasses.asdict(row) for row in rows]},
        )
    return outcome.gradient_norm, int(not outcome.applied)
