"""The pages of algorithms, and README's table of them, say what the code says."""

import inspect
import re
from pathlib import Path

import pytest

from algorithms import ALGORITHMS
from studies.catalog import UsageError
from studies.explaining.pages import index, page
from studies.explaining.table import BEGIN, END, algorithm_table, with_table
from studies.explaining.variation import algorithms_of

PROJECT = Path(__file__).parents[1]
PAGES = PROJECT / "docs" / "algorithms"
WRITE = "run `python -m studies.explain --docs docs/algorithms --readme README.md`"


def check(name):
    assert (PAGES / f"{name}.md").read_text() == page(name), f"{name} has changed; {WRITE}"


@pytest.mark.parametrize("name", ["sft", "grpo", "hpt"])
def test_a_page_is_what_its_command_writes(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_page_is_what_its_command_writes(name):
    check(name)


def test_there_is_a_page_for_every_algorithm_and_for_nothing_else():
    assert {path.stem for path in PAGES.iterdir()} == {*ALGORITHMS, "README"}


def test_the_index_lists_every_algorithm():
    assert (PAGES / "README.md").read_text() == index(), WRITE


def test_readme_holds_the_table_of_the_registry():
    text = (PROJECT / "README.md").read_text()
    assert with_table(text, "README.md") == text, WRITE
    assert "python -m studies.explain --readme README.md" in text


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_page_names_every_argument_and_every_term(name):
    text = (PAGES / f"{name}.md").read_text()
    for argument in inspect.signature(ALGORITHMS[name]).parameters:
        assert f"| `{argument}` | " in text
    for stage in ALGORITHMS[name]().stages:
        for term in stage.algorithm.terms:
            assert f"### Term `{term.name}`" in text


def test_tables_have_as_many_cells_in_every_row():
    texts = [*(path.read_text() for path in PAGES.iterdir()), algorithm_table()]
    for text in texts:
        for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
            cells = {len(re.split(r"(?<!\\)\|", row)) for row in table.splitlines()}
            assert len(cells) == 1, table


def test_the_table_has_a_row_for_every_term():
    table = algorithm_table()
    algorithms = [each for make in ALGORITHMS.values() for _, each in algorithms_of(make())]
    assert len(table.splitlines()) == 2 + sum(len(algorithm.terms) for algorithm in algorithms)
    assert all(f"[`{name}`]" in table for name in ALGORITHMS)


def test_only_what_stands_between_the_markers_is_written():
    text = f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n"
    found = with_table(text, "file")
    assert found.startswith(f"before\n{BEGIN}\n\n| Algorithm |")
    assert found.endswith(f"|\n\n{END}\nafter\n")
    assert "what was there" not in found
    assert with_table(found, "file") == found


@pytest.mark.parametrize(
    "text", ["nothing", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_file_without_its_markers_is_refused(text):
    with pytest.raises(UsageError, match="must stand in it, once each"):
        with_table(text, "file.md")
