"""What an evaluation costs: memory that does not grow with samples, and the time of lm-eval's own run."""

import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from lm_eval.evaluator import evaluate as evaluate_by_lm_eval
from lm_eval.models.huggingface import HFLM

from evaluation.backends.hf import HfModel
from evaluation.backends.model import ModelConfig
from evaluation.config import EvalConfig
from evaluation.grading import Grader, GraderConfig
from evaluation.policy import Generated, Policy
from evaluation.runner import Request, evaluate
from evaluation.suites import contained, load_suites
from tests.evaluation.asking import DATA, render

TINY = Path(__file__).parents[2] / "studies" / "scales" / "tiny"
SUITES = ("tiny_add2", "tiny_subtract2")
LONG = 4000


@pytest.fixture
def grader():
    with Grader(GraderConfig(workers=1)) as grader:
        grader.grade(r"\boxed{x+1}", "1+x")
        yield grader


def long_answers(prompts, settings, seed):
    return [Generated(f"{seed} {n} " + "x" * LONG + r"\boxed{1}", 9, False) for n in range(len(prompts))]


def test_memory_does_not_grow_with_the_number_of_samples(grader, tmp_path):
    def peak(samples):
        config = EvalConfig(suites=("tiny_add2",), samples=samples, batch_size=32)
        tracemalloc.start()
        evaluate(Policy(long_answers, render), Request(config, 0, DATA), grader, tmp_path / str(samples))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)  # what is loaded once
    few, many = peak(32), peak(1024)
    assert many - few < 6 * 1024 * LONG / 20, (few, many)


@pytest.mark.slow
@pytest.mark.timing
def test_an_evaluation_takes_no_longer_than_lm_evals_own_run_of_the_same_requests(grader, tmp_path):
    config = EvalConfig(suites=SUITES, samples=32, max_response_tokens=24, batch_size=64)
    data = TINY / "eval"

    def ours(attempt):
        model = HfModel(ModelConfig(TINY / "base_policy"))
        policy = Policy(model.generate, model.render)
        started = time.perf_counter()
        evaluate(policy, Request(config, attempt, data), grader, tmp_path / str(attempt))
        return time.perf_counter() - started

    def theirs(attempt):
        model = HFLM(pretrained=str(TINY / "base_policy"), device="cpu", batch_size=64, add_bos_token=False)
        sampling = {"until": [], "do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 0}
        started = time.perf_counter()
        suites = load_suites(SUITES, data)
        for suite in suites:
            suite.task.set_config("repeats", 32)
            suite.task.set_config("generation_kwargs", {**sampling, "max_gen_toks": 24})
        with contained():
            evaluate_by_lm_eval(
                model,
                {"tasks": {suite.name: suite.task for suite in suites}},
                bootstrap_iters=0,
                apply_chat_template=True,
                fewshot_as_multiturn=True,
            )
        return time.perf_counter() - started

    times = [(ours(attempt), theirs(attempt)) for attempt in range(3)]
    best = [min(column) for column in zip(*times, strict=True)]
    sys.stdout.write(f"\nours {best[0]:.1f} s, lm-eval's own {best[1]:.1f} s\n")
    assert best[0] < 1.1 * best[1]


def test_samples_of_one_suite_only_can_differ(grader, tmp_path):
    config = EvalConfig(suites=("tiny_add2", "tiny_add3"), samples=1, suite_samples={"tiny_add3": 3})
    policy = Policy(long_answers, render)
    found = evaluate(policy, Request(config, 0, DATA), grader, tmp_path)
    assert {name: info.samples for name, info in found.suites.items()} == {"tiny_add2": 1, "tiny_add3": 3}
    with pytest.raises(ValueError, match="suite_samples"):
        replace(config, suite_samples={"tiny_add3": 0})
