"""Fixtures that plant evaluations and compare them by the command line."""

import pytest

from evaluation.compare import main
from tests.evaluation.comparing.planted import Planted


@pytest.fixture
def write(tmp_path):
    def write(name, words, **values):
        return str(Planted(words, **values).write(tmp_path / name))

    return write


@pytest.fixture
def compare(tmp_path, capsys):
    """Compare, and return exit code, stdout and stderr; results go to the folder `out`."""

    def compare(*arguments):
        code = main([*arguments, "--output", str(tmp_path / "out")])
        return code, *capsys.readouterr()

    return compare
