"""The rows of a paper's table: LaTeX that holds together, and says what the parts are."""

import re
from dataclasses import dataclass
from typing import ClassVar

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    AllOf,
    BoundMask,
    ClipMask,
    Constant,
    DualClipMask,
    EntropyBonus,
    GroupRelative,
    KeepAll,
    Rollouts,
    TokenMean,
    TruncatedImportance,
    Whitened,
)
from studies.catalog import UsageError
from studies.explaining.latex import COLUMNS, cell, escape, formula, table_rows
from tests.studies.explaining.composed import clipped, gradient_of, imitating


def unescaped(text):
    """Return a text without escaped characters."""
    return re.sub(r"\\[&%$#_{}|\\]", "", text)


def columns_of(row):
    """Return how many columns a row fills."""
    wide = sum(int(number) for number in re.findall(r"\\multicolumn\{(\d+)\}", row))
    return unescaped(row).count("&") + 1 + wide - len(re.findall(r"\\multicolumn", row))


def check(row):
    assert row.endswith(r" \\")
    assert row.isprintable()
    plain = unescaped(row)
    assert plain.count("$") % 2 == 0
    assert not {"%", "#", "~"} & set(plain)
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    outside = re.sub(r"\$[^$]*\$", "", plain)
    assert not {"_", "^"} & set(outside)
    assert outside.isascii()
    assert columns_of(row) == len(COLUMNS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_rows_of_every_algorithm_hold_together(name):
    built = ALGORITHMS[name]()
    comment, *rows = table_rows(name, built)
    assert comment == "% " + " & ".join(COLUMNS)
    assert len(rows) == sum(len(stage.algorithm.terms) for stage in built.stages)
    for row in rows:
        check(row)


def test_a_row_is_made_of_the_parts_formulas():
    (_, row) = table_rows("my_grpo", clipped(clip_low=0.1, clip_high=0.28))
    parts = clipped().terms[0].estimator
    assert row.startswith(r"my\_grpo & $")
    assert r"1-0.1,\,1+0.28" in row
    assert formula(parts.denominator) in row
    assert formula(parts.advantage) in row


def test_a_terms_factor_stands_before_its_advantage():
    (_, row) = table_rows("scaled", clipped(scale=1e-3))
    assert row.split(" & ")[3] == f"$0.001\\cdot {formula(GroupRelative())}$"


def test_terms_are_named_where_there_are_several_and_additive_ones_fill_the_row():
    algorithm = Algorithm("two", (*imitating().terms, EntropyBonus(0.5, Rollouts(), TokenMean(), name="h")))
    _, first, second = table_rows("two", algorithm)
    assert first.startswith("two (only) & ")
    assert second.startswith(r"(h) & \multicolumn{5}{l}{$0.5")
    check(first)
    check(second)


@dataclass(frozen=True)
class Undeclared:
    odd_name: str = "50% & more_#1"

    def __call__(self, ratio, advantage, policy, batch):
        return ratio


@dataclass(frozen=True)
class Wrong:
    cap: float = 1.0

    latex: ClassVar[str] = r"\min(r,\,%(cup)s)"


@dataclass(frozen=True)
class Bare:
    latex: ClassVar[str] = r"50% of it"


def test_a_part_without_a_formula_is_written_by_its_name():
    assert cell(Undeclared()) == r"\texttt{Undeclared}"
    said = cell(Undeclared("50% & mo_#1"))
    assert said == r"\texttt{Undeclared(odd\_name='50\% \& mo\_\#1')}"
    check(f"a & {said} & b & c & d & e \\\\")


@pytest.mark.parametrize("part", [Wrong(), Bare()])
def test_a_formula_that_cannot_be_filled_in_is_refused_with_the_fields_that_there_are(part):
    with pytest.raises(UsageError, match=r"cannot be filled in .*fields are"):
        formula(part)


def test_parts_within_parts_are_filled_in():
    assert formula(Whitened(Constant(0.5))) == formula(Whitened(Constant(2.0))).replace("2", "0.5")
    both = formula(AllOf((ClipMask(0.1, 0.3), TruncatedImportance(2.5))))
    assert formula(ClipMask(0.1, 0.3)) in both
    assert formula(TruncatedImportance(2.5)) in both
    assert r"-\infty,\,2" in formula(BoundMask(None, 2.0))


def test_a_field_that_a_formula_does_not_name_is_told_unless_it_is_at_its_default():
    assert "normalize" not in formula(GroupRelative())
    plain = formula(GroupRelative(normalize_std=False))
    assert plain != formula(GroupRelative())
    row = table_rows("dr_grpo", ALGORITHMS["dr_grpo"]())[1]
    assert r"\sigma" not in row or r"normalize\_std}=\mathrm{False}" in row


def test_numbers_are_written_as_powers_of_ten():
    assert "10^{-7}" in formula(Constant(1e-7))
    assert r"2.5\cdot 10^{-7}" in formula(Constant(2.5e-7))
    assert formula(DualClipMask(0.25, 0.5, 3.0)).count("0.25") == 1


def test_every_special_character_is_escaped():
    assert escape(r"a_b&c%d$e#f{g}h~i^j\k") == (
        r"a\_b\&c\%d\$e\#f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    )


def test_a_plain_mask_is_one():
    assert formula(KeepAll()) == "1"
    assert " & $1$ & " in table_rows("plain", gradient_of(GroupRelative()))[1]
