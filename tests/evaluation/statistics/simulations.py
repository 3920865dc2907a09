"""Repeated evaluations of known policies: `python -m tests.evaluation.statistics.simulations [REPEATS]`.

It prints the tables of docs/statistics.md: how often intervals hold the truth and how often tests see a
difference that is not there. Both policies of a pair are drawn alike, so that their true difference is 0.
"""

import sys
from functools import cache

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from evaluation.statistics.comparisons import bootstrap_interval, compare, mcnemar, sign_flip_p
from evaluation.statistics.equivalence import equivalence_test
from evaluation.statistics.exclusive import exclusive_solves
from evaluation.statistics.intervals import score_interval
from evaluation.statistics.majority import majority_at_k
from evaluation.statistics.pass_at_k import pass_at_k
from evaluation.statistics.scores import paired_difference

# Beta distributions of a question's solve rate: their means are 1/3, 9 % and 86 %.
AIME, AIME_HARD, GSM = (0.4, 0.8), (0.2, 2.0), (3.0, 0.5)


def solve_rates(generator, difficulty, shape):
    return np.clip(generator.beta(*difficulty, shape), 1e-9, 1 - 1e-9)


def earned_scores(generator, repeats, questions, samples, difficulty=AIME):
    """Return avg@k (repeat, question) of a policy and its true mean score."""
    rates = solve_rates(generator, difficulty, (repeats, questions))
    return generator.binomial(samples, rates) / samples, difficulty[0] / sum(difficulty)


def pass_scores(generator, repeats, questions, samples, k, difficulty=AIME):
    """Return pass@k (repeat, question) and its true mean: 1 − Π (b + i)/(a + b + i) for Beta(a, b)."""
    scores, _ = earned_scores(generator, repeats, questions, samples, difficulty)
    a, b = difficulty
    missed = np.prod((b + np.arange(k)) / (a + b + np.arange(k)))
    return pass_at_k(np.full(scores.shape, samples), np.rint(scores * samples), k), 1 - missed


