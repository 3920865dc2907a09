"""The metrics of training that are drawn, a panel each."""

from __future__ import annotations

from typing import NamedTuple

OFFLINE_SHARE = "data/offline_row_share"


class Panel(NamedTuple):
    """A metric, the panel's heading, the unit, the factor from the metric to the unit, and what is shown.

    The axis begins at 0 where `zero`, and ends at `ceiling` where there is one. `optional` panels are left
    out where no run has the metric.
    """

    metric: str
    heading: str
    unit: str
    factor: float = 1.0
    zero: bool = False
    ceiling: float | None = None
    optional: bool = False
    smooth: bool = True


PANELS = (
    Panel("rollout/solve_rate", "Solve rate in training", "rollouts solved (%)", 100, True, 100),
    Panel(OFFLINE_SHARE, "Offline share", "demonstrations in trained rows (%)", 100, True),
    Panel("rollout/entropy", "Entropy of the policy", "nats per sampled token"),
    Panel("rollout/response_tokens", "Response length", "tokens per response"),
    Panel("train/gradient_norm", "Gradient norm", "before clipping, last update of a step", optional=True),
)
