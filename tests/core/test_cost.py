"""An estimator of parts costs no more than a tenth above a loss written by hand, in one run of benchmarks."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 1.1


def test_coefficients_and_loss_cost_at_most_a_tenth_more_than_by_hand(tmp_path):
    report = tmp_path / "benchmarks.json"
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "tests/core/cost.py"]
    # Within a worker of several processes pytest-benchmark would measure nothing.
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command.append(f"--benchmark-json={report}")
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["name"]: each["stats"]["min"] for each in json.loads(report.read_text())["benchmarks"]}
    assert found["test_made_of_parts"] <= LIMIT * found["test_written_by_hand"], found
