"""The variances that decide how precise an evaluation is, and their estimates from two policies' answers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from evaluation.statistics.scores import Array


class Variances(NamedTuple):
    """Variances of scores in [0, 1], hence in score²; 0.0001 is a standard deviation of one point.

    The defaults for `between` and `within` are those of reasoning policies on mathematics benchmarks.

    Args:
        between: w², of the true difference between the two policies from question to question.
        within: s², of one answer to one question by one policy: p(1 − p) averaged over questions, at most
            0.25.
        seeds: t², of one method's true score from training seed to training seed.
        difficulty: u², of one policy's true score from question to question; only unpaired designs have it.
    """

    between: float = 0.01
    within: float = 0.10
    seeds: float = 0.0
    difficulty: float = 0.10


class _Arm(NamedTuple):
    """Estimates from one policy's answers; `rest` is the variance of a question's mean that isn't its own."""

    within: float
    seeds: float
    rest: float
    means: Array


def estimate_variances(ours: Array, theirs: Array) -> Variances:
    """Estimate the variances of two policies by analysis of variance, without bias.

    With S seeds, Q questions, K samples and cell means y_sq, for each policy:

        s² = mean over s, q of var_k                   rest = Σ (y_sq − ȳ_s − ȳ_q + ȳ)² / ((S − 1)(Q − 1))
        t² = var_s(ȳ_s) − rest/Q                       u² = var_q(ȳ_q) − rest/S
        w² = var_q(ȳ_q of ours − ȳ_q of theirs) − rest/S of ours − rest/S of theirs

    with rest = s²/K where S = 1. s², t² and u² are averaged over the two policies; t² over those with two
    seeds or more, and it is NaN without one. As it is without bias, an estimate may fall below 0; plan with 0
    then. What a seed changes on single questions is taken out of w², t² and u² and is not a part of s².

    See Variance Components, Searle, Casella and McCulloch, 1992, ch. 4.

    Args:
        ours: What each answer earned, (seed, question, sample). Questions on which an answer of either policy
            has no verdict (NaN) are left out.
        theirs: Likewise; the same questions, any number of seeds and samples.

    Raises:
        ValueError: The questions differ in number, fewer than two are left, or there is one sample a
            question, which can't tell the variance within questions from that between them.
    """
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if ours.ndim != 3 or theirs.ndim != 3 or ours.shape[1] != theirs.shape[1]:
        raise ValueError(
            f"shapes {ours.shape} and {theirs.shape} are not (seed, question, sample) of one suite"
        )
    if min(ours.shape[2], theirs.shape[2]) < 2:
        raise ValueError(
            "the variance within questions needs two samples or more of each question and policy"
        )
    kept = ~(np.isnan(ours).any(axis=(0, 2)) | np.isnan(theirs).any(axis=(0, 2)))
    if kept.sum() < 2:
        raise ValueError(f"{kept.sum()} questions have a verdict on every answer; two or more are needed")
    arms = [_arm(ours[:, kept]), _arm(theirs[:, kept])]
    noise = sum(arm.rest for arm in arms)
    seeds = [arm.seeds for arm in arms if not math.isnan(arm.seeds)]
    return Variances(
        between=float((arms[0].means - arms[1].means).var(ddof=1)) - noise,
        within=float(np.mean([arm.within for arm in arms])),
        seeds=float(np.mean(seeds)) if seeds else math.nan,
        difficulty=float(np.mean([arm.means.var(ddof=1) - arm.rest for arm in arms])),
    )


def _arm(earned: Array) -> _Arm:
    seeds, questions, samples = earned.shape
    within = float(earned.var(axis=2, ddof=1).mean())
    cells = earned.mean(axis=2)
    means = np.asarray(cells.mean(axis=0))
    if seeds == 1:
        return _Arm(within, math.nan, within / samples, means)
    left = cells - cells.mean(axis=1, keepdims=True) - means + cells.mean()
    rest = float((left**2).sum()) / ((seeds - 1) * (questions - 1))
    return _Arm(within, float(cells.mean(axis=1).var(ddof=1)) - rest / questions, rest / seeds, means)
