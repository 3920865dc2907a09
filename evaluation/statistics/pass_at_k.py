"""pass@k and pass^k, unbiased, from how many of a question's samples are correct."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.statistics.scores import Array, Score, mean_score

Counts = NDArray[np.int64]


class Solved(NamedTuple):
    """How many samples of each question have a verdict, and how many of these are correct."""

    samples: Counts
    correct: Counts


def count_solved(earned: Array) -> Solved:
    """Return the counts over the last axis of what samples earned: 0 or 1, NaN where there is no verdict.

    Raises:
        ValueError: A sample earned neither 0 nor 1, so that "solved" means nothing.
    """
    earned = np.asarray(earned, dtype=np.float64)
    graded = ~np.isnan(earned)
    partial = earned[graded & (earned != 0) & (earned != 1)]
    if partial.size:
        raise ValueError(
            f"a sample earned {partial[0]}; pass@k needs samples that are correct (1) or not (0)"
        )
    return Solved(graded.sum(axis=-1), (earned == 1).sum(axis=-1))


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: int) -> Array:
    """Return pass@k of each question: the chance that k samples, drawn without return, hold a correct one.

        pass@k = 1 − C(n − c, k) / C(n, k) = 1 − Π_{i<k} (1 − c / (n − i))        n samples, c correct

    Its expectation is 1 − (1 − p)^k for every n ≥ k, where 1 − (1 − c/n)^k is too low. The product is summed
    as logarithms, so that no binomial coefficient is formed; n may be in the thousands.

    See Evaluating Large Language Models Trained on Code, Chen et al., 2021
    (https://arxiv.org/abs/2107.03374), eq. 1.

    Args:
        samples: n of each question, in any shape; questions may differ.
        correct: c of each question.
        k: Draws; at least 1 and at most the smallest n.

    Raises:
        ValueError: k is more than the samples of some question, or counts are impossible.
    """
    n, c = _checked(samples, correct, k)
    draws = n[..., None] - np.arange(k)
    with np.errstate(divide="ignore"):
        logs = np.log1p(-np.minimum(c[..., None] / draws, 1.0))
    return np.asarray(-np.expm1(logs.sum(axis=-1)))


def pass_hat_k(samples: ArrayLike, correct: ArrayLike, k: int) -> Array:
    """Return pass^k of each question: the chance that k samples, drawn without return, are all correct.

        pass^k = C(c, k) / C(n, k)

    An unbiased estimate of p^k: reliability, where pass@k is reach. Arguments and refusals are `pass_at_k`'s.

    See τ-bench, Yao et al., 2024 (https://arxiv.org/abs/2406.12045).
    """
    n, c = _checked(samples, correct, k)
    return 1.0 - pass_at_k(n, n - c, k)


def pass_at_k_score(samples: ArrayLike, correct: ArrayLike, k: int) -> Score:
    """Return mean pass@k with its question-clustered standard error, `mean_score`'s.

    Args:
        samples: Counts (question) of one checkpoint, or (seed, question).
        correct: Likewise.
        k: See `pass_at_k`.
    """
    return mean_score([np.atleast_2d(pass_at_k(samples, correct, k))])


def _checked(samples: ArrayLike, correct: ArrayLike, k: int) -> tuple[Counts, Counts]:
    n, c = np.broadcast_arrays(_integers(samples, "samples"), _integers(correct, "correct"))
    if k != int(k) or k < 1:
        raise ValueError(f"k={k} is not a whole number of draws from 1")
    wrong = np.flatnonzero((c < 0) | (c > n))
    if wrong.size:
        first = wrong[0]
        raise ValueError(f"question {first} has {c.flat[first]} correct of {n.flat[first]} samples")
    short = np.flatnonzero(n < k)
    if short.size:
        raise ValueError(
            f"k={k} is more than the {n.flat[short[0]]} samples of question {short[0]}; "
            f"take {k} samples or more, or k ≤ {n.min()}"
        )
    return n, c


def _integers(counts: ArrayLike, name: str) -> Counts:
    array = np.asarray(counts)
    whole = np.asarray(array, dtype=np.float64)
    if not (whole == np.floor(whole)).all():
        raise ValueError(f"{name} holds a number that is not whole")
    return whole.astype(np.int64)
