"""An evaluation that was stopped goes on: only what is missing is sampled, and the records are the same."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.grading import Grader, GraderConfig
from evaluation.policy import Policy
from evaluation.records import answers, read_header
from evaluation.runner import Request, evaluate
from tests.evaluation.asking import CONFIG, DATA, render, run, sums, ungraded

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from evaluation.grading import Grader, GraderConfig
from tests.evaluation.asking import run, sums

calls = 0

def dies(prompts, settings, seed):
    global calls
    calls += 1
    if calls == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return sums(prompts, settings, seed)

with Grader(GraderConfig(workers=1)) as grader:
    run(grader, dies, directory=Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(workers=1)) as grader:
        yield grader


def test_after_a_kill_only_what_is_missing_is_sampled(grader, tmp_path):
    whole = run(grader)
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert died.returncode == -signal.SIGKILL
    kept = list(answers(tmp_path))
    assert 7 <= len(kept) < len(whole.samples)
    assert not read_header(tmp_path).finished
    # ... and in the middle of a line.
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(b'{"suite": "tiny_')
    asked = []

    def count(prompts, settings, seed):
        asked.extend(prompts)
        return sums(prompts, settings, seed)

    resumed = run(grader, count, directory=tmp_path)
    assert len(asked) == len(whole.samples) - len(kept)
    assert ungraded(resumed) == ungraded(whole)
    assert resumed.header.suites == whole.header.suites


def test_a_finished_evaluation_is_not_sampled_again(grader, tmp_path):
    first = run(grader, directory=tmp_path)
    again = run(grader, lambda *_: pytest.fail("sampled again"), directory=tmp_path)
    assert again == first


def test_what_was_sampled_before_a_failure_is_kept(grader, tmp_path):
    def fails_late(prompts, settings, seed):
        if len(kept) == 3:
            raise MemoryError("no room")
        kept.append(prompts)
        return sums(prompts, settings, seed)

    kept = []
    with pytest.raises(MemoryError):
        run(grader, fails_late, directory=tmp_path)
    assert len(list(answers(tmp_path))) == sum(map(len, kept))
    assert ungraded(run(grader, directory=tmp_path)) == ungraded(run(grader))


@pytest.mark.parametrize(
    ("request_", "identity", "named"),
    [
        (Request(CONFIG, 2, DATA), {"model": "a"}, "seed"),
        (Request(replace(CONFIG, temperature=0.5), 1, DATA), {"model": "a"}, "protocol"),
        (Request(CONFIG, 1, DATA), {"model": "b"}, "policy"),
    ],
)
def test_another_evaluation_in_the_folder_is_left_alone(grader, tmp_path, request_, identity, named):
    evaluate(Policy(sums, render, {"model": "a"}), Request(CONFIG, 1, DATA), grader, tmp_path)
    before = (tmp_path / "samples.jsonl").read_bytes()
    with pytest.raises(ValueError, match=f"holds another evaluation, which differs in {named}"):
        evaluate(Policy(sums, render, identity), request_, grader, tmp_path)
    assert (tmp_path / "samples.jsonl").read_bytes() == before


def test_an_interruption_while_a_batch_is_recorded_does_not_record_it_twice(grader, tmp_path):
    told = []

    def interrupted(progress):
        told.append(progress)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(grader, directory=tmp_path, on_progress=interrupted)
    keys = [sample.key for sample in answers(tmp_path)]
    assert len(keys) == len(set(keys))
    assert ungraded(run(grader, directory=tmp_path)) == ungraded(run(grader))
