import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from evaluation.statistics.majority import majority_at_k, majority_scores, tally


def enumerated(counts, correct, k):
    """Return the mean credit over all draws of k samples."""
    answers = [label for label, count in counts.items() for _ in range(count)]
    credits = []
    for draw in combinations(answers, k):
        votes = Counter(label for label in draw if label is not None)
        first = [label for label, count in votes.items() if count == max(votes.values())]
        credits.append(sum(label in correct for label in first) / len(first) if first else 0.0)
    return sum(credits) / len(credits)


def worlds():
    generator = np.random.default_rng(3)
    for _ in range(60):
        counts = dict(zip([*"abcd", None], generator.integers(0, 5, 5).tolist(), strict=True))
        if 0 < sum(counts.values()) <= 13:
            correct = {label for label in "abcd" if generator.random() < 0.4}
            yield counts, correct, int(generator.integers(1, sum(counts.values()) + 1))


@pytest.mark.parametrize(("counts", "correct", "k"), worlds())
def test_it_equals_the_enumeration_of_all_draws(counts, correct, k):
    assert majority_at_k(counts, correct, k) == pytest.approx(enumerated(counts, correct, k), abs=1e-12)


def test_all_samples_vote_once():
    assert majority_at_k({"a": 5, "b": 4, None: 20}, {"a"}, 29) == pytest.approx(1, abs=1e-12)
    assert majority_at_k({"a": 5, "b": 5, "c": 5, "d": 2}, {"a", "d"}, 17) == pytest.approx(1 / 3, abs=1e-12)


def test_one_draw_is_the_average_and_no_answer_takes_a_draw():
    assert majority_at_k({"a": 2, "b": 4, None: 2}, {"a"}, 1) == pytest.approx(0.25)
    # Two draws of a, None: the vote is a's alone.
    assert majority_at_k({"a": 1, None: 1}, {"a"}, 2) == pytest.approx(1.0)
    assert majority_at_k({None: 7}, {"a"}, 3) == 0.0


def test_several_correct_classes_add_up():
    counts = {"1/2": 3, "0.5": 2, "2": 4}
    whole = majority_at_k(counts, {"1/2", "0.5"}, 5)
    assert whole == pytest.approx(majority_at_k(counts, {"1/2"}, 5) + majority_at_k(counts, {"0.5"}, 5))
    assert whole == pytest.approx(1 - majority_at_k(counts, {"2"}, 5))


def test_the_chances_of_all_classes_are_one_for_thousands_of_samples():
    counts = {"a": 420, "b": 400} | {f"c{i}": 1 + i % 4 for i in range(400)}
    counts[None] = 2048 - sum(counts.values())
    assert sum(majority_at_k(counts, {label}, 256) for label in ("a", "b")) == pytest.approx(1, abs=1e-9)


def test_it_agrees_with_random_draws_where_enumeration_is_too_long():
    counts = np.array([60, 55, 20, 13])
    draws = np.random.default_rng(1).multivariate_hypergeometric(counts, 32, 40_000)
    most = draws[:, :3].max(axis=1, keepdims=True)
    first = draws[:, :3] == most
    expected = first[:, 1] / first.sum(axis=1)
    value = majority_at_k({"a": 60, "b": 55, "c": 20, None: 13}, {"b"}, 32)
    assert value == pytest.approx(expected.mean(), abs=4 * expected.std() / math.sqrt(40_000))


@pytest.mark.parametrize("k", [0, 6, 2.5])
def test_more_draws_than_samples_are_refused_naming_both(k):
    with pytest.raises(ValueError, match=f"k={k} .*5 samples"):
        majority_at_k({"a": 3, None: 2}, {"a"}, k)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="-1"):
        majority_at_k({"a": 3, "b": -1}, {"a"}, 1)
    with pytest.raises(ValueError, match="None"):
        majority_at_k({"a": 3}, {None}, 1)


def test_labels_are_tallied_and_questions_scored():
    counts = tally(["a", "b", None, "a"])
    assert counts == {"a": 2, "b": 1, None: 1}
    np.testing.assert_allclose(majority_scores([(counts, {"a"}), (counts, {"b"})], 4), [1, 0], atol=1e-12)
