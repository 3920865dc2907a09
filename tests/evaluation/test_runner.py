import hashlib
import json
import logging
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest

from evaluation.grading import Grader, GraderConfig, grader_version
from evaluation.policy import Generated, batch_seed
from tests.evaluation.asking import CONFIG, questions, render, run, sums, ungraded


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(workers=1)) as grader:
        yield grader


def test_the_record_has_every_sample_of_every_question(grader):
    result = run(grader)
    expected = [
        (suite, row["id"], sample)
        for suite in CONFIG.suites
        for row in questions(suite)
        for sample in range(4)
    ]
    assert sorted(sample.key for sample in result.samples) == sorted(expected)
    assert {name: (info.version, info.questions) for name, info in result.suites.items()} == {
        "tiny_add2": ("1", 6),
        "tiny_add3": ("1", 6),
    }


def test_each_sample_holds_what_was_asked_answered_and_graded(grader):
    seen = {}

    def remember(prompts, settings, seed):
        generated = sums(prompts, settings, seed)
        for prompt, answer in zip(prompts, generated, strict=True):
            seen[answer.text] = (prompt, answer)
        return generated

    rows = {row["id"]: row for suite in CONFIG.suites for row in questions(suite)}
    result = run(grader, remember)
    for sample in result.samples:
        prompt, answer = seen[sample.response]
        row = rows[sample.question]
        assert prompt == render(row["problem"])
        assert sample.prompt_sha256 == hashlib.sha256(prompt.encode()).hexdigest()
        assert (sample.tokens, sample.truncated) == (answer.tokens, answer.truncated)
        assert sample.extracted == re.search(r"boxed\{(\d+)\}", sample.response)[1]
        assert (sample.outcome == "correct") == (sample.extracted == row["answer"])
        assert (sample.golds, sample.task_version) == ((row["answer"],), "1")
        assert sample.grader_version == grader_version()
        assert sample.seconds > 0
    assert {sample.outcome for sample in result.samples} == {"correct", "wrong"}
    assert len({sample.truncated for sample in result.samples}) == 2


def test_the_samples_of_a_question_are_distinct_draws(grader):
    result = run(grader)
    assert len({sample.response for sample in result.samples}) == len(result.samples)


def test_the_seed_reproduces_and_changes_the_answers(grader):
    first = run(grader, seed=1)
    assert ungraded(run(grader, seed=1)) == ungraded(first)
    assert not {s.response for s in run(grader, seed=2).samples} & {s.response for s in first.samples}


def test_a_suite_does_not_depend_on_the_others_or_their_order(grader):
    alone = run(grader, config=replace(CONFIG, suites=("tiny_add3",)))
    among = run(grader, config=replace(CONFIG, suites=("tiny_add4", "tiny_add3", "tiny_add2")))
    assert ungraded(alone) == [sample for sample in ungraded(among) if sample.suite == "tiny_add3"]


def test_seeds_of_batches_differ_by_seed_suite_and_number():
    seeds = {batch_seed(s, suite, n) for s in (0, 1) for suite in ("a", "b") for n in range(3)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_header_says_what_the_samples_came_to(grader):
    result = run(grader)
    for suite, info in result.suites.items():
        own = [sample for sample in result.samples if sample.suite == suite]
        outcomes = [sample.outcome for sample in own]
        assert info.avg_at_k == pytest.approx(outcomes.count("correct") / len(outcomes))
        assert 0 < info.avg_at_k < 1
        by_question = defaultdict(list)
        for sample in own:
            by_question[sample.question].append(sample.outcome == "correct")
        shares = [fmean(marks) for marks in by_question.values()]
        assert info.standard_error == pytest.approx(stdev(shares) / len(shares) ** 0.5)
        assert (info.outcomes["correct"], info.outcomes["timeout"]) == (outcomes.count("correct"), 0)
        assert info.truncated == sum(sample.truncated for sample in own)
        assert info.tokens == sum(sample.tokens for sample in own)


def test_limit_asks_the_first_questions(grader):
    result = run(grader, config=replace(CONFIG, limit=2, samples=1))
    assert sorted(sample.question for sample in result.samples) == ["add2/0", "add2/1", "add3/0", "add3/1"]
    assert result.suites["tiny_add2"].questions == 2


def test_batches_are_full_sorted_and_passed_the_protocol(grader):
    calls = []

    def spy(prompts, settings, seed):
        calls.append((list(map(len, prompts)), settings))
        return sums(prompts, settings, seed)

    config = replace(CONFIG, suites=("tiny_add2",), samples=1, batch_size=4, temperature=0.0)
    progress = []
    run(grader, spy, config, on_progress=lambda told: progress.append((told.samples, told.of)))
    assert [len(lengths) for lengths, _ in calls] == [4, 2]
    assert all(settings == config for _, settings in calls)
    assert progress == [(4, 6), (6, 6)]


def test_long_prompts_come_first_and_answers_go_back_to_their_questions(grader, tmp_path):
    rows = [{"id": str(n), "problem": f"{10**n}+1", "answer": str(10**n + 1)} for n in (1, 5, 3)]
    (tmp_path / "add2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = []

    def exact(prompts, settings, seed):
        asked.extend(prompts)
        totals = [sum(map(int, re.findall(r"\d+", prompt))) for prompt in prompts]
        return [Generated(rf"\boxed{{{total}}}", 1, False) for total in totals]

    config = replace(CONFIG, suites=("tiny_add2",), samples=2, batch_size=3)
    result = run(grader, exact, config, data=tmp_path)
    assert [len(prompt) for prompt in asked] == sorted(map(len, asked), reverse=True)
    assert result.suites["tiny_add2"].avg_at_k == 1


def test_an_exception_in_the_policy_fails_the_evaluation(grader):
    def out_of_memory(prompts, settings, seed):
        raise MemoryError("no room for the batch")

    with pytest.raises(MemoryError, match="no room"):
        run(grader, out_of_memory)


def test_a_policy_that_loses_an_answer_fails_the_evaluation(grader):
    with pytest.raises(ValueError, match="shorter"):
        run(grader, lambda prompts, settings, seed: sums(prompts, settings, seed)[1:])


def test_global_random_states_and_logging_are_left_alone(grader, capfd):
    state, level = random.getstate(), logging.getLogger("lm_eval").level
    run(grader)
    assert random.getstate() == state
    assert logging.getLogger("lm_eval").level == level
    assert capfd.readouterr() == ("", "")


def test_evaluation_works_from_any_folder_and_leaves_no_cache(tmp_path):
    root = Path(__file__).parents[2]
    program = (
        "from evaluation.grading import Grader\n"
        "from tests.evaluation.asking import run\n"
        "with Grader() as grader: print(len(run(grader).samples))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("48\n", "")
    assert list(tmp_path.iterdir()) == []
