"""A study of three arms and two seeds that runs in a second, and its command line as a process."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.config import EvalConfig
from studies.catalog import PROJECT
from studies.run import main
from studies.scales import Scale
from studies.study import Arm, Study
from training.config import TrainConfig

HERE = Path(__file__).parent
SUITE = "tiny_add2"

SCALE = Scale(
    name="toy",
    policy="no/policy",
    train_data="no/data",
    train=TrainConfig(steps=6, questions_per_step=4, updates_per_step=1),
    evaluation=EvalConfig(suites=(SUITE,), samples=2),
    threads=1,
)
STUDY = Study(
    name="toy",
    title="A toy",
    arms=(Arm("base"), Arm("sft", "sft"), Arm("grpo", "grpo")),
    seeds=(0, 1),
    baseline="grpo",
)


def environment(**toy):
    return {**os.environ, "PYTHONPATH": str(PROJECT), **{key: str(value) for key, value in toy.items()}}


def start(results, *arguments, **toy):
    """Start `studies.run` of the toy study with results in a folder."""
    command = [sys.executable, str(HERE / "toy_run.py"), str(HERE / "toy.py")]
    command += ["--scale", str(HERE / "toy.py"), "--results", str(results), *arguments]
    return subprocess.Popen(
        command,
        env=environment(**toy),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def run(results, *arguments, **toy):
    """Run it to its end, its parent in this process to save time; return exit code, stdout, stderr."""
    toy_file = str(HERE / "toy.py")
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for key, value in environment(**toy).items():
            patch.setenv(key, value)
        patch.chdir(PROJECT)
        command = [toy_file, "--scale", toy_file, "--results", str(results), *arguments]
        code = main(command, execute="tests.studies.toy_executor:execute", check=lambda runs: None)
    return code, out.getvalue(), err.getvalue()


def attempts(results, arm, seed):
    """Return (process id, first step) of each attempt at a run."""
    path = results / "toy" / "runs" / f"{arm}-seed{seed}" / "attempts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def wait_for(condition, seconds=20):
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def lives(pid):
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid):
    os.kill(pid, signal.SIGKILL)
