"""One optimizer step: plan over all its rows, then coefficients and gradients micro-batch by micro-batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from core import Algorithm, Coefficients, PolicyTokens, StepPlan, TokenBatch, surrogate
from training.engine import Engine
from training.responses import Response, collate, micro_batches, token_batch


class NotFiniteError(ArithmeticError):
    """A loss or gradient norm is not a number; carries the rows that led to it."""

    def __init__(self, what: str, batch: dict[str, Any]) -> None:
        super().__init__(what)
        self.batch = batch


@dataclass
class UpdateReport:
    """What one optimizer step did, as sums that add up over steps."""

    loss: float = 0.0
    rows: int = 0
    tokens: int = 0
    entropy: float = 0.0
    term_tokens: int = 0
    ratio: float = 0.0
    masked: float = 0.0
    selected_rows: int = 0
    selected_tokens: int = 0
    offline_rows: int = 0
    offline_tokens: int = 0
    gradient_norm: float = math.nan
    skipped: int = 0

    def add(self, other: UpdateReport) -> None:
        """Add another step's sums; the gradient norm is the last step's."""
        for field in dataclasses.fields(self):
            if field.name != "gradient_norm":
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        self.gradient_norm = other.gradient_norm


def _count_selected(report: UpdateReport, plan: StepPlan, step: TokenBatch) -> None:
    selected = torch.stack([term.weight.any(dim=1) for term in plan.plans]).any(dim=0)
    offline = selected & step.is_demonstration
    tokens = step.response_mask.sum(dim=1)
    report.selected_rows = int(selected.sum())
    report.selected_tokens = int(tokens[selected].sum())
    report.offline_rows = int(offline.sum())
    report.offline_tokens = int(tokens[offline].sum())


def _count_tokens(
    report: UpdateReport,
    policy: PolicyTokens,
    plan: StepPlan,
    found: Sequence[Coefficients],
    batch: TokenBatch,
) -> None:
    mask = batch.response_mask
    report.rows += len(mask)
    report.tokens += int(mask.sum())
    if policy.entropy is not None:
        report.entropy += float(policy.entropy.detach()[mask].sum())
    for term, coefficients in zip(plan.plans, found, strict=True):
        if coefficients.ratio is not None and coefficients.stable is not None:
            trained = coefficients.logp != 0
            # A term computes masks on rows that it does not train on, too.
            dropped = mask & (coefficients.stable == 0) & (term.weight != 0)
            report.term_tokens += int((trained | dropped).sum())
            report.ratio += float(coefficients.ratio[trained | dropped].sum())
            report.masked += float((1.0 - coefficients.stable)[trained | dropped].sum())


def behavior_logp(engine: Engine, rows: Sequence[Response], micro_batch_tokens: int) -> list[Tensor]:
    """Return each row's log-probs under the policy as it is now, before any update."""
    found: dict[int, Tensor] = {}
    for index in micro_batches(rows, micro_batch_tokens):
        chosen = [rows[i] for i in index]
        with torch.no_grad():
            logp = engine.score(collate(chosen, engine.device)).logp
        found.update({i: logp[j, : len(rows[i].tokens)] for j, i in enumerate(index)})
    return [found[i] for i in range(len(rows))]


def _with_behavior(step: TokenBatch, behavior: Sequence[Tensor] | None) -> TokenBatch:
    if behavior is None:
        return step
    width = step.response_mask.shape[1]
    return dataclasses.replace(
        step, behavior_logp=torch.stack([pad(logp, (0, width - len(logp))) for logp in behavior])
    )


def _active_rows(plan: StepPlan, rows: Sequence[Response]) -> list[int]:
    """Return the rows that get a gradient; where none does, one row whose gradient is zero.

    The optimizer's step is taken either way: Adam's moments and weight decay act on a zero gradient too.
    """
    active = [int(i) for i in torch.nonzero(~plan.idle()).flatten()]
    return active or [min(range(len(rows)), key=lambda i: len(rows[i]))]


def _backward(
    engine: Engine,
    plan: StepPlan,
    step: TokenBatch,
    rows: Sequence[Response],
    *,
    needs: frozenset[str],
    last: bool,
) -> UpdateReport:
    """Backpropagate the micro-batch of `rows`, which are those of `step` and `plan`."""
    report = UpdateReport()
    scores = engine.score(collate(rows, engine.device), entropy_gradient="entropy" in needs)
    # The micro-batch may be narrower than the step: what is padded lies outside the response mask.
    missing = step.response_mask.shape[1] - scores.logp.shape[1]
    policy = PolicyTokens(pad(scores.logp, (0, missing)), pad(scores.entropy, (0, missing)))
    if "behavior_logp" in needs and step.behavior_logp is None:
        # Nothing was updated since these rows were sampled: the behavior policy is the policy itself.
        step = dataclasses.replace(step, behavior_logp=policy.logp.detach())
    found = plan.coefficients(policy, step)
    loss = surrogate(found, policy, step)
    if not torch.isfinite(loss):
        raise NotFiniteError(f"the loss is {loss.item()}", _evidence(rows, policy, found))
    engine.backward(loss, last=last)
    report.loss = float(loss.detach())
    _count_tokens(report, policy, plan, found, step)
    return report


def _evidence(
    rows: Sequence[Response], policy: PolicyTokens, found: Sequence[Coefficients]
) -> dict[str, Any]:
    return {
        "rows": [dataclasses.asdict(row) for row in rows],
        "logp": policy.logp.detach().cpu(),
        "coefficients": [part.logp.detach().cpu() for part in found],
    }


def update(
    engine: Engine,
    algorithm: Algorithm,
    rows: Sequence[Response],
    learning_rate: float,
    behavior: Sequence[Tensor] | None = None,
) -> UpdateReport:
    """Take one optimizer step of `algorithm` on `rows`.

    Args:
        engine: What holds the policy.
        algorithm: The estimator.
        rows: All responses of the step, those that no term selects included.
        learning_rate: Of this step.
        behavior: Each row's log-probs when it was sampled; None where the policy is still the same.

    Raises:
        NotFiniteError: A loss or the gradient's norm is not a number.
    """
    step = _with_behavior(token_batch(rows, engine.device), behavior)
    plan = algorithm.plan(step)
    report = UpdateReport()
    _count_selected(report, plan, step)
    active = _active_rows(plan, rows)
    packed = micro_batches([rows[i] for i in active], engine.config.micro_batch_tokens)
    for position, chosen in enumerate(packed):
        index = torch.tensor([active[i] for i in chosen], device=engine.device)
        part = _backward(
            engine,
            plan.rows(index),
            step.rows(index),
            [rows[active[i]] for i in chosen],
            needs=algorithm.needs,
            last=position == len(packed) - 1,
        )
        report.add(part)
    outcome = engine.step(learning_rate)
    if not math.isfinite(outcome.gradient_norm):
        evidence = {"rows": [dataclasses.asdict(rows[i]) for i in active]}
        raise NotFiniteError(f"the gradient's norm is {outcome.gradient_norm}", evidence)
    report.gradient_norm = outcome.gradient_norm
    report.skipped = int(not outcome.applied)
    return report
