"""The numbers of comparisons, worked by hand."""

import math

import pytest

from evaluation.comparing.cells import compare_pairs
from evaluation.comparing.methods import ComparisonError, read_method
from evaluation.comparing.metrics import Metric, parse_metric, solved
from evaluation.comparing.pairing import pair
from evaluation.comparing.solves import pair_solves
from tests.evaluation.comparing.planted import Planted

IN, OUT = "in_distribution", "out_of_distribution"
AVG = Metric("avg")


def method(tmp_path, name, *runs):
    folders = [run.write(tmp_path / f"{name}-{number}") for number, run in enumerate(runs)]
    return read_method(name, folders)


def compared(tmp_path, baseline, *others, metric=AVG, margin=None):
    """Compare suites given as words, or runs, or lists of runs."""

    def runs(value):
        if isinstance(value, dict):
            value = Planted(value)
        return value if isinstance(value, list) else [value]

    first = method(tmp_path, "base", *runs(baseline))
    pairs = [
        pair(first, method(tmp_path, f"other{number}", *runs(other))) for number, other in enumerate(others)
    ]
    return compare_pairs(pairs, metric, margin)


def t3(t):
    """Two-sided p of Student's t with 3 degrees of freedom."""
    x = abs(t) / math.sqrt(3)
    return 1 - 2 / math.pi * (x / (1 + x**2) + math.atan(x))


def test_one_answer_a_question(tmp_path):
    # Differences 0, 1, 1, 0: mean 1/2, variance 1/3. McNemar: 2 of 2 discordant, p = 2/4.
    (cell,) = compared(tmp_path, {"add": "c w w w"}, {"add": "c c c w"})
    assert (cell.theirs, cell.ours) == (0.25, 0.75)
    assert cell.comparison.difference.mean == 0.5
    assert cell.comparison.difference.standard_error == pytest.approx(math.sqrt(1 / 12))
    assert (cell.comparison.p, cell.comparison.test) == (pytest.approx(0.5), "exact McNemar")
    assert (cell.comparison.only_ours, cell.comparison.only_theirs, cell.comparison.questions) == (2, 0, 4)
    assert cell.comparison.interval.low == pytest.approx(0.5 - 3.182446 / math.sqrt(12), abs=1e-6)
    assert (cell.family, cell.title, cell.verdict) == ("primary", "add", "not told apart")


def test_several_answers_a_question(tmp_path):
    # avg@2: 1/2 0 1 1/2 and 1 1/2 1 0; differences 1/2 1/2 0 -1/2, mean 1/8, sum of squares 11/16.
    (cell,) = compared(tmp_path, {"add": "cw ww cc cw"}, {"add": "cc cw cc ww"})
    error = math.sqrt(11 / 16 / 3 / 4)
    assert (cell.theirs, cell.ours) == (0.5, 0.625)
    assert cell.comparison.difference.standard_error == pytest.approx(error)
    assert (cell.comparison.p, cell.comparison.test) == (pytest.approx(t3(0.125 / error)), "t")
    assert (cell.comparison.only_ours, cell.comparison.only_theirs) == (2, 1)


@pytest.mark.parametrize(
    ("metric", "theirs", "ours"),
    [
        # pass@2 of 3: 1 - C(wrong, 2)/3.  c = 1: 2/3;  c = 2: 1;  c = 0: 0.
        ("pass@2", [2 / 3, 0], [1, 2 / 3]),
        ("pass@3", [1, 0], [1, 1]),
        # maj@3: cwx is a tie of three, cww is lost, ccw won.
        ("maj@3", [1 / 3, 0], [1, 0]),
        # maj@2, each of three draws: cwx ties twice and loses once; ccw wins once and ties twice; cww ties
        # twice and loses once.
        ("maj@2", [1 / 3, 0], [2 / 3, 1 / 3]),
    ],
)
def test_other_metrics(tmp_path, metric, theirs, ours):
    baseline, other = {"add": "cwx www"}, {"add": "ccw cww"}
    (cell,) = compared(tmp_path, baseline, other, metric=parse_metric(metric))
    assert cell.theirs == pytest.approx(sum(theirs) / 2)
    assert cell.ours == pytest.approx(sum(ours) / 2)


@pytest.mark.parametrize("text", ["", "avg@8", "pass", "pass@0", "pass@x", "maj@-1", "pass@1.5", "best"])
def test_an_unknown_metric_is_refused(text):
    with pytest.raises(ComparisonError, match="none of avg, pass@K and maj@K"):
        parse_metric(text)


