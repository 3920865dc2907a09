"""Every wrong formula of `tests/mutations.py`, put into a copy of the project, makes a test fail there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations import FAMILIES

ROOT = Path(__file__).parents[1]
# What parts cost says nothing about a formula, and a measurement that fails would hide that nothing else did.
SUITES = (
    ["tests/algorithms/test_golden_gradients.py"],
    ["tests/core", "--ignore", "tests/core/test_cost.py"],
)
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


@pytest.fixture(scope="module")
def passes(copy):
    """Return a function that tells whether all suites pass in the copy; that one can't start is an error.

    It takes suites to begin with: where one fails the rest need not run.
    """
    command = [sys.executable, str(copy / "tests" / "mutant_suites.py")]
    # A pytest of its own, even within a worker of several processes.
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    process = subprocess.Popen(
        command,
        cwd=copy,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=own | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)},
    )

    def passed(suite):
        process.stdin.write(" ".join(suite) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        assert code in (0, 1), f"pytest {' '.join(suite)} ended with {code}"
        return code == 0

    yield lambda *first: all(map(passed, [*first, *SUITES]))
    process.stdin.close()
    process.wait()


def test_every_family_has_three_mutations_or_more():
    assert all(len(mutations) >= 3 for mutations in FAMILIES.values())


@pytest.mark.parametrize(("file", "right", "wrong"), CASES)
def test_a_mutation_stands_for_one_place_of_the_code(file, right, wrong):
    assert (ROOT / file).read_text().count(right) == 1
    assert right != wrong


def own_tests(file):
    """Return the suite of a file's own tests, if it has some."""
    own = ROOT / "tests" / "core" / f"test_{Path(file).stem}.py"
    return [[str(own.relative_to(ROOT))]] if own.is_file() else []


@pytest.mark.slow
def test_the_copy_passes_unchanged(passes):
    assert passes()


@pytest.mark.slow
@pytest.mark.parametrize(("file", "right", "wrong"), CASES)
def test_a_wrong_formula_is_noticed(copy, passes, file, right, wrong):
    path = copy / file
    original = path.read_text()
    path.write_text(original.replace(right, wrong))
    try:
        assert not passes(*own_tests(file))
    finally:
        path.write_text(original)
