"""The loss functions of the paper's released code: their arguments, and the terms that have their gradients.

Every term takes `Precomputed()` as its advantage but those of SRFT on rollouts, which have their own credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import (
    AnyOf,
    BehaviorPolicy,
    Constant,
    Demonstrations,
    EntropyWeighted,
    EveryToken,
    Failed,
    FixedLengthSum,
    PolicyGradient,
    PolicyTokens,
    Precomputed,
    Rollouts,
    Solved,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
)
from core.protocols import Aggregation, Mask, RowWeight, TokenChoice
from studies.conforming.cases import Case
from studies.conforming.options import SWITCH, Options, OutOfScope
from studies.conforming.reference_masks import bound_mask, check_narrow, clip_mask, log_bound
from studies.conforming.reference_quirks import TeacherPolicy
from studies.conforming.reference_reshapes import (
    LOGARITHMS,
    RATIOS,
    Reshape,
    Surrogate,
    off_policy,
    on_policy,
    read_reshape,
    srft,
)
from studies.conforming.reference_rows import StepTokenMean, UnlikelyTokens

EVERYONE = AnyOf((Rollouts(), Demonstrations()))
GIVEN = Precomputed()
SRFT_SOLVED = 0.1
"""Factor of exp(+H) in the weight of solved rollouts."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A case while it is read."""

    case: Case
    options: Options
    inputs: Options
    step: TokenBatch
    policy: PolicyTokens

    @property
    def width(self) -> int:
        """Positions a row has, which the released code divides sums by."""
        return self.step.response_mask.shape[1]

    def flags(self, rows: Sequence[int]) -> tuple[bool, ...] | None:
        """Return which of some rows the case flags as `whether_off`; None where it says nothing."""
        whole = self.inputs.take("whether_off", None)
        return None if whole is None else tuple(bool(whole[row]) for row in rows)


@dataclass(frozen=True)
class PolicyLoss:
    """Arguments of the clipped policy loss.

    Args:
        clip: ε; None: no clip.
        length: Constant that the sum over tokens is divided by; None: a mean over tokens.
    """

    clip: float | None
    length: int | None

    def term(self, rows: RowWeight) -> Term:
        """Return the loss of some rows, its mean taken over their own tokens."""
        mask = clip_mask(self.clip, self.clip)
        average = TokenMean() if self.length is None else FixedLengthSum(self.length)
        estimator = PolicyGradient(mask, BehaviorPolicy(), Precomputed(), TokenLikelihood())
        return Term("reinforce", estimator, rows, average)


@dataclass(frozen=True)
class MixedLoss:
    """Arguments of the loss on rollouts and demonstrations together.

    Args:
        policy: Clip and length, as the policy loss has them.
        upper: Upper bound of the clip, as a ratio.
        on: What stands in the place of a rollout's ratio.
        off: What stands in the place of a demonstration's probability.
        bounds: Of what the loss holds for a demonstration's token.
        tokens: Which tokens count.
        teacher: Whether the teacher's probabilities are given: the demonstration's ratio is then to them.
    """

    policy: PolicyLoss
    upper: float
    on: Reshape
    off: Reshape
    bounds: Mask
    tokens: TokenChoice
    teacher: bool

    def on_terms(self) -> tuple[Term, ...]:
        """Return the loss of the rollouts."""
        mask = clip_mask(self.policy.clip, self.upper - 1.0)
        if self.on.kind in LOGARITHMS:
            check_narrow(self.policy.clip, f"{self.on.option}={self.on.kind}")
        return self._terms(on_policy(self.on, mask), "reinforce", Rollouts())

    def off_terms(self, rows: RowWeight | None = None, weight: float = 1.0) -> tuple[Term, ...]:
        """Return the loss of the demonstrations, or of those that `rows` takes."""
        if self.off.kind == "classic_reject_token":
            raise OutOfScope(
                "off_policy_reshape=classic_reject_token drops tokens by random draws, which no case records"
            )
        teacher = (Surrogate(TeacherPolicy(), mask=self.bounds),)
        held = teacher if self.teacher else off_policy(self.off, self.bounds)
        return self._terms(held, "off_policy", rows or Demonstrations(), weight=weight)

    def srft_terms(self, kind: str) -> tuple[Term, ...]:
        """Return SRFT's loss of the rollouts: for the solved ones, against the failed ones."""
        if kind in RATIOS:
            check_narrow(self.policy.clip, f"srft_type={kind}")
        held = srft(kind, self.on, log_bound(self.policy.clip))
        solved = EntropyWeighted(Solved(Rollouts()), SRFT_SOLVED, sign=1.0)
        return (
            *self._terms(held, "solved", solved, Constant(1.0)),
            *self._terms(held, "failed", Failed(Rollouts()), Constant(-1.0)),
        )

    def _terms(
        self,
        held: tuple[Surrogate, ...],
        name: str,
        rows: RowWeight,
        credit: Constant | Precomputed = GIVEN,
        weight: float = 1.0,
    ) -> tuple[Term, ...]:
        length = self.policy.length
        average: Aggregation = StepTokenMean() if length is None else FixedLengthSum(length)
        return tuple(
            Term(
                name if len(held) == 1 else f"{name}_{each.name}",
                PolicyGradient(each.mask, each.denominator, credit, each.likelihood),
                rows,
                average,
                weight * each.weight,
                self.tokens,
            )
            for each in held
        )


def read_policy_loss(reading: Reading, clip: str) -> PolicyLoss:
    """Return the arguments of the policy loss; `clip` is what the option for ε is called."""
    options = reading.options
    bound = options.number(clip, 0.2)
    removed = options.choose("loss_remove_clip", SWITCH, False)
    summed = options.choose("loss_remove_token_mean", SWITCH, False)
    return PolicyLoss(None if removed else bound, reading.width if summed else None)


def read_mixed_loss(reading: Reading, policy: PolicyLoss, weight: float, unset: float | None) -> MixedLoss:
    """Return the arguments of the loss on rollouts and demonstrations.

    Args:
        reading: The case.
        policy: What was read of the policy loss.
        weight: Default of the reshapes' weights.
        unset: What stands for "no bound".
    """
    options = reading.options
    # Arguments that the functions have and never read.
    options.ignore("off_cliprange", "off_normalize", "off_abs_cliprange")
    low, high, ceiling = (
        None if (bound := options.take(name, None)) == unset else bound
        for name in ("off_min_clip", "off_max_clip", "all_max_clip")
    )
    return MixedLoss(
        policy=policy,
        upper=max(options.number("clip_upper_bound", 1.0), 1.0 + (policy.clip or 0.0)),
        on=read_reshape(options, "on_policy_reshape", weight),
        off=read_reshape(options, "off_policy_reshape", weight),
        bounds=bound_mask(low, high),
        tokens=EveryToken() if ceiling is None else UnlikelyTokens(ceiling),
        teacher=reading.step.sampler_logp is not None,
    )
