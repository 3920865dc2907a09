"""The estimator: four interchangeable parts that give every response token its coefficient.

    grad = Σ_t c_t ∇ log π_θ(y_t),    c_t = 1_stable,t · (π_θ/π_ref)_t · Â_t

See Towards a Unified View of Large Language Model Post-Training, Lv et al., 2025
(https://arxiv.org/abs/2509.04419), eq. 6. Nothing here differentiates, reads a file or knows a model.
"""

from core.additive import EntropyBonus
from core.advantages import Constant, GroupRelative, Outcome
from core.aggregations import (
    FixedLengthMean,
    FixedLengthSum,
    QuestionMean,
    SequenceMean,
    TokenMean,
)
from core.algorithm import Algorithm, Curriculum, SideStep, Stage, StepPlan, surrogate
from core.denominators import BehaviorPolicy, CurrentPolicy
from core.estimator import PolicyGradient, Term
from core.gates import ThresholdGate, solve_rate
from core.likelihoods import SequenceLikelihood, TokenLikelihood
from core.masks import ClipMask, KeepAll
from core.rows import AnyOf, Demonstrations, Rollouts
from core.types import Coefficients, GateWeights, PolicyTokens, TermPlan, TokenBatch

__all__ = [
    "Algorithm",
    "AnyOf",
    "BehaviorPolicy",
    "ClipMask",
    "Coefficients",
    "Constant",
    "CurrentPolicy",
    "Curriculum",
    "Demonstrations",
    "EntropyBonus",
    "FixedLengthMean",
    "FixedLengthSum",
    "GateWeights",
    "GroupRelative",
    "KeepAll",
    "Outcome",
    "PolicyGradient",
    "PolicyTokens",
    "QuestionMean",
    "Rollouts",
    "SequenceLikelihood",
    "SequenceMean",
    "SideStep",
    "Stage",
    "StepPlan",
    "Term",
    "TermPlan",
    "ThresholdGate",
    "TokenBatch",
    "TokenLikelihood",
    "TokenMean",
    "solve_rate",
    "surrogate",
]
