"""The estimator: four interchangeable parts that give every response token its coefficient.

    grad = Σ_t c_t ∇ log π_θ(y_t),    c_t = 1_stable,t · (π_θ/π_ref)_t · Â_t

See Towards a Unified View of Large Language Model Post-Training, Lv et al., 2025
(https://arxiv.org/abs/2509.04419), eq. 6. Nothing here differentiates, reads a file or knows a model.
"""

from core.additive import EntropyBonus
from core.advantages import (
    Constant,
    GreedyBaseline,
    GroupRelative,
    LeaveOneOut,
    OptimalBaseline,
    Outcome,
    Precomputed,
    TotalReward,
)
from core.aggregations import (
    FixedLengthMean,
    FixedLengthSum,
    QuestionMean,
    SequenceMean,
    TokenMean,
)
from core.algorithm import Algorithm, Curriculum, SideStep, Stage, StepPlan, surrogate
from core.batch_masks import ClipCovariance, TopCovariance, TopEntropy
from core.bound_masks import BoundMask, DivergenceMask
from core.controllers import GacGate
from core.corrections import MaskedImportance, SequenceDivergenceMask, TruncatedImportance
from core.credit import ActiveScaled, BatchScaled, Whitened
from core.denominators import BehaviorPolicy, CurrentPolicy, MixedBehavior, Unit
from core.estimator import PolicyGradient, Term
from core.gates import ScheduleGate, ThresholdGate, solve_rate
from core.kl import KlPenalty
from core.likelihoods import ResponseLikelihood, SequenceLikelihood, SequenceTokenLikelihood, TokenLikelihood
from core.masks import ClipMask, DualClipMask, KeepAll, TwoSidedClipMask
from core.moving_denominators import ClippedRatio, Detached, FlooredPolicy, PowerPolicy
from core.needs import needs_of
from core.protocols import (
    Advantage,
    Aggregation,
    Denominator,
    Gate,
    Likelihood,
    LossTerm,
    Mask,
    RowWeight,
    Schedule,
    TokenChoice,
)
from core.provided import check_provided
from core.returns import Gae, RewardToGo, token_rewards
from core.rewards import ClippedReward, PenalizedByKl
from core.rollouts import (
    BinomialChunks,
    DemonstrationPrefix,
    DynamicSampling,
    RolloutPlan,
    UniformShare,
)
from core.rows import (
    AnyOf,
    Demonstrations,
    EntropyWeighted,
    Failed,
    Mixed,
    NonEmpty,
    Rollouts,
    Solved,
)
from core.schedules import Cosine, Fixed, Linear, Until
from core.shaped_likelihoods import ClampedLikelihood, GeometricLikelihood, ShapedLikelihood
from core.soft_gates import EntropyGate, HysteresisGate, TableGate
from core.soft_masks import AllOf, ExplorationMask, PhiMask, SoftClipMask
from core.tokens import EveryToken, PrefixTokens, SampledTokens
from core.types import Coefficients, GateWeights, PolicyTokens, TermPlan, TokenBatch
from core.value_loss import ValueLoss

__all__ = [
    "ActiveScaled",
    "Advantage",
    "Aggregation",
    "Algorithm",
    "AllOf",
    "AnyOf",
    "BatchScaled",
    "BehaviorPolicy",
    "BinomialChunks",
    "BoundMask",
    "ClampedLikelihood",
    "ClipCovariance",
    "ClipMask",
    "ClippedRatio",
    "ClippedReward",
    "Coefficients",
    "Constant",
    "Cosine",
    "CurrentPolicy",
    "Curriculum",
    "DemonstrationPrefix",
    "Demonstrations",
    "Denominator",
    "Detached",
    "DivergenceMask",
    "DualClipMask",
    "DynamicSampling",
    "EntropyBonus",
    "EntropyGate",
    "EntropyWeighted",
    "EveryToken",
    "ExplorationMask",
    "Failed",
    "Fixed",
    "FixedLengthMean",
    "FixedLengthSum",
    "FlooredPolicy",
    "GacGate",
    "Gae",
    "Gate",
    "GateWeights",
    "GeometricLikelihood",
    "GreedyBaseline",
    "GroupRelative",
    "HysteresisGate",
    "KeepAll",
    "KlPenalty",
    "LeaveOneOut",
    "Likelihood",
    "Linear",
    "LossTerm",
    "Mask",
    "MaskedImportance",
    "Mixed",
    "MixedBehavior",
    "NonEmpty",
    "OptimalBaseline",
    "Outcome",
    "PenalizedByKl",
    "PhiMask",
    "PolicyGradient",
    "PolicyTokens",
    "PowerPolicy",
    "Precomputed",
    "PrefixTokens",
    "QuestionMean",
    "ResponseLikelihood",
    "RewardToGo",
    "RolloutPlan",
    "Rollouts",
    "RowWeight",
    "SampledTokens",
    "Schedule",
    "ScheduleGate",
    "SequenceDivergenceMask",
    "SequenceLikelihood",
    "SequenceMean",
    "SequenceTokenLikelihood",
    "ShapedLikelihood",
    "SideStep",
    "SoftClipMask",
    "Solved",
    "Stage",
    "StepPlan",
    "TableGate",
    "Term",
    "TermPlan",
    "ThresholdGate",
    "TokenBatch",
    "TokenChoice",
    "TokenLikelihood",
    "TokenMean",
    "TopCovariance",
    "TopEntropy",
    "TotalReward",
    "TruncatedImportance",
    "TwoSidedClipMask",
    "UniformShare",
    "Unit",
    "Until",
    "ValueLoss",
    "Whitened",
    "check_provided",
    "needs_of",
    "solve_rate",
    "surrogate",
    "token_rewards",
]