def test_suites_with_too_few_answers_have_no_score(tmp_path):
    words = {"add": "cw cw", "sub": "c w"}
    (cell,) = compared(tmp_path, words, words, metric=parse_metric("pass@2"))
    assert cell.title == "add"
    with pytest.raises(ComparisonError, match=r"no question has a score of pass@3 .* smaller K"):
        compared(tmp_path / "more", words, words, metric=parse_metric("pass@3"))


def test_numbers_of_answers_may_differ(tmp_path):
    (cell,) = compared(tmp_path, {"add": "c w"}, {"add": "ccww cccw"})
    assert (cell.theirs, cell.ours) == (0.5, 0.625)


def test_questions_without_a_verdict_are_left_out_of_both(tmp_path):
    # The third question has no verdict in the baseline, so that the other's success there does not count.
    (cell,) = compared(tmp_path, {"add": "c w e w"}, {"add": "c w c c"})
    assert (cell.left_out, cell.comparison.questions) == (1, 3)
    assert (cell.theirs, cell.ours) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert cell.comparison.difference.mean == pytest.approx(1 / 3)


def test_averages_have_equal_weights_and_are_the_primary_family(tmp_path):
    splits = {"add": IN, "sub": IN, "far": OUT}
    baseline = Planted({"add": "w w w w", "sub": "w w", "far": "w w"}, splits=splits)
    other = Planted({"add": "c w w w", "sub": "c w", "far": "c c"}, splits=splits)
    cells = {cell.title: cell for cell in compared(tmp_path, baseline, other)}
    assert {title: cell.family for title, cell in cells.items()} == {
        "add": "suites",
        "sub": "suites",
        "far": "primary",
        "average in distribution": "primary",
    }
    average = cells["average in distribution"]
    # (1/4 + 1/2)/2, where all six questions together are at 1/3.
    assert average.comparison.difference.mean == pytest.approx(3 / 8)
    assert average.suites == ("add", "sub")
    assert average.comparison.questions == 6


def test_suites_on_no_side_have_an_average_of_their_own(tmp_path):
    words = {"add": "c w", "sub": "w w", "mul": "w w", "div": "w w"}
    splits = {"add": IN, "sub": IN}
    cells = compared(tmp_path, *[Planted(words, splits=splits)] * 2)
    assert [cell.title for cell in cells if cell.is_average] == [
        "average in distribution",
        "average of other suites",
    ]
    cells = compared(tmp_path / "unmarked", words, words)
    assert [cell.suites for cell in cells if cell.is_average] == [("add", "sub", "mul", "div")]


def test_what_another_suite_contains_is_in_no_average(tmp_path):
    words = {"aime24": "c w", "amc23": "c w", "amc83": "w w"}
    cells = compared(tmp_path, words, words)
    assert [cell.title for cell in cells] == ["aime24", "amc23", "amc83", "average"]
    assert cells[-1].suites == ("aime24", "amc83")


def test_p_values_are_corrected_over_all_comparisons(tmp_path):
    # McNemar with only gains: 2/2^b. b = 8: 1/128, b = 6: 1/32. Holm: 2/128 and 1/32.
    first, second = compared(
        tmp_path,
        {"add": " ".join("wwwwwwww")},
        {"add": " ".join("cccccccc")},
        {"add": " ".join("ccccccww")},
    )
    assert (first.comparison.p, second.comparison.p) == (pytest.approx(1 / 128), pytest.approx(1 / 32))
    assert (first.p_holm, second.p_holm) == (pytest.approx(1 / 64), pytest.approx(1 / 32))
    assert (first.verdict, second.verdict) == ("higher", "higher")


def test_a_verdict_is_the_corrected_tests(tmp_path):
    # Alone, 1/32 would be below 5 %; twice, it is 1/16.
    cells = compared(
        tmp_path,
        {"add": " ".join("wwwwwwcc")},
        {"add": " ".join("cccccccc")},
        {"add": " ".join("cccccccc")},
    )
    assert [cell.comparison.p for cell in cells] == [pytest.approx(1 / 32)] * 2
    assert [cell.verdict for cell in cells] == ["not told apart"] * 2
    (alone,) = compared(tmp_path / "alone", {"add": " ".join("cccccccc")}, {"add": " ".join("wwwwwwcc")})
    assert alone.verdict == "lower"


def test_without_spread_nothing_is_tested(tmp_path):
    (cell,) = compared(tmp_path, {"add": "cw cw"}, {"add": "cc cc"}, margin=0.01)
    assert cell.comparison.difference.mean == 0.5
    assert (cell.verdict, cell.equivalence_verdict) == ("not tested", "not tested")
    assert math.isnan(cell.comparison.interval.low)


