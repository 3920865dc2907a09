"""How large an evaluation must be to see a difference between two policies: power and its inverses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from scipy import optimize, stats
from statsmodels.stats.power import normal_power

from evaluation.statistics.variances import Variances

Count = Literal["questions", "samples", "seeds"]
COUNTS: tuple[Count, ...] = ("questions", "samples", "seeds")
# What is not reached with so many isn't reached with more.
MOST = 10**7
_STEP = 1.05


class PlanError(ValueError):
    """A plan that can't be made as asked; the text says why and what to ask instead."""


@dataclass(frozen=True)
class Design:
    """The size of a comparison of two policies.

    Args:
        questions: n, that both answer; if unpaired, that each answers on its own.
        samples: K, answers to each question by each trained policy.
        seeds: m, trainings of each method. With one, two checkpoints are compared.
        paired: Whether both answer the same questions.
    """

    questions: int
    samples: int = 1
    seeds: int = 1
    paired: bool = True

    def __post_init__(self) -> None:
        for name, least in (("questions", 2), ("samples", 1), ("seeds", 1)):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise PlanError(f"{name}={value} is not a whole number from {least}")


@dataclass(frozen=True)
class Criterion:
    """What counts as seeing a difference.

    Args:
        alpha: Two-sided level of the test.
        power: The chance to see the difference.
        normal: Whether to take the normal approximation, which knows the variances, in place of Student's t.
    """

    alpha: float = 0.05
    power: float = 0.8
    normal: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise PlanError(f"alpha={self.alpha} is not between 0 and 1; the usual level is 0.05")
        if not self.alpha < self.power < 1:
            raise PlanError(f"power={self.power} is not between alpha={self.alpha} and 1; 0.8 is usual")


USUAL = Criterion()


def difference_error(design: Design, variances: Variances) -> tuple[float, float]:
    """Return the standard error of the difference between two policies, and its degrees of freedom.

        paired       SE² = (w² + 2 s²/(K m))/n + 2 t²/m
        unpaired     SE² = 2 (u² + s²/(K m))/n + 2 t²/m

    The second term is there with two seeds or more: with one, the two checkpoints are compared, whatever
    their trainings' luck. Degrees of freedom are those that `compare` finds: Satterthwaite's of the mean
    squares of questions, n − 1, and seeds, m − 1, which also holds the sampling variance e = 2 s²/(K m n),
    less the rest:

        df = SE⁴ / (V_n²/(n − 1) + (V_m + e)²/(m − 1) + e²/((n − 1)(m − 1))),     V_n + V_m = SE²

    doubled if unpaired; n − 1, doubled, with one seed.

    See Adding Error Bars to Evals, Miller, 2024 (https://arxiv.org/abs/2411.00640), sec. 5, for m = 1.
    Differs from the paper: seeds. K samples of each of m trainings are K·m draws.

    Raises:
        PlanError: Seeds vary, but there is one, so that their variance can't be estimated.
    """
    if design.seeds == 1 and variances.seeds > 0:
        raise PlanError(
            f"a seed variance of {variances.seeds} can't be seen with seeds=1; take seeds=2 or more, "
            "or leave the variance out to compare two checkpoints"
        )
    sampling = variances.within / (design.samples * design.seeds)
    spread = variances.between + 2 * sampling if design.paired else 2 * (variances.difficulty + sampling)
    of_questions, of_seeds = spread / design.questions, 2 * variances.seeds / design.seeds
    total = of_questions + of_seeds
    if not total > 0:
        raise PlanError("all variances are 0: any difference would be seen at once")
    questions, seeds, rest = design.questions - 1, design.seeds - 1, 2 * sampling / design.questions
    inverse = (of_questions / total) ** 2 / questions
    if seeds:
        inverse += ((of_seeds + rest) ** 2 / seeds + rest**2 / (questions * seeds)) / total**2
    return math.sqrt(total), (1 if design.paired else 2) / inverse


def power(difference: float, design: Design, variances: Variances, criterion: Criterion = USUAL) -> float:
    """Return the chance that a two-sided test at level α sees a true difference (score unit).

        P(|T| > t_{df, 1 − α/2}),   T noncentral t with df degrees and noncentrality difference/SE

    or, by the normal approximation, Φ(|d|/SE − z) + Φ(−|d|/SE − z).

    See Statistical Power Analysis for the Behavioral Sciences, Cohen, 1988, ch. 2. T² is noncentral F, which
    scipy computes where its noncentral t fails.
    """
    error, degrees = difference_error(design, variances)
    return _power(abs(difference) / error, degrees, criterion)


def minimum_difference(design: Design, variances: Variances, criterion: Criterion = USUAL) -> float:
    """Return the smallest true difference (score unit) that is seen with the criterion's power.

    By the normal approximation about (z_{1 − α/2} + z_power) · SE = 2.8 SE at the usual 0.05 and 0.8.
    """
    error, degrees = difference_error(design, variances)
    high = 1.0
    while _power(high, degrees, criterion) < criterion.power:
        high *= 2
    effect = optimize.brentq(lambda e: _power(e, degrees, criterion) - criterion.power, 0.0, high, xtol=1e-10)
    return float(effect) * error


def smallest(
    count: Count, difference: float, design: Design, variances: Variances, criterion: Criterion = USUAL
) -> Design | None:
    """Return the design with the fewest questions, samples or seeds that sees a difference, or None.

    Where seeds vary, more questions may cost power: the seeds' few degrees of freedom then weigh more. So
    numbers are tried upwards, each 5 % larger, and the first that suffices is narrowed down.

    Args:
        count: Which number to find; the design's own is ignored.
        difference: See `power`.
        design: The other numbers.
        variances: See `Variances`.
        criterion: See `Criterion`.
    """

    def suffices(number: int) -> bool:
        return power(difference, with_count(design, count, number), variances, criterion) >= criterion.power

    least = {"questions": 2, "samples": 1, "seeds": 2 if variances.seeds > 0 else 1}[count]
    low, high = least - 1, least
    while not suffices(high):
        low, high = high, max(high + 1, int(high * _STEP))
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return with_count(design, count, high)


def with_count(design: Design, count: Count, number: int) -> Design:
    """Return the design with another number of questions, samples or seeds."""
    if count == "questions":
        return replace(design, questions=number)
    return replace(design, samples=number) if count == "samples" else replace(design, seeds=number)


def _power(effect: float, degrees: float, criterion: Criterion) -> float:
    """Return the power for a difference of `effect` standard errors."""
    if criterion.normal:
        return float(normal_power(effect, 1, criterion.alpha))
    if effect == 0:  # scipy's noncentral F fails there
        return criterion.alpha
    critical = float(stats.t.isf(criterion.alpha / 2, degrees))
    return float(stats.ncf.sf(critical**2, 1, degrees, effect**2))
