"""Every wrong formula of `tests/mutations.py`, put into a copy of the project, makes a test fail there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations import FAMILIES

ROOT = Path(__file__).parents[1]
SUITES = (["tests/algorithms/test_golden_gradients.py"], ["tests/core"])
CASES = [
    pytest.param(*mutation, id=f"{family}-{number}")
    for family, mutations in FAMILIES.items()
    for number, mutation in enumerate(mutations)
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a folder with the estimator, the algorithms and their tests."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("core", "algorithms", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def passes(folder, suite):
    """Return whether a suite passes in the copy; its own failure to start is an error."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *suite]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def test_every_family_has_three_mutations_or_more():
    assert all(len(mutations) >= 3 for mutations in FAMILIES.values())


@pytest.mark.parametrize(("file", "right", "wrong"), CASES)
def test_a_mutation_stands_for_one_place_of_the_code(file, right, wrong):
    assert (ROOT / file).read_text().count(right) == 1
    assert right != wrong


@pytest.mark.slow
def test_the_copy_passes_unchanged(copy):
    assert all(passes(copy, suite) for suite in SUITES)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "right", "wrong"), CASES)
def test_a_wrong_formula_is_noticed(copy, file, right, wrong):
    path = copy / file
    original = path.read_text()
    path.write_text(original.replace(right, wrong))
    try:
        assert not all(passes(copy, suite) for suite in SUITES)
    finally:
        path.write_text(original)
