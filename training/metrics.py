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
from training.critic_metrics import CriticReport
from training.numbers import finite, share


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
    compared_tokens: int = 0
    sampler_difference: float = 0.0
    kl_sampler: float = 0.0
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
        # log π_θ/π_reference estimates the divergence only where the policy itself chose the token.
        sampled = _sampled(batch)
        if batch.reference_logp is not None:
            self.sampled_tokens += int(sampled.sum())
            self.kl_reference += float((policy.logp.detach() - batch.reference_logp)[sampled].sum())
        if batch.behavior_logp is not None and batch.sampler_logp is not None:
            difference = (batch.sampler_logp - batch.behavior_logp)[sampled]
            self.compared_tokens += int(sampled.sum())
            self.sampler_difference += float(difference.abs().sum())
            self.kl_sampler += float(difference.sum())

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of a rollout batch; what there is nothing to measure of is None or left out.

        train/loss and train/loss/<term> are means over the updates of what other libraries call the loss;
        train/loss_surrogate is what was backpropagated through the policy, and means nothing but 'finite'.
        policy/sampler_difference is the mean |log π_sampler − log π| of the sampled tokens, π the policy that
        they were sampled from as the trainer computes it; policy/kl_sampler is the same without the bars, an
        estimate of KL(π_sampler‖π).
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
        if self.compared_tokens:
            found["policy/sampler_difference"] = share(self.sampler_difference, self.compared_tokens)
            found["policy/kl_sampler"] = share(self.kl_sampler, self.compared_tokens)
        return found | (self.critic.metrics() if self.critic.updates else {})


def _sampled(batch: TokenBatch) -> Tensor:
    """Return which tokens the policy itself chose."""
    sampled = batch.response_mask & ~batch.is_demonstration[:, None]
    return sampled if batch.prefix_mask is None else sampled & ~batch.prefix_mask


def _add_numbers(report: object, other: object) -> None:
    """Add the other's sums; its gradient norm replaces the one before."""
    for each in dataclasses.fields(report):  # type: ignore[arg-type]
        mine, more = getattr(report, each.name), getattr(other, each.name)
        if each.name == "gradient_norm":
            setattr(report, each.name, more)
        elif isinstance(mine, int | float):
            setattr(report, each.name, mine + more)
