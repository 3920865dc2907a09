"""maj@k: what the majority vote over a question's samples is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaluation.statistics.scores import Array

Votes = NDArray[np.int64]


def tally(labels: Iterable[Hashable | None]) -> Counter[Hashable | None]:
    """Return how often each class of equivalent answers was given; None stands for no answer."""
    return Counter(labels)


def majority_at_k(counts: Mapping[Hashable | None, int], correct: Collection[Hashable], k: int) -> float:
    """Return maj@k of a question: the expected credit of a vote among k of its samples.

    The k samples are drawn without return; the class with the most votes is the answer, a tie is broken
    uniformly at random, and the credit is 1 for a correct class. None takes its place among the k draws but
    has no vote; nothing but None earns 0. With v_a the votes of class a and A the classes:

        maj@k = Σ_{a correct} Σ_{v ≥ 1} Σ_t P(v_a = v, v_b ≤ v for all b, v_b = v for t others b) / (t + 1)

    It is exact for every k. Votes (v_a) are multivariate hypergeometric, that is, independent binomials (n_a,
    k/n) given that they sum to k; so a product of polynomials for each v gives the chance of every t, and
    classes with fewer than v answers are one factor of it.

    See Self-Consistency Improves Chain of Thought Reasoning, Wang et al., 2022
    (https://arxiv.org/abs/2203.11171), for the vote.

    Args:
        counts: n_a: how often each class of answers was given (`tally`); classes are the grader's, not
            strings.
        correct: The classes that the grader accepts.
        k: Draws, from 1 to the number of samples.

    Raises:
        ValueError: k is not among 1 to n; a count is negative; None is called correct.
    """
    n = sum(counts.values())
    _check(counts, correct, k, n)
    votes = {label: count for label, count in counts.items() if label is not None and count > 0}
    blank = counts.get(None, 0)
    credit = 0.0
    for label in {label for label in votes if label in correct}:
        others = np.array([count for other, count in votes.items() if other != label], dtype=np.int64)
        credit += _expected_share(votes[label], others, blank, k)
    return min(max(credit, 0.0), 1.0)


def majority_scores(
    questions: Sequence[tuple[Mapping[Hashable | None, int], Collection[Hashable]]], k: int
) -> Array:
    """Return maj@k of each question, given as (counts, correct)."""
    return np.array([majority_at_k(counts, correct, k) for counts, correct in questions])


def _check(counts: Mapping[Hashable | None, int], correct: Collection[Hashable], k: int, n: int) -> None:
    if any(count < 0 or count != int(count) for count in counts.values()):
        raise ValueError(f"counts {dict(counts)} are not all whole numbers from 0")
    if None in correct:
        raise ValueError("None stands for no answer, which can't be correct")
    if k != int(k) or not 1 <= k <= n:
        raise ValueError(f"k={k} is not a number of draws from 1 to the question's {n} samples")


def _expected_share(own: int, others: Votes, blank: int, k: int) -> float:
    """Return the chance that a class with `own` answers wins, counting 1/(t + 1) for a tie with t others."""
    total = own + int(others.sum()) + blank
    share = k / total
    credit = 0.0
    for votes in range(1, min(own, k) + 1):
        rivals = others[others >= votes]
        below = blank + int(others[others < votes].sum())
        chances = _ties(rivals, below, votes, k - votes, share)
        credit += float(stats.binom.pmf(votes, own, share)) * float(
            (chances / np.arange(1, len(chances) + 1)).sum()
        )
    return credit / float(stats.binom.pmf(k, total, share))


def _ties(rivals: Votes, below: int, votes: int, rest: int, share: float) -> Array:
    """Return for each t the chance that others get `rest` votes, t of the rivals `votes` and none more.

    That is the coefficient of x^rest y^t in a product of polynomials with the chance of j votes at x^j, and y
    beside x^votes for a rival. It is evaluated at roots of unity, where equal rivals are a power.
    """
    size = below + votes * len(rivals) + 1
    if rest >= size:
        return np.zeros(1)
    most = min(len(rivals), rest // votes) + 1
    ties = np.exp(-2j * np.pi * np.arange(most) / most)
    product = np.fft.fft(stats.binom.pmf(np.arange(below + 1), below, share), size)[:, None]
    for count, times in zip(*np.unique(rivals, return_counts=True), strict=True):
        chances = stats.binom.pmf(np.arange(votes + 1), count, share)
        fewer, level = (
            np.fft.fft(chances[:-1], size),
            np.fft.fft(chances * (np.arange(votes + 1) == votes), size),
        )
        product = product * (fewer[:, None] + level[:, None] * ties) ** times
    turned = np.exp(2j * np.pi * rest * np.arange(size) / size)
    return np.asarray(np.fft.ifft(turned @ product / size).real)
