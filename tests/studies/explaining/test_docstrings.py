"""What is read out of docstrings."""

import dataclasses
import inspect

import pytest

import core
from algorithms import ALGORITHMS
from core.pairs import misfit
from core.protocols import (
    Advantage,
    Aggregation,
    Denominator,
    Gate,
    Likelihood,
    Mask,
    RowWeight,
    TokenChoice,
)
from studies.explaining.docstrings import module_of, read_docstring

STATED = (Mask, Denominator, Advantage, Likelihood, Aggregation, Gate)
CHOSEN = (RowWeight, TokenChoice)


def of_kinds(*kinds):
    """Return what the core exports of some kinds of parts, and additive terms."""
    found = []
    for name in core.__all__:
        part = getattr(core, name)
        if inspect.isclass(part) and dataclasses.is_dataclass(part):
            blank = object.__new__(part)
            if callable(blank) and any(not misfit(blank, kind) for kind in kinds):
                found.append(part)
    return found


@pytest.mark.parametrize("part", of_kinds(*STATED))
def test_every_part_of_an_estimator_states_its_equation(part):
    assert read_docstring(part).equation, f"{part.__name__}: {part.__doc__}"


@pytest.mark.parametrize("part", [core.EntropyBonus, core.KlPenalty, core.ValueLoss])
def test_every_additive_term_states_its_equation(part):
    assert "mean over tokens" in read_docstring(part).equation


@pytest.mark.parametrize("part", of_kinds(*CHOSEN))
def test_choices_of_rows_and_tokens_say_what_they_choose(part):
    assert read_docstring(part).summary.endswith(".")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_argument_of_every_algorithm_is_explained(name):
    function = ALGORITHMS[name]
    assert list(read_docstring(function).arguments) == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_says_what_it_is_and_where_it_is_from(name):
    own, module = read_docstring(ALGORITHMS[name]), read_docstring(module_of(ALGORITHMS[name]))
    assert own.summary.startswith("Compose ")
    assert own.sources or module.sources


class Inline:
    """Credit by length:   Â = 1/|y|."""


class InlineOverLines:
    """Every token counts for what
    it is worth:   c = min(a,
    b).

    See Some Paper, One and Two, 2020 (https://example.org),
    eq. 3.
    """


class Definition:
    """π_ref = (a + b)/2: halfway between."""


class Below:
    """Something of the step.

    x_t = y_t + z_t
    where z is a thing.

    More words on it.

    See One Paper, 2020.
    Differs from the paper: no clip,
    and no KL.
    Differs from the released code: a mean over the step.
    Differs from Lv et al., 2025, table 1: a mask
    of its own.

    Args:
        first: What it is: in tokens,
            over two lines.
        second_one: Another.
    """


class Wrapped:
    """Something of the step.

    x_t = y_t, which is a rather long sentence that the width of the file alone breaks, just at this very
    place, and then
    y = 2
    """


class Prose:
    """Rows that somebody chose.

    They are chosen by hand.
    """


class Silent:
    pass


def test_an_equation_stands_after_a_colon_and_three_spaces():
    assert read_docstring(Inline).equation == "Â = 1/|y|"
    assert read_docstring(Inline).summary == "Credit by length."


def test_an_equation_may_go_on_over_lines():
    said = read_docstring(InlineOverLines)
    assert said.equation == "c = min(a, b)"
    assert said.sources == ("Some Paper, One and Two, 2020 (https://example.org), eq. 3.",)


def test_a_definition_is_the_equation_up_to_its_colon():
    assert read_docstring(Definition).equation == "π_ref = (a + b)/2"
    assert read_docstring(Definition).summary == "π_ref = (a + b)/2: halfway between."


def test_an_equation_stands_in_the_paragraph_below():
    said = read_docstring(Below())
    assert said.equation == "x_t = y_t + z_t\nwhere z is a thing."
    assert said.sources == ("One Paper, 2020.",)
    assert said.differs == (
        ("the paper", "no clip, and no KL."),
        ("the released code", "a mean over the step."),
        ("Lv et al., 2025, table 1", "a mask of its own."),
    )
    assert said.arguments == {"first": "What it is: in tokens, over two lines.", "second_one": "Another."}


def test_lines_that_the_width_alone_broke_are_joined():
    lines = read_docstring(Wrapped).equation.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("just at this very place, and then")
    assert lines[1] == "y = 2"


def test_prose_is_no_equation():
    assert read_docstring(Prose).equation == ""
    assert read_docstring(Silent).equation == ""
    assert read_docstring(Silent).summary == ""
