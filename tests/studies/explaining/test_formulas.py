"""Formulas in LaTeX: filled in from fields, and true."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from core import (
    AllOf,
    AnyOf,
    BehaviorPolicy,
    BoundMask,
    ClampedLikelihood,
    ClipCovariance,
    ClipMask,
    ClippedRatio,
    Constant,
    Demonstrations,
    DivergenceMask,
    DualClipMask,
    EntropyWeighted,
    FixedLengthMean,
    GeometricLikelihood,
    GroupRelative,
    KlPenalty,
    MaskedImportance,
    MixedBehavior,
    PenalizedByKl,
    QuestionMean,
    RewardToGo,
    Rollouts,
    ShapedLikelihood,
    TableGate,
    TokenMean,
    TruncatedImportance,
    TwoSidedClipMask,
    Whitened,
)
from studies.catalog import UsageError
from studies.explaining.formulas import WHERE, cell, escape, formula, value


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
    assert cell(Undeclared("x"), without=("odd_name",)) == r"\texttt{Undeclared}"


@pytest.mark.parametrize("part", [Wrong(), Bare()])
def test_a_formula_that_cannot_be_filled_in_is_refused_with_the_fields_that_there_are(part):
    with pytest.raises(UsageError, match=r"cannot be filled in .*fields are"):
        formula(part)


def test_parts_within_parts_are_filled_in():
    assert formula(Whitened(Constant(0.5))) == formula(Whitened(Constant(2.0))).replace("2", "0.5")
    assert r"-\infty,\,2" in formula(BoundMask(None, 2.0))


def test_masks_are_multiplied_and_choices_of_rows_united():
    clip, weight = ClipMask(0.1, 0.3), TruncatedImportance(2.5)
    assert formula(AllOf((clip, weight))) == rf"{formula(clip)}\,{formula(weight)}"
    rows = (Rollouts(), Demonstrations())
    assert formula(AnyOf(rows)) == rf"{formula(rows[0])}\ \lor\ {formula(rows[1])}"
    assert value((0.5, 1)) == r"0.5,\,1"


def test_clauses_end_the_whole_formula_once_each():
    weighed, clip = MaskedImportance(0.5, 2.0), ClipMask()
    head, _, clause = formula(weighed).partition(WHERE)
    assert clause
    assert formula(AllOf((weighed, clip, weighed))) == rf"{head}\,{formula(clip)}\,{head}{WHERE}{clause}"
    head, _, clause = formula(GeometricLikelihood()).partition(WHERE)
    assert formula(ClampedLikelihood(GeometricLikelihood(), 0.0, 2.0)) == (
        rf"[{head}]_{{\log\rho\in[0,\,2]}}{WHERE}{clause}"
    )


def test_a_field_that_a_formula_does_not_name_is_told_unless_it_is_at_its_default():
    plain = formula(ClippedRatio(0.0, 2.0))
    assert "level" not in plain
    assert formula(ClippedRatio(0.0, 2.0, level="sequence")) == (
        plain + r"\;[\mathrm{level}=\mathrm{sequence}]"
    )
    penalty = KlPenalty(0.1, Rollouts(), TokenMean(), limit=2.0)
    assert r"[\mathrm{limit}=2]" in formula(penalty)
    assert formula(penalty, without=("limit",)) == formula(KlPenalty(0.1, Rollouts(), TokenMean()))


def test_a_group_baseline_tells_what_it_divides_by():
    assert r"\sigma" not in formula(GroupRelative(normalize_std=False))
    assert formula(GroupRelative()).endswith(r"/\sigma_{\mathrm{on}}")
    assert formula(GroupRelative(epsilon=0.5)).endswith(r"/\sigma_{\mathrm{on}}\;[\mathrm{epsilon}=0.5]")


def test_numbers_are_written_as_powers_of_ten_and_counts_in_full():
    assert "10^{-7}" in formula(Constant(1e-7))
    assert r"2.5\cdot 10^{-7}" in formula(Constant(2.5e-7))
    assert "12345678" in formula(MixedBehavior(12345678))
    assert formula(DualClipMask(0.25, 0.5, 3.0)).count("0.25") == 1


def test_factors_and_exponents_of_one_are_not_written():
    assert formula(FixedLengthMean(1)) == r"\tfrac{1}{n}\sum_i\sum_t"
    assert r"\tfrac{1}{10}" in formula(FixedLengthMean(10))
    assert formula(RewardToGo()) == r"\sum_{s\ge t}r_s"
    assert "0.9^{s-t}" in formula(RewardToGo(0.9))


@pytest.mark.parametrize(("sign", "exponent"), [(-1.0, "-H_i"), (1.0, "H_i"), (0.5, "0.5H_i")])
def test_a_sign_is_written_as_one(sign, exponent):
    assert rf"e^{{{exponent}}}" in formula(EntropyWeighted(Rollouts(), 0.5, sign))


def test_every_special_character_is_escaped():
    assert escape(r"a_b&c%d$e#f{g}h~i^j\k") == (
        r"a\_b\&c\%d\$e\#f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    )


def test_a_geometric_mean_cuts_ratios_on_the_side_that_the_advantage_pushes_to():
    said = formula(GeometricLikelihood(0.25, 0.5))
    assert r"\min(\rho_t,\,e^{0.5})\ \mathrm{if}\ \hat{A}>0" in said
    assert r"\max(\rho_t,\,e^{-0.25})\ \mathrm{if}\ \hat{A}<0" in said
    assert r"\pi_\theta" not in said


def test_a_shaped_ratio_is_that_to_whatever_denominator():
    assert formula(ShapedLikelihood(0.25)) == r"\nabla[\rho_t/(\rho_t+0.25)]"


def test_covariances_in_the_band_lose_only_a_share_of_the_tokens():
    assert "0.01" in formula(ClipCovariance(share=0.01))


def test_a_cut_ratio_is_told_with_both_bounds_where_the_cut_lies_within_the_clip():
    assert r"1+0.2],\,\rho\le4}" in formula(TwoSidedClipMask())
    inside = formula(TwoSidedClipMask(delta=1.125))
    assert r"\min(1+0.2,\,1.125)],\,\rho\le\max(1+0.2,\,1.125)" in inside


def test_a_divergence_is_capped_and_cut_by_direction():
    assert formula(DivergenceMask("kl", 0.25, 0.5, 8.0)) == (
        r"\min(1,\,8/\rho)\,\mathbf{1}_{\mathrm{clip}\,D_{\mathrm{kl}}[-0.25,\,+0.5]}"
    )


def test_policies_have_one_name_each():
    old = formula(BehaviorPolicy())
    assert old in formula(KlPenalty(0.1, Rollouts(), TokenMean(), to="behavior"))
    assert old in formula(ClippedRatio(0.0, 2.0))
    frozen = r"\pi_{\mathrm{reference}}"
    assert frozen in formula(KlPenalty(0.1, Rollouts(), TokenMean()))
    assert frozen in formula(PenalizedByKl(RewardToGo(), 0.1))


@pytest.mark.parametrize("part", [
    KlPenalty(0.1, Rollouts(), TokenMean()), DivergenceMask(), QuestionMean("sum"),
])  # fmt: skip
def test_words_are_set_upright_once(part):
    assert r"\mathrm{\mathrm" not in formula(part)


def test_tables_are_told_in_full():
    assert formula(TableGate((0.0, 0.25, 1.0), (1.0, 0.5))).startswith(r"([0,\,0.25,\,1],\,[1,\,0.5])")
