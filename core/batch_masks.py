"""Stabilization masks that look across the rows of a step, at all tokens that their term trains on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_bounds, check_fields, check_range
from core.masks import ClipMask
from core.picking import content_hash, count_of, covariance, pick, quantile
from core.protocols import Advantage
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class TopEntropy:
    """Trust only tokens at which the policy is undecided:   1_stable = 1[H_t ≥ its (1 − share) quantile].

    The quantile interpolates linearly between neighbouring entropies.

    See Beyond the 80/20 Rule, Wang et al., 2025 (https://arxiv.org/abs/2506.01939) ("step"), and
    Blending Supervised and Reinforcement Fine-Tuning with Prefix Sampling, Huang et al., 2025
    (https://arxiv.org/abs/2507.01679) ("row", of a prefix's tokens).

    Args:
        share: Share of the tokens that keep their gradient, in [0, 1]; at 0 those of the highest entropy do.
        within: Share of all tokens of the step, or of each row's.
    """

    share: float = 0.2
    within: Literal["step", "row"] = "step"

    needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    latex: ClassVar[str] = r"\mathbf{1}_{H_t\ge Q_{1-%(share)s}}"

    def __post_init__(self) -> None:
        check_range(self, "share", 0.0, 1.0)
        check_fields(self)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return ones: what is dropped is decided in `plan`."""
        return torch.ones_like(ratio)

    def plan(
        self,
        step: TokenBatch,
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 at the tokens of highest entropy and 0 at the others."""
        entropy = torch.where(step.response_mask, step.require("current_entropy", self), torch.inf)
        rows = entropy if self.within == "row" else entropy.reshape(1, -1)
        threshold = quantile(rows, 1.0 - self.share)
        return (step.response_mask & (entropy >= threshold)).to(step.reward.dtype)


@dataclass(frozen=True)
class ClipCovariance:
    """The min-clip, and no gradient for a few tokens whose log-prob and advantage go together.

    1_stable = 0 at `share` of all tokens, drawn from those with low < cov_t < high that the clip keeps
    cov_t = (Â_t − mean Â)(log π_θ(y_t) − mean log π_θ),   means over the step's tokens
    They are the tokens that use up the policy's entropy. The draw is by a hash of the tokens' log-probs and
    places in their rows: it depends neither on a random state nor on the order of the rows.

    See The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models, Cui et al., 2025
    (https://arxiv.org/abs/2505.22617) (Clip-Cov).
    Differs from the paper: covariances are those under the policy as the step is planned.

    Args:
        low: Smallest covariance that may lose its gradient, not included.
        high: Largest one, not included.
        share: Share of all tokens that lose it, in [0, 1]; at least one token does, if one may.
        clip_low: `low` of the ClipMask.
        clip_high: `high` of the ClipMask.
    """

    low: float = 1.0
    high: float = 5.0
    share: float = 0.0002
    clip_low: float = 0.2
    clip_high: float = 0.2

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})
    latex: ClassVar[str] = (
        r"\mathbf{1}_{\mathrm{clip}[1-%(clip_low)s,\,1+%(clip_high)s],\,t\notin S}"
        r",\ \mathrm{where}\ S\ \mathrm{is}\ %(share)s\ \mathrm{of\ all,\ from}\ "
        r"\mathrm{cov}_t\in(%(low)s,\,%(high)s)"
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        check_range(self, "share", 0.0, 1.0)
        check_range(self, "clip_low", 0.0, 1.0)
        check_range(self, "clip_high", 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the weights of the clip."""
        return self._clip()(ratio, advantage, policy, batch)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the clip's function of the ratio."""
        return self._clip().bounded(ratio, advantage, policy, batch)

    def plan(self, step: TokenBatch, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return 0 at the tokens drawn and 1 at the others."""
        logp = step.require("current_logp", self)
        ratio = (logp - step.require("behavior_logp", self)).exp()
        kept = self._clip()(ratio, advantage, PolicyTokens(logp), step) != 0
        product = covariance(logp, advantage, step)
        among = step.response_mask & kept & (product > self.low) & (product < self.high)
        hashes = content_hash(logp, step)
        drawn = pick(torch.zeros_like(product), among, count_of(self.share, step), hashes)
        return (~drawn).to(step.reward.dtype)

    def _clip(self) -> ClipMask:
        return ClipMask(self.clip_low, self.clip_high)


@dataclass(frozen=True)
class TopCovariance:
    """Weight 1 on the tokens whose log-prob and advantage go together most, 0 elsewhere.

    1_stable = 1 at the `share` of the step's tokens with the largest cov_t, else 0

    The covariance is that of `ClipCovariance`. As the mask of a KL penalty: KL-Cov.

    See The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models, Cui et al., 2025
    (https://arxiv.org/abs/2505.22617).

    Args:
        share: Share of all tokens, in [0, 1]; at least one.
        advantage: Whose covariance; None for that of the estimator whose mask this is. A penalty has none.
    """

    share: float = 0.0002
    advantage: Advantage | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"current_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_logp"})
    latex: ClassVar[str] = r"\mathbf{1}_{\mathrm{cov}_t\in\mathrm{top}\,%(share)s}"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "share", 0.0, 1.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return ones: what is dropped is decided in `plan`."""
        return torch.ones_like(ratio)

    def plan(self, step: TokenBatch, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return 1 at the tokens of largest covariance and 0 at the others."""
        credit = advantage if self.advantage is None else self.advantage(step)
        logp = step.require("current_logp", self)
        product, hashes = covariance(logp, credit, step), content_hash(logp, step)
        return pick(product, step.response_mask, count_of(self.share, step), hashes).to(step.reward.dtype)
