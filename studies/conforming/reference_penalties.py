"""What the paper's released training step adds to its policy loss, as means over a micro-batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from core import EntropyBonus, KlPenalty, Rollouts, TokenBatch, TokenMean
from core.protocols import LossTerm, RowWeight
from studies.conforming.options import SWITCH, Options
from studies.conforming.reference_losses import EVERYONE

KL: Mapping[str, Mapping[str, Any]] = {
    "kl": {"estimator": "k1"},
    "abs": {"estimator": "abs"},
    "mse": {"estimator": "k2"},
    "low_var_kl": {"estimator": "k3", "limit": 10.0},
}
"""kl_loss_type"""
MOVED = "moved"
"""What the term on the distance from the behavior policy is called."""


def penalties(options: Options) -> tuple[LossTerm, ...]:
    """Return the entropy bonus and the KL penalty, both means over all rows."""
    bonus = EntropyBonus(options.number("entropy_coeff", 0.0), EVERYONE, TokenMean())
    if not options.choose("use_kl_loss", SWITCH, False):
        options.ignore("kl_loss_coef", "kl_loss_type")
        return (bonus,)
    kind, weight = options.choose("kl_loss_type", KL, "low_var_kl"), options.number("kl_loss_coef", 0.001)
    return bonus, KlPenalty(weight, EVERYONE, TokenMean(), **kind)


def moved(options: Options, batch: TokenBatch, *, rollouts_alone: bool) -> tuple[LossTerm, ...]:
    """Return the penalty on how far a micro-batch has moved:   |mean of log π_old − log π_θ|.

    Its gradient is that of k1, with the sign that the mean has when the micro-batch is planned.

    Args:
        options: Options of the case.
        batch: The micro-batch.
        rollouts_alone: Whether the mean is over its rollouts, as where they have a policy loss of their own.
    """
    weight = options.number("ppo_kl_loss_coef", 0.01)
    if not options.choose("use_ppo_kl_loss", SWITCH, False):
        return ()
    rows: RowWeight = Rollouts() if rollouts_alone else EVERYONE
    counted = batch.response_mask & (rows(batch) != 0)[:, None]
    gap = batch.require("current_logp", options) - batch.require("behavior_logp", options)
    sign = float(torch.where(counted, gap, 0.0).sum().sign())
    return (KlPenalty(sign * weight, rows, TokenMean(), "k1", "behavior", name=MOVED),)
