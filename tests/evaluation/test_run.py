"""The command line of evaluation, from a model's folder to its table."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.protocols import SUITES
from evaluation.records import answers, read_evaluation
from evaluation.run import main
from tests.small_models import build_qwen2

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data" / "suites"
SHARED = ROOT.parent / "shared" / "benchmarks"
VLLM = pytest.param(
    "vllm",
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    ],
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_qwen2(tmp_path_factory.mktemp("models") / "qwen")


def arguments(model, tmp_path, *more):
    return ["--model", model, "--output", str(tmp_path / "out"), "--max-tokens", "8", *more]


TINY = ("--suite", "tiny_add2", "tiny_add3", "--data", str(DATA), "--samples", "4", "--batch-size", "6")


@pytest.mark.parametrize("backend", ["hf", VLLM])
def test_the_papers_suites_are_run_on_a_few_questions_each(model, tmp_path, capsys, backend):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    more = ("--suite", "paper", "--data", str(SHARED), "--limit", "3", "--backend", backend)
    assert main(arguments(model, tmp_path, *more)) == 0
    table = capsys.readouterr().out
    evaluation = read_evaluation(tmp_path / "out")
    assert tuple(evaluation.suites) == SUITES["paper"]
    assert {name: (info.questions, info.samples) for name, info in evaluation.suites.items()} == {
        name: (3, 32 if name in ("aime24", "aime25", "amc83") else 1) for name in SUITES["paper"]
    }
    assert all(f"| {name} | 3 × " in table for name in SUITES["paper"])
    assert "average out of distribution" in table
    assert (tmp_path / "out" / "table.md").read_text() == table


def test_a_second_time_nothing_is_sampled_and_the_table_is_the_same(model, tmp_path, capsys):
    assert main(arguments(model, tmp_path, *TINY)) == 0
    first, before = capsys.readouterr().out, (tmp_path / "out" / "samples.jsonl").stat().st_mtime_ns
    assert main(arguments(model, tmp_path, *TINY)) == 0
    assert capsys.readouterr().out == first
    assert (tmp_path / "out" / "samples.jsonl").stat().st_mtime_ns == before
    assert "python -m evaluation.run --model" in first
    assert "--samples 4" in first


def test_what_was_asked_is_recorded(model, tmp_path):
    more = ("--protocol", "greedy", "--suite", "tiny_add2", "--data", str(DATA), "--seed", "3")
    assert main(arguments(model, tmp_path, *more, "--option-seed", "-1")) == 0
    evaluation = read_evaluation(tmp_path / "out")
    assert (evaluation.seed, evaluation.protocol.temperature, evaluation.protocol.option_seed) == (3, 0, None)
    assert evaluation.policy["backend"] == "hf"
    assert evaluation.policy["model"] == model
    assert len(evaluation.policy["sha256"]) == 64
    assert {sample.tokens for sample in answers(tmp_path / "out")} <= set(range(1, 9))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--suite", "amc32", "--data", str(DATA)), "unknown suite 'amc32'; did you mean amc"),
        (("--suite", "tiny_add2", "--data", "nowhere"), "add2.jsonl: no such file"),
        ((*TINY, "--temperature", "0"), "samples=4 at temperature 0"),
        ((*TINY, "--template", "llama"), r"prompt_template='llama' is none of \['question_answer'\]"),
        ((*TINY, "--max-tokens", "5000"), "more than the model's 4096 positions"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(model, tmp_path, capsys, more, reason):
    assert main(arguments(model, tmp_path, *more)) == 2
    told = capsys.readouterr()
    assert re.search(reason, told.err)
    assert told.out == ""


def test_a_folder_that_is_no_model_is_refused(tmp_path, capsys):
    assert main(arguments(str(tmp_path), tmp_path, *TINY)) == 2
    assert "config.json is missing" in capsys.readouterr().err


def test_help_is_quick():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "evaluation.run", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "avg@k" in done.stdout or "standard error" in done.stdout
    assert time.monotonic() - started < 10


def test_stdout_has_the_table_alone(model, tmp_path):
    command = [sys.executable, "-m", "evaluation.run", *arguments(model, tmp_path, *TINY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.startswith("# ")
    assert done.stdout == (tmp_path / "out" / "table.md").read_text()
    assert "answers" in done.stderr
    header = json.loads((tmp_path / "out" / "eval.json").read_text())
    assert header["finished"]
