"""verl's estimators of a divergence, as a term of the loss and as a penalty on the reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Divergence = Mapping[str, Any]
"""Fields `estimator` and `limit` of a part."""

K3 = {"estimator": "k3", "limit": 10.0}
STRAIGHT_K3 = {"estimator": "k3+", "limit": 10.0}

DIVERGENCES: Mapping[str, Divergence] = {
    "kl": {"estimator": "k1"},
    "k1": {"estimator": "k1"},
    "kl+": {"estimator": "k1+"},
    "k1+": {"estimator": "k1+"},
    "abs": {"estimator": "abs"},
    "abs+": {"estimator": "abs+"},
    "mse": {"estimator": "k2"},
    "mse+": {"estimator": "k2"},
    "k2": {"estimator": "k2"},
    "k2+": {"estimator": "k2"},
    "low_var_kl": K3,
    "k3": K3,
    "low_var_kl+": STRAIGHT_K3,
    "k3+": STRAIGHT_K3,
}
"""kl_loss_type and kl_penalty; what ends on "+" has the gradient of k2."""


def of_reward(divergence: Divergence) -> Divergence:
    """Return the divergence as a reward holds it: no gradient flows through one."""
    return {**divergence, "estimator": divergence["estimator"].removesuffix("+")}
