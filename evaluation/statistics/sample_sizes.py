"""Sample sizes for one 0/1 answer a question, by the textbook formulas."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import stats
from statsmodels.stats.power import normal_sample_size_one_tail

from evaluation.statistics.planning import USUAL, Criterion, PlanError


def mcnemar_questions(
    only_ours: float,
    only_theirs: float,
    criterion: Criterion = USUAL,
    method: Literal["connor", "miettinen"] = "connor",
) -> int:
    """Return how many questions McNemar's test needs, from the shares that only one of two policies solves.

    With ψ = only_ours + only_theirs, d = only_ours − only_theirs, normal quantiles z:

        connor       n = (z_{1−α/2} √ψ + z_power √(ψ − d²))² / d²
        miettinen    n = (z_{1−α/2} ψ + z_power √(ψ² − d² (3 + ψ)/4))² / (ψ d²)

    Connor's is for the difference of shares, Miettinen's allows for the test's being conditional on the
    number of discordant questions and is a little smaller. `mcnemar_power` is the exact test's own power.

    See Sample Size for Testing Differences in Proportions for the Paired-Sample Design, Connor, 1987; The
    Matched Pairs Design in the Case of All-or-None Responses, Miettinen, 1968.

    Raises:
        PlanError: The shares are equal, negative, or more than 1 together.
    """
    discordant, difference = _discordant(only_ours, only_theirs), abs(only_ours - only_theirs)
    if difference == 0:
        raise PlanError(f"shares are both {only_ours}: no number of questions shows a difference of 0")
    if method == "connor":
        errors = math.sqrt(discordant), math.sqrt(discordant - difference**2)
    else:
        conditional = discordant**2 - difference**2 * (3 + discordant) / 4
        errors = math.sqrt(discordant), math.sqrt(conditional / discordant)
    return _questions(difference, errors, criterion)


def proportion_questions(ours: float, theirs: float, criterion: Criterion = USUAL) -> int:
    """Return how many questions each policy needs if they answer different questions, one answer each.

        n = (z_{1−α/2} √(2 p̄ (1 − p̄)) + z_power √(p₁(1 − p₁) + p₂(1 − p₂)))² / (p₁ − p₂)²,   p̄ = (p₁ +
        p₂)/2

    See Statistical Methods for Rates and Proportions, Fleiss, Levin and Paik, 2003, ch. 4, without the
    correction for continuity.

    Raises:
        PlanError: A share is not in [0, 1], or the two are equal.
    """
    if not (0 <= ours <= 1 and 0 <= theirs <= 1) or ours == theirs:
        raise PlanError(f"{ours} and {theirs} are not two different shares in [0, 1]")
    mean = (ours + theirs) / 2
    errors = math.sqrt(2 * mean * (1 - mean)), math.sqrt(ours * (1 - ours) + theirs * (1 - theirs))
    return _questions(abs(ours - theirs), errors, criterion)


def mcnemar_power(only_ours: float, only_theirs: float, questions: int, alpha: float = 0.05) -> float:
    """Return the power of the exact McNemar test: the chance that its two-sided p is at most α.

        Σ_m P(M = m) P(2 P(Y ≤ min(X, m − X)) ≤ α),   M ~ Binomial(n, ψ),   X ~ Binomial(m, only_ours/ψ)

    with Y ~ Binomial(m, 1/2). The formulas of `mcnemar_questions` leave out that it is conservative.
    """
    discordant = _discordant(only_ours, only_theirs)
    pairs = np.arange(1, questions + 1)
    critical = stats.binom.ppf(alpha / 2, pairs, 0.5)
    critical -= stats.binom.cdf(critical, pairs, 0.5) > alpha / 2
    share = only_ours / discordant
    seen = stats.binom.cdf(critical, pairs, share) + stats.binom.cdf(critical, pairs, 1 - share)
    return float((stats.binom.pmf(pairs, questions, discordant) * seen).sum())


def _discordant(only_ours: float, only_theirs: float) -> float:
    discordant = only_ours + only_theirs
    if min(only_ours, only_theirs) < 0 or not 0 < discordant <= 1:
        raise PlanError(
            f"shares {only_ours} and {only_theirs} must be 0 or more, and above 0 and at most 1 together"
        )
    return discordant


def _questions(difference: float, errors: tuple[float, float], criterion: Criterion) -> int:
    """Return n for standard errors √n of the difference: without a difference, and with it."""
    needed = normal_sample_size_one_tail(difference, criterion.power, criterion.alpha / 2, *errors)
    return math.ceil(float(needed))
