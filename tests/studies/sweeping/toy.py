"""A sweep that runs in a second, and its command line as a process."""

import contextlib
import io
import subprocess
import sys

import pandas as pd
import pytest

from studies.catalog import PROJECT
from studies.sweep import main
from tests.studies import toy

HERE = PROJECT / "tests" / "studies"
AXES = (
    "--axis",
    "train.optimizer.learning_rate=float(0.0001, 0.002, log)",
    "--axis",
    "grpo.clip_low=float(0.1, 0.5)",
)
EXECUTE = "tests.studies.sweeping.toy_executor:execute"
FOLDER = "sweep_toy"


def words(results, *more, axes=AXES):
    file = str(HERE / "toy.py")
    return [file, *axes, "--scale", file, "--arm", "grpo", "--results", str(results), *more]


def start(results, *more, axes=AXES, **environment):
    """Start `studies.sweep` of the toy study with results in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.studies.sweeping.toy_sweep", *words(results, *more, axes=axes)],
        env=toy.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def run(results, *more, axes=AXES, **environment):
    """Run it to its end, its parent in this process to save time; return exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for key, value in toy.environment(**environment).items():
            patch.setenv(key, value)
        patch.chdir(PROJECT)
        code = main(words(results, *more, axes=axes), EXECUTE, lambda runs: None)
    return code, out.getvalue(), err.getvalue()


def table(results, name=FOLDER):
    return pd.read_csv(results / name / "table.csv")


def attempts(results, number, seed=0):
    """Return (process id, first step) of each attempt at a trial's run."""
    path = results / FOLDER / "runs" / f"trial-{number:03d}-seed{seed}" / "attempts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]