@cache
def _majority_table(samples, k):
    """Return maj@k by the number of correct answers; others are in two wrong classes or none."""
    rows = []
    for correct in range(samples + 1):
        wrong = samples - correct
        counts = {"right": correct, "wrong": wrong // 2, "other": wrong // 4}
        counts[None] = samples - sum(counts.values())
        rows.append(majority_at_k(counts, {"right"}, k))
    return np.array(rows)


def majority_scores(generator, repeats, questions, samples, k):
    """Return maj@k (repeat, question), the truth being its mean over very many questions."""
    table = _majority_table(samples, k)
    rates = solve_rates(generator, AIME, 400_000)
    truth = table[generator.binomial(samples, rates)].mean()
    scores, _ = earned_scores(generator, repeats, questions, samples)
    return table[np.rint(scores * samples).astype(int)], truth


def pairs(generator, repeats, questions, samples, *, shift=0.5, seeds=1, of_seed=0.0, difficulty=AIME):
    """Return two arrays (repeat, seed, question) of policies with equal true scores.

    The logit of a solve rate is that of the question, plus a part for the question and policy (standard
    deviation `shift`; 0.5 makes the between-question variance of the difference 0.01) and one for the seed
    and policy (`of_seed`; 0.1 is 1.2 points).
    """
    base = logit(solve_rates(generator, difficulty, (repeats, 1, questions)))
    arms = []
    for _ in range(2):
        own = generator.normal(0, shift, (repeats, 1, questions))
        trained = generator.normal(0, of_seed, (repeats, seeds, 1))
        arms.append(generator.binomial(samples, expit(base + own + trained)) / samples)
    return arms


def covered(scores, truth):
    """Return the share of evaluations whose `score_interval` holds the truth."""
    intervals = [score_interval([one[None]]) for one in scores]
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def compared(ours, theirs):
    """Return the coverage of `compare`'s interval, and how often it sees a difference."""
    found = [compare([first], [second]) for first, second in zip(ours, theirs, strict=True)]
    covering = np.mean([each.interval.low <= 0 <= each.interval.high for each in found])
    return float(covering), float(np.mean([each.p <= 0.05 for each in found]))


def bootstrapped(scores, truth, resamples=1999):
    """Return the coverage of `bootstrap_interval`; scores are a list of (repeat, question), one a suite."""
    hits = 0
    for repeat in range(len(scores[0])):
        suites = [suite[repeat][None] for suite in scores]
        interval = bootstrap_interval(suites, resamples=resamples, seed=repeat)
        hits += interval.low <= truth <= interval.high
    return hits / len(scores[0])


def flipped(ours, theirs, resamples=999):
    """Return how often the sign-flip test sees a difference."""
    both = enumerate(zip(ours, theirs, strict=True))
    return float(np.mean([sign_flip_p([a], [b], resamples=resamples, seed=i) <= 0.05 for i, (a, b) in both]))


def discordant(generator, repeats, questions, rate):
    """Return the share of false alarms of exact McNemar where `rate` of the questions are discordant."""
    codes = generator.random((repeats, questions))
    ours, theirs = (codes < rate / 2).astype(float), ((codes >= rate / 2) & (codes < rate)).astype(float)
    found = [mcnemar(first, second).p <= 0.05 for first, second in zip(ours, theirs, strict=True)]
    return float(np.mean(found))


def called_equivalent(generator, repeats, questions, samples, margin=0.05):
    """Return how often policies that differ by exactly the margin are called equivalent: at most 5 %."""
    ours, theirs = pairs(generator, repeats, questions, samples)
    scores = [paired_difference([a + margin], [b]) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean([equivalence_test(score, margin).p <= 0.05 for score in scores]))


def any_level(generator, repeats, questions=500, levels=5):
    """Return how often some level's Holm p, and the test between levels, see what is not there."""
    ours, theirs = pairs(generator, repeats, questions, 1, shift=1.0)
    of = list(np.arange(questions) % levels)
    found = [exclusive_solves(a[0], b[0], of) for a, b in zip(ours, theirs, strict=True)]
    smallest = [min(row.p_holm for row in each.levels) <= 0.05 for each in found]
    return float(np.mean(smallest)), float(np.mean([each.p_levels_differ <= 0.05 for each in found]))


def crossed(generator, repeats, seeds, questions, samples, of_seed):
    """Return `compare`'s coverage and false alarms for methods with several seeds."""
    return compared(*pairs(generator, repeats, questions, samples, seeds=seeds, of_seed=of_seed))


def scipy_bootstrap(scores, truth, method, resamples=999):
    """Return the coverage of scipy's own intervals of a mean."""
    hits = 0
    for repeat, one in enumerate(scores):
        found = stats.bootstrap(
            (one,), np.mean, n_resamples=resamples, method=method, rng=np.random.default_rng(repeat)
        ).confidence_interval
        hits += found.low <= truth <= found.high
    return hits / len(scores)


def of_scores(generator, repeats):
    """Yield what an interval is of, and its coverage."""
    few = max(repeats // 2, 1)
    yield "avg@32, 30 questions (t)", covered(*earned_scores(generator, repeats, 30, 32))
    yield (
        "avg@32, 30 hard questions (t, effective Wilson)",
        covered(*earned_scores(generator, repeats, 30, 32, AIME_HARD)),
    )
    yield (
        "avg@32, 30 easy questions (t, effective Wilson)",
        covered(*earned_scores(generator, repeats, 30, 32, GSM)),
    )
    yield "avg@4, 500 easy questions (t)", covered(*earned_scores(generator, repeats, 500, 4, GSM))
    yield "one answer, 500 questions (Wilson)", covered(*earned_scores(generator, repeats, 500, 1))
    yield "one answer, 30 questions (Wilson)", covered(*earned_scores(generator, repeats, 30, 1))
    yield "pass@8 of 32, 30 questions", covered(*pass_scores(generator, repeats, 30, 32, 8))
    yield "pass@8 of 16, 500 questions", covered(*pass_scores(generator, repeats, 500, 16, 8))
    yield "maj@8 of 32, 30 questions", covered(*majority_scores(generator, repeats, 30, 32, 8))
    differences = np.subtract(*pairs(generator, few, 30, 32))[:, 0]
    yield "difference of avg@32, 30 questions, bootstrap_interval", bootstrapped([differences], 0.0)
    for method in ("percentile", "BCa"):
        yield f"the same, plain {method} bootstrap", scipy_bootstrap(differences, 0.0, method)


def of_pairs(generator, repeats):
    """Yield the design, the coverage of the difference's interval, and how often it sees one."""
    for questions, samples, test in ((30, 32, "t"), (500, 4, "t"), (30, 1, "McNemar"), (500, 1, "McNemar")):
        both = compared(*pairs(generator, repeats, questions, samples))
        yield f"{questions} questions x {samples}, 1 seed ({test})", *both
    for seeds in (2, 3, 5):
        for of_seed, points in ((0.05, 0.6), (0.1, 1.2), (0.2, 2.4)):
            both = crossed(generator, repeats, seeds, 500, 4, of_seed)
            yield f"500 questions x 4, {seeds} seeds that differ by about {points} points (t)", *both


def of_tests(generator, repeats):
    """Yield a test and how often it sees what is not there."""
    few = max(repeats // 4, 1)
    yield "sign flips, 30 questions x 32", flipped(*pairs(generator, few, 30, 32))
    yield "exact McNemar, 500 discordant questions expected", discordant(generator, repeats, 1000, 0.5)
    yield (
        "equivalence at the margin .10, 30 questions x 32",
        called_equivalent(generator, repeats, 30, 32, 0.1),
    )
    some_level, levels_differ = any_level(generator, max(repeats // 10, 1))
    yield "some of 5 levels, exact McNemar with Holm", some_level
    yield "5 levels differ", levels_differ


def main(repeats):
    """Print the tables."""
    tables = [
        ("95 % interval of", ["coverage"], of_scores),
        ("difference between equal policies", ["coverage", "false alarms"], of_pairs),
        ("test at the level of 5 %", ["false alarms"], of_tests),
    ]
    for title, columns, rows in tables:
        lines = [[title, *columns], ["---"] * (1 + len(columns))]
        for name, *values in rows(np.random.default_rng(1), repeats):
            lines.append([name, *(f"{100 * value:.1f} %" for value in values)])
        sys.stdout.write("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
