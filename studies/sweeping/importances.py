"""How much each axis of a sweep matters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from studies.sweeping.axes import Axis
from studies.sweeping.trials import Trial, as_study

FEWEST = 10
"""Complete trials that importances take: PED-ANOVA looks at the best tenth."""


def importances(trials: Sequence[Trial], axes: Sequence[Axis]) -> dict[str, float]:
    """Return each axis's share, the largest first; nothing where there are too few complete trials."""
    complete = [trial for trial in trials if trial.state == "complete"]
    if len(complete) < FEWEST or len({trial.score for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_param_importances(as_study(complete, axes), evaluator=PedAnovaImportanceEvaluator())
