"""An answer that cannot be graded costs nothing but itself."""

import json
from dataclasses import replace

import pytest

from evaluation.grading import Grader, GraderConfig
from evaluation.policy import Generated
from evaluation.records import read_evaluation
from tests.evaluation.asking import CONFIG, run, sums, ungraded


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(workers=1)) as grader:
        yield grader


@pytest.mark.parametrize("answer", ["two", ["2", "two"]])
def test_answers_are_graded_against_the_gold_column(grader, tmp_path, answer):
    row = {"id": "0", "problem": "1+1", "answer": answer}
    (tmp_path / "add2.jsonl").write_text(json.dumps(row) + "\n")
    config = replace(CONFIG, suites=("tiny_add2",), samples=2)
    result = run(
        grader,
        lambda *_: [Generated(rf"\boxed{{{text}}}", 1, False) for text in ("two", "1+3")],
        config,
        data=tmp_path,
    )
    assert [sample.outcome for sample in result.samples] == ["correct", "wrong"]


POISON = [
    r"\boxed{9^{9^{9^{9^9}}}}",
    r"\boxed{\frac{",
    "\\boxed{" * 2000,
    "<think> 1 \\boxed{2}",
    "",
    "\x00\u202e\\boxed{½√}",
    r"\boxed{(10^{400})!}",
    r"\boxed{{{ problem }}}",
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_a_poisoned_answer_does_not_change_its_neighbours(grader, poison):
    def poisoned(prompts, settings, seed):
        generated = list(sums(prompts, settings, seed))
        generated[1] = generated[1]._replace(text=poison)
        return generated

    clean, result = run(grader), run(grader, poisoned)
    for before, after in zip(ungraded(clean), ungraded(result), strict=True):
        if after.response == poison:
            assert after.outcome in ("wrong", "unparseable", "timeout", "error")
        else:
            assert after == before
    assert [sample.response for sample in result.samples].count(poison) == 8


class BreakingGrader(Grader):
    """A grader with a defect: one answer raises."""

    def grade(self, response, gold):
        if "break" in response:
            raise RecursionError("defect")
        return super().grade(response, gold)


def test_an_exception_in_grading_is_the_outcome_of_that_answer_alone(grader, caplog):
    def one_breaks(prompts, settings, seed):
        generated = list(sums(prompts, settings, seed))
        generated[2] = generated[2]._replace(text="break \\boxed{1}")
        return generated

    with BreakingGrader(GraderConfig(workers=1)) as breaking:
        result = run(breaking, one_breaks)
    for before, after in zip(ungraded(run(grader)), ungraded(result), strict=True):
        if after.response.startswith("break"):
            assert (after.outcome, after.extracted) == ("error", None)
        else:
            assert after == before
    assert "RecursionError" in caplog.text


def test_an_answer_without_a_verdict_is_left_out_of_both_averages(grader, tmp_path):
    def first_breaks(prompts, settings, seed):
        texts = ["break", r"\boxed{1}", r"\boxed{0}", r"\boxed{1}"]
        return [Generated(text, 1, False) for text in texts[: len(prompts)]]

    rows = [{"id": str(n), "problem": "0+1", "answer": "1"} for n in range(2)]
    (tmp_path / "add2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = replace(CONFIG, suites=("tiny_add2",), samples=4, batch_size=4)
    with BreakingGrader(GraderConfig(workers=1)) as breaking:
        result = run(breaking, first_breaks, config, data=tmp_path)
        folder = tmp_path / "lost"
        lost = run(
            breaking, lambda *_: [Generated("break", 1, False)] * 4, config, data=tmp_path, directory=folder
        )
    assert result.suites["tiny_add2"].avg_at_k == pytest.approx(2 / 3)
    assert lost.suites["tiny_add2"].avg_at_k is None
    assert lost.suites["tiny_add2"].questions == 2
    assert read_evaluation(folder) == lost.header
