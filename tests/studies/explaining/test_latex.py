"""The rows of a paper's table: LaTeX that holds together, and leaves out nothing of an algorithm."""

import dataclasses
import re

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    Curriculum,
    EntropyBonus,
    GroupRelative,
    KeepAll,
    PrefixTokens,
    Rollouts,
    SideStep,
    Solved,
    Stage,
    TableGate,
    ThresholdGate,
    TokenMean,
)
from studies.explaining.formulas import formula, value
from studies.explaining.latex import COLUMNS, table_rows
from tests.studies.explaining.composed import clipped, gradient_of, imitating, one


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


def rows_of(name):
    return table_rows(name, ALGORITHMS[name]())[1:]


def is_note(row):
    return f"\\multicolumn{{{len(COLUMNS) - 1}}}" in row


def terms_of(algorithm):
    """Return the terms of an algorithm and of its side steps."""
    aside = algorithm.aside
    return (*algorithm.terms, *(terms_of(aside.algorithm) if aside else ()))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_rows_of_every_algorithm_hold_together(name):
    built = ALGORITHMS[name]()
    comment, *rows = table_rows(name, built)
    assert comment == "% " + " & ".join(COLUMNS)
    assert rows[0].startswith(name.replace("_", r"\_"))
    terms = [term for stage in built.stages for term in terms_of(stage.algorithm)]
    assert len([row for row in rows if not is_note(row)]) == len(terms)
    for row in rows:
        check(row)
        assert r"\mathrm{\mathrm" not in row


def test_no_two_algorithms_have_the_same_rows():
    printed: dict[tuple[str, ...], str] = {}
    for name in ALGORITHMS:
        rows = tuple(row.partition("&")[2] for row in rows_of(name))
        assert rows not in printed, (name, printed[rows])
        printed[rows] = name


@pytest.mark.parametrize(("name", "wanted"), [
    ("hpt", [r"$\alpha\,[y\sim\pi_{\mathrm{old}}]$", r"$\beta\,[y\sim\mathcal{D}]$", r"P_{q}>0",
             r"\alpha\,[y\sim\pi_{\mathrm{old}}]\ \lor\ \beta"]),
    ("hpt_soft", [r"([0,\,1],\,[1,\,0])"]),
    ("hpt_mix_on", [r"$0.1\,\beta\,[y\sim\mathcal{D}]$"]),
    ("srft", [r"$0.5\,e^{-H_i}\,[y\sim\mathcal{D}]$", r"0.1\,e^{H_i}\,[y\sim\pi_{\mathrm{old}},\ r_i=1]",
              r"$y\sim\pi_{\mathrm{old}},\ r_i\ne 1$"]),
    ("chord_mu", [r"(1-\mu,\,\mu)", r"\mu=0.9\searrow_{\cos}0.05\;[\mathrm{over}=0.4]"]),
    ("uft", [r"$0.001\,[y\sim\pi_{\mathrm{old}},\ t\in\mathrm{prefix}]$", r"t\notin\mathrm{prefix}",
             r"rollouts, prefix: $|y_{\mathrm{prefix}}|/|y^*|\sim\mathrm{Bin}(5,"]),
    ("relift", [r"side steps, one after every 128 questions with $P_q\le 0$", r"\quad (imitate) & $y"]),
    ("dapo", [r"rollouts, dynamic: $\sigma_{\mathrm{on}}>0\ \mathrm{after\ at\ most}\ 10"]),
    ("sft_then_grpo", [r"stage 1, 50\% of the steps: sft", r"stage 2, 50\% of the steps: grpo"]),
    ("grpo_kl", [r"(kl) & $y\sim\pi_{\mathrm{old}}$ & \multicolumn{4}{l}{$-0.04\,", r"\sum_t$ \\"]),
])  # fmt: skip
def test_rows_weights_tokens_gates_and_plans_are_told(name, wanted):
    rows = "\n".join(rows_of(name))
    for words in wanted:
        assert words in rows, words


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_term_tells_its_rows_and_how_they_are_averaged(name):
    rows = [row for row in rows_of(name) if not is_note(row)]
    built = ALGORITHMS[name]()
    terms = [term for stage in built.stages for term in terms_of(stage.algorithm)]
    for row, term in zip(rows, terms, strict=True):
        cells = row.removesuffix(r" \\").split(" & ")
        assert value(term.rows) in cells[1]
        assert cells[-1] == f"${formula(term.aggregation)}$"


