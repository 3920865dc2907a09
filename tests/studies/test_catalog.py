import subprocess
import sys

import pytest

from algorithms import ALGORITHMS
from studies import catalog
from studies.catalog import UsageError, algorithm_reference, find_algorithm, find_scale, find_study
from tests.studies import toy


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_every_study_is_found_under_its_own_name(name):
    assert find_study(name).name == name


@pytest.mark.parametrize("name", catalog.SCALES)
def test_every_scale_is_found_under_its_own_name(name):
    assert find_scale(name).name == name


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_reference_that_finds_it_again(name):
    assert algorithm_reference(name) == algorithm_reference(ALGORITHMS[name]) == name
    assert find_algorithm(name) is ALGORITHMS[name]


@pytest.mark.parametrize(
    ("find", "wrong", "near"),
    [
        (find_study, "ablation_gat", "ablation_gate"),
        (find_scale, "qwen2.5-math-1.5", "qwen2.5-math-1.5b"),
        (find_algorithm, "drgrpo", "dr_grpo"),
        (find_scale, "zzz", "tiny"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(find, wrong, near):
    with pytest.raises(UsageError, match=rf"unknown \w+ '{wrong}'.*{near}"):
        find(wrong)


def test_a_file_gives_study_and_scale():
    path = str(toy.HERE / "toy.py")
    assert find_study(path).name == "toy"
    assert find_scale(path).name == "toy"


def own_algorithm():
    """Is only looked up here."""


def test_a_function_outside_the_registry_is_found_by_its_file():
    reference = algorithm_reference(own_algorithm)
    assert reference == "tests/studies/test_catalog.py:own_algorithm"
    assert find_algorithm(reference).__name__ == "own_algorithm"


def test_a_function_that_workers_could_not_import_is_refused():
    def inner():
        pass

    for function in (inner, lambda: None):
        with pytest.raises(UsageError, match="top of a file"):
            algorithm_reference(function)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("STUDY = 3", "STUDY is a int"),
        ("x = 1", "defines no STUDY"),
        ("import no_such_thing", "cannot be imported: ModuleNotFoundError"),
        ("STUDY = (", "cannot be imported: SyntaxError"),
    ],
)
def test_a_file_that_is_no_study_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "odd.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        find_study(str(path))


def test_a_missing_file_is_refused():
    with pytest.raises(UsageError, match="no such file"):
        find_study("no/such.py")


def test_a_neighbour_of_a_study_file_hides_no_package_that_is_imported_later(tmp_path):
    (tmp_path / "optuna.py").write_text("raise RuntimeError('the wrong optuna')")
    study = tmp_path / "study.py"
    study.write_text("from studies.study import Arm, Study\nSTUDY = Study('s', 'S', (Arm('a'),))")
    code = (
        f"from studies.catalog import find_study\nfind_study({str(study)!r})\nimport studies.running.journal"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=toy.environment())
