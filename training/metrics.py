"""What updates report: sums over tokens and rows, and the metrics they make."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core import Coefficients, PolicyTokens, StepPlan, TokenBatch

_ROUNDING = 1e-12


def share(part: float, whole: float) -> float | None:
    """Return part/whole, or None where there is no whole."""
    return part / whole if whole else None


def finite(number: float) -> float | None:
    """Return the number, or None where it was never measured."""
    return number if math.isfinite(number) else None


@dataclass
class CriticReport:
    """How well the critic's values, as they were before the update, foretold what it is trained on."""

    updates: int = 0
    loss: float = 0.0
    gradient_norm: float = math.nan
    tokens: int = 0
    value: float = 0.0
    returned: float = 0.0
    returned_squared: float = 0.0
    error: float = 0.0
    error_squared: float = 0.0

    def count(self, value: Tensor, target: Tensor) -> None:
        """Count tokens by their value and what the value was to be."""
        # In double precision: variances are differences of sums.
        value, target = value.double(), target.double()
        error = target - value
        self.tokens += error.numel()
        self.value += float(value.sum())
        self.returned += float(target.sum())
        self.returned_squared += float((target**2).sum())
        self.error += float(error.sum())
        self.error_squared += float((error**2).sum())

    def explained_variance(self) -> float | None:
        """Return 1 − Var(R − V)/Var(R) over the tokens; None where returns do not vary."""
        if not self.tokens:
            return None
        mean_square = self.returned_squared / self.tokens
        variance = mean_square - (self.returned / self.tokens) ** 2
        if variance <= _ROUNDING * mean_square:
            return None
        unexplained = self.error_squared / self.tokens - (self.error / self.tokens) ** 2
        return 1.0 - unexplained / variance

    def metrics(self) -> dict[str, float | None]:
        """Return means over tokens, the loss a mean over updates."""
        return {
            "critic/loss": share(self.loss, self.updates),
            "critic/gradient_norm": finite(self.gradient_norm),
            "critic/explained_variance": self.explained_variance(),
            "critic/value": share(self.value, self.tokens),
            "critic/return": share(self.returned, self.tokens),
        }


@dataclass
class UpdateReport:
    """What optimizer steps did, as sums that add up over them; gradient norms are the last step's."""

    updates: int = 0
    loss: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    tokens: int = 0
    entropy: float = 0.0
    term_tokens: int = 0
    ratio: float = 0.0
    masked: float = 0.0
    sampled_tokens: int = 0
    kl_reference: float = 0.0
    selected_rows: int = 0
    selected_tokens: int = 0
    offline_rows: int = 0
    offline_tokens: int = 0
    gradient_norm: float = math.nan
    skipped: int = 0
    critic: CriticReport = field(default_factory=CriticReport)

    def add(self, other: UpdateReport) -> None:
        """Add what another step, or another micro-batch of the same step, did."""
        for name, loss in other.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + loss
        _add_numbers(self.critic, other.critic)
        _add_numbers(self, other)

    def count_plan(self, plan: StepPlan, step: TokenBatch) -> None:
        """Count the rows that any term selects, and the values that a term trains."""
        selected = torch.stack([term.weight.any(dim=1) for term in plan.plans]).any(dim=0)
        offline = selected & step.is_demonstration
        tokens = step.response_mask.sum(dim=1)
        self.selected_rows = int(selected.sum())
        self.selected_tokens = int(tokens[selected].sum())
        self.offline_rows = int(offline.sum())
        self.offline_tokens = int(tokens[offline].sum())
        for term in plan.plans:
            if term.target is not None and step.value is not None:
                trained = step.response_mask & (term.weight != 0)
                self.critic.count(step.value[trained], term.target[trained])

    def count_losses(self, plan: StepPlan, losses: Mapping[str, Tensor]) -> None:
        """Count what a micro-batch adds to each term's loss; those with a target train the critic."""
        for term, (name, loss) in zip(plan.plans, losses.items(), strict=True):
            self.losses[name] = float(loss)
            if term.target is not None:
                self.critic.loss += float(loss)

    def count_tokens(
        self, policy: PolicyTokens, plan: StepPlan, found: Sequence[Coefficients], batch: TokenBatch
    ) -> None:
        """Count the tokens of a micro-batch, and how each term weighed them."""
        mask = batch.response_mask
        self.rows += len(mask)
        self.tokens += int(mask.sum())
        if policy.entropy is not None:
            self.entropy += float(policy.entropy.detach()[mask].sum())
        for term, coefficients in zip(plan.plans, found, strict=True):
            if coefficients.ratio is not None and coefficients.stable is not None:
                trained = coefficients.logp != 0
                # A term computes masks on rows that it does not train on, too.
                dropped = mask & (coefficients.stable == 0) & (term.weight != 0)
                self.term_tokens += int((trained | dropped).sum())
                self.ratio += float(coefficients.ratio[trained | dropped].sum())
                self.masked += float((1.0 - coefficients.stable)[trained | dropped].sum())
        if batch.reference_logp is not None:
            # log π_θ/π_reference estimates the divergence only where the policy itself chose the token.
            sampled = mask & ~batch.is_demonstration[:, None]
            if batch.prefix_mask is not None:
                sampled = sampled & ~batch.prefix_mask
            self.sampled_tokens += int(sampled.sum())
            self.kl_reference += float((policy.logp.detach() - batch.reference_logp)[sampled].sum())

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of a rollout batch; what there is nothing to measure of is None or left out.

        train/loss and train/loss/<term> are means over the updates of what other libraries call the loss;
        train/loss_surrogate is what was backpropagated through the policy, and means nothing but 'finite'.
        """
        found = {
            "train/loss": share(math.fsum(self.losses.values()), self.updates),
            **{f"train/loss/{name}": share(loss, self.updates) for name, loss in self.losses.items()},
            "train/loss_surrogate": self.loss,
            "train/gradient_norm": finite(self.gradient_norm),
            "train/rows": self.rows,
            "train/tokens": self.tokens,
            "policy/entropy": share(self.entropy, self.tokens),
            "policy/ratio": share(self.ratio, self.term_tokens),
            "policy/masked_share": share(self.masked, self.term_tokens),
            "data/rows": self.selected_rows,
            "data/tokens": self.selected_tokens,
            "data/offline_row_share": share(self.offline_rows, self.selected_rows),
            "data/offline_token_share": share(self.offline_tokens, self.selected_tokens),
        }
        if self.sampled_tokens:
            found["policy/kl_reference"] = share(self.kl_reference, self.sampled_tokens)
        return found | (self.critic.metrics() if self.critic.updates else {})


def _add_numbers(report: object, other: object) -> None:
    """Add the other's sums; its gradient norm replaces the one before."""
    for each in dataclasses.fields(report):  # type: ignore[arg-type]
        mine, more = getattr(report, each.name), getattr(other, each.name)
        if each.name == "gradient_norm":
            setattr(report, each.name, more)
        elif isinstance(mine, int | float):
            setattr(report, each.name, mine + more)