def test_a_row_is_made_of_the_parts_formulas():
    (_, row) = table_rows("my_grpo", clipped(clip_low=0.1, clip_high=0.28))
    parts = clipped().terms[0].estimator
    assert row.startswith(r"my\_grpo & $")
    assert r"1-0.1,\,1+0.28" in row
    assert formula(parts.denominator) in row
    assert formula(parts.advantage) in row


def test_a_terms_weight_stands_before_its_rows():
    (_, row) = table_rows("scaled", clipped(scale=1e-3))
    cells = row.split(" & ")
    assert cells[1] == r"$0.001\,[y\sim\pi_{\mathrm{old}}]$"
    assert cells[4] == f"${formula(GroupRelative())}$"


def test_terms_are_named_where_there_are_several_and_additive_ones_fill_the_row():
    bonus = EntropyBonus(0.5, Solved(Rollouts()), TokenMean(), tokens=PrefixTokens(), name="h")
    _, first, second = table_rows("two", Algorithm("two", (*imitating().terms, bonus)))
    assert first.startswith("two (only) & ")
    assert second.startswith(
        r"(h) & $y\sim\pi_{\mathrm{old}},\ r_i=1,\ t\in\mathrm{prefix}$ & \multicolumn{4}{l}{$0.5\,H"
    )
    assert "tokens" not in second
    check(first)
    check(second)


def test_gates_that_differ_are_told_of_which_terms_they_are():
    gates = (ThresholdGate(0.25), TableGate((0.0, 0.5), (1.0, 0.5)))
    estimator = clipped().terms[0].estimator
    terms = [one(estimator, Rollouts(gate)).terms[0] for gate in (gates[0], gates[1], gates[0])]
    named = tuple(dataclasses.replace(term, name=name) for term, name in zip(terms, "abc", strict=True))
    *_, first, second = table_rows("three", Algorithm("three", named))
    assert rf"gate of a, c: $(\alpha,\,\beta)={formula(gates[0])}$" in first
    assert rf"gate of b: $(\alpha,\,\beta)={formula(gates[1])}$" in second


def test_side_steps_of_a_stage_stand_below_it():
    main = dataclasses.replace(clipped(), aside=SideStep(imitating(), 0.25, 7))
    stages = (Stage(main, 0.25), Stage(gradient_of(GroupRelative()), 0.75))
    _, *rows = table_rows("three_ways", Curriculum("three_ways", stages))
    starts = [row.partition(" & ")[0] for row in rows]
    assert starts == [r"three\_ways", "(only)", "", r"\quad (only)", "", "(only)"]
    assert r"after every 7 questions with $P_q\le 0.25$" in rows[2]
    assert r"stage 1, 25\% of the steps" in rows[0]
    for row in rows:
        check(row)


def test_a_clause_that_explains_a_cell_stands_below_its_row():
    row, note = rows_of("gmpo")
    assert r"$\nabla\prod_t\bar{\rho}_t^{1/|y|}$" in row
    assert r"where $\bar{\rho}_t=\min(\rho_t,\,e^{0.4})\ \mathrm{if}\ \hat{A}>0," in note
    row, note = rows_of("grpo_mis")
    assert r"where $w=\pi_{\mathrm{old}}/\pi_{\mathrm{sampler}}$" in note


@dataclasses.dataclass(frozen=True)
class Bare:
    """A summand that says nothing of itself."""

    weight: float = 0.5
    name: str = "bare"

    def plan(self, step):
        return None

    def coefficients(self, plan, policy, batch):
        return None

    def objective(self, plan, policy, batch):
        return None


def test_a_summand_of_ones_own_is_written_by_its_name():
    _, row = table_rows("own", Algorithm("own", (Bare(2.0),)))
    assert row == r"own &  & \multicolumn{4}{l}{\texttt{Bare(weight=2.0)}} &  \\"
    check(row)


def test_a_plain_mask_is_one():
    assert formula(KeepAll()) == "1"
    assert " & $1$ & " in table_rows("plain", gradient_of(GroupRelative()))[1]