def test_equivalence_is_tested_against_the_margin_and_corrected(tmp_path):
    # Differences of 1/2 and -1/2 in turn over 40 questions: mean 0, SE = sqrt(40/4/39/40) = 0.0801.
    even, odd = " ".join(["cc", "cw"] * 20), " ".join(["cw", "cc"] * 20)
    (cell,) = compared(tmp_path, {"add": even}, {"add": odd}, margin=0.2)
    assert cell.equivalence.margin == 0.2
    assert cell.equivalence_verdict == "equivalent"
    (narrow,) = compared(tmp_path / "narrow", {"add": even}, {"add": odd}, margin=0.05)
    assert narrow.equivalence_verdict == "undecided"
    # At a margin of 0.15 p = P(t39 > 0.15/0.0801) = 0.034, and twice that for two tests.
    (one,) = compared(tmp_path / "one", {"add": even}, {"add": odd}, margin=0.15)
    assert one.p_equivalent_holm == pytest.approx(0.0343, abs=2e-4)
    two = compared(tmp_path / "two", {"add": even}, {"add": odd}, {"add": odd}, margin=0.15)
    assert [cell.p_equivalent_holm for cell in two] == [pytest.approx(2 * one.p_equivalent_holm)] * 2
    assert [cell.equivalence_verdict for cell in two] == ["undecided"] * 2


def test_a_difference_that_is_certain_and_matters_is_different(tmp_path):
    (cell,) = compared(tmp_path, {"add": " ".join("wwwwwwwc")}, {"add": " ".join("cccccccc")}, margin=0.01)
    assert (cell.verdict, cell.equivalence_verdict) == ("higher", "different")


def test_seeds_are_paired_by_number_whatever_their_order(tmp_path):
    # Seed 0 gains the second question, seed 1 none. Paired the other way, one seed would gain the first, and
    # one gain the second and lose the first.
    baseline = [Planted({"add": "w w w w"}, seed=0), Planted({"add": "c w w w"}, seed=1)]
    other = [Planted({"add": "c w w w"}, seed=1), Planted({"add": "w c w w"}, seed=0)]
    (cell,) = compared(tmp_path, baseline, other)
    assert cell.comparison.seeds == 2
    assert cell.comparison.difference.mean == pytest.approx(1 / 8)
    assert cell.comparison.test == "t"
    # Question means 0, 1/2, 0, 0: V_question = (1/16)/4. Seed means 1/4, 0: V_seed = (1/32)/2. What is left
    # are 3/8 and -1/8 three times, and their negatives: V_rest = (3/8)/24. Each is 1/64, and so is SE².
    assert cell.comparison.difference.standard_error == pytest.approx(1 / 8)


def test_solved_is_more_than_half_of_all_answers(tmp_path):
    found = method(
        tmp_path,
        "base",
        Planted({"add": "cc cw cw ee ee"}, seed=0),
        Planted({"add": "ww cc cw ee cc"}, seed=1),
    )
    names = tuple(found.runs[0].answers["add"].questions)
    # 2 of 4, 3 of 4, 2 of 4, none graded, 2 of 2.
    assert solved(found, "add", names).tolist()[:3] == [0, 1, 0]
    assert math.isnan(solved(found, "add", names)[3])
    assert solved(found, "add", names)[4] == 1


def test_exclusive_solves_by_level(tmp_path):
    levels = {"math": "10 2 2 2 2 2 2 10"}
    baseline = method(tmp_path, "base", Planted({"math": "c w w w w w w w", "add": "c"}, levels=levels))
    other = method(tmp_path, "other", Planted({"math": "w c c c c c c w", "add": "w"}, levels=levels))
    (found,) = pair_solves([pair(baseline, other)])
    assert found.suite == "math"
    first, second = found.found.levels
    # Numbers, not text: 2 is before 10. Six gains: 2/2^6 = 1/32, one loss: 1. Holm over two levels: 1/16.
    assert (first.level, first.questions, first.only_ours, first.only_theirs) == (2, 6, 6, 0)
    assert (first.p, first.p_holm) == (pytest.approx(1 / 32), pytest.approx(1 / 16))
    assert (second.level, second.questions, second.only_ours, second.only_theirs) == (10, 2, 0, 1)
    assert (found.found.overall.only_ours, found.found.overall.only_theirs) == (6, 1)


def test_questions_without_a_level_are_counted_apart(tmp_path):
    levels = {"math": "1 -"}
    baseline = method(tmp_path, "base", Planted({"math": "c w"}, levels=levels))
    other = method(tmp_path, "other", Planted({"math": "c c"}, levels=levels))
    (found,) = pair_solves([pair(baseline, other)])
    counts = [(row.level, row.only_ours, row.only_theirs) for row in found.found.levels]
    assert counts == [("1", 0, 0), ("untold", 1, 0)]
