"""README says what the committed results say, and its example runs as it stands."""

import importlib.util
import io
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from core import Algorithm
from studies.study import Study

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()


def committed(path):
    """Return a file as committed: a study run again on another processor may differ in its last digits."""
    command = ["git", "-C", str(PROJECT), "show", f"HEAD:{path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{path} is not in a git checkout: {done.stderr.strip()}")
    return done.stdout


def percent(row):
    return f"{100 * row['mean']:.1f} ± {100 * row['se']:.1f}"


def test_the_results_in_the_readme_are_those_of_the_committed_table():
    table = pd.read_csv(io.StringIO(committed("results/ablation_gate/table.csv")))
    rows = []
    for arm in dict.fromkeys(table["arm"]):
        cells = table[table["arm"] == arm].set_index("suite").to_dict("index")
        inside, outside = cells["average in_distribution"], cells["average out_of_distribution"]
        offline = "–" if pd.isna(inside["offline_rows"]) else f"{100 * inside['offline_rows']:.1f}"
        scores = [percent(inside), percent(cells["tiny_add5"]), percent(outside), offline]
        rows.append(f"| {arm} | {' | '.join(scores)} |")
    block = re.search(r"<!-- results -->\n(.*?)<!-- /results -->", committed("README.md"), re.DOTALL).group(1)
    assert [line for line in block.splitlines() if line.startswith("| ")][2:] == rows


def test_the_example_in_the_readme_defines_a_study_and_an_algorithm(tmp_path):
    path = tmp_path / "my_study.py"
    path.write_text(re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1))
    spec = importlib.util.spec_from_file_location("my_study", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.STUDY, Study)
    (own,) = (arm.algorithm for arm in module.STUDY.arms if callable(arm.algorithm))
    assert isinstance(own(), Algorithm)
