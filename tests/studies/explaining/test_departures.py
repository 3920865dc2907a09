"""What algorithms and their parts say they do otherwise: all of it, and each remark where it is true."""

import dataclasses
import re
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from algorithms import ALGORITHMS
from core import Algorithm, ClipCovariance, KlPenalty, Rollouts, SideStep, TokenMean
from studies.explaining.departures import departures
from studies.explaining.docstrings import module_of, read_docstring
from studies.explaining.explanation import StageFacts, TermFacts
from studies.explaining.facts import part_facts
from tests.studies.explaining.composed import CLIPPED, clipped, one


@dataclass(frozen=True)
class Otherwise:
    """A mask that trusts everything:   1_stable = 1.

    Differs from the paper: it trusts everything.
    Differs from the other paper: it is no mask.
    """

    def __call__(self, ratio, advantage, policy, batch):
        return ratio * 0 + 1


class Facts(NamedTuple):
    """As much of an explanation as is asked for."""

    stages: tuple[StageFacts, ...]
    differs: tuple[tuple[str, str], ...] = ()


def stage_of(algorithm, aside=None):
    terms = []
    for term in algorithm.terms:
        whole = part_facts("term", term)
        additive = None if hasattr(term, "estimator") else whole
        terms.append(TermFacts(term.name, additive, 1.0, whole.inner, (), None))
    return StageFacts("", "", algorithm, tuple(terms), (), "", (), aside)


def said(algorithm, *differs, aside=None):
    found = departures(Facts((stage_of(algorithm, aside),), differs))
    return {section.heading: section.lines for section in found}


MASKED = one(dataclasses.replace(CLIPPED, mask=Otherwise()))


def test_where_nothing_is_known_that_is_told():
    assert said(clipped()) == {"Differs from the paper": ("none known",)}
    assert said(clipped(), ("the code", "no clip.")) == {
        "Differs from the paper": ("none known",),
        "Differs from the code": ("no clip.",),
    }


def test_remarks_of_parts_are_told_with_their_names_after_the_algorithms_own():
    assert said(MASKED, ("the other paper", "no KL."), ("the paper", "no clip.")) == {
        "Differs from the paper": ("no clip.", "Otherwise: it trusts everything."),
        "Differs from the other paper": ("no KL.", "Otherwise: it is no mask."),
    }


def test_remarks_are_found_at_any_depth_and_told_once():
    penalty = KlPenalty(0.1, Rollouts(), TokenMean(), mask=Otherwise())
    both = Algorithm("both", (*MASKED.terms, penalty))
    assert said(both)["Differs from the paper"] == ("Otherwise: it trusts everything.",)
    assert said(Algorithm("one", (penalty,))) == said(MASKED)
    main = dataclasses.replace(clipped(), aside=SideStep(MASKED))
    assert said(main, aside=stage_of(MASKED)) == said(MASKED)


def remarks_of(name):
    own, module = read_docstring(ALGORITHMS[name]), read_docstring(module_of(ALGORITHMS[name]))
    return [*own.differs, *module.differs]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_advice_is_that_for_the_algorithm_itself(name):
    own, module = read_docstring(ALGORITHMS[name]), read_docstring(module_of(ALGORITHMS[name]))
    words = " ".join([*own.sources, *module.sources, *(said for _, said in remarks_of(name))])
    assert set(re.findall(r"--set '?(\w+)\.", words)) <= {name}


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if "entropy_weight" in str(
    read_docstring(ALGORITHMS[name]).arguments)])  # fmt: skip
def test_an_entropy_bonus_that_is_off_by_default_is_told(name):
    if name == "hpt_soft":  # no code trained it
        return
    assert any("`entropy_weight` is 0.0" in said for _, said in remarks_of(name))


def test_remarks_stand_at_the_algorithm_that_they_are_true_of():
    words = {name: " ".join(said for _, said in remarks_of(name)) for name in ALGORITHMS}
    assert "hash" in words["clip_cov"]
    assert "hash" not in words["kl_cov"]
    assert "demonstration tokens" in words["hpt_mix_on"]
    assert "demonstration tokens" not in words["hpt_off_on"]
    for name in ("srft", "srft_equations"):
        assert "exp(+H)" in words[name]
        assert "second hand" in words[name]


def test_a_parts_remark_is_told_of_the_registered_algorithm_that_holds_it():
    assert any(isinstance(term.estimator.mask, ClipCovariance) for term in ALGORITHMS["clip_cov"]().terms)
    (line,) = said(ALGORITHMS["clip_cov"]())["Differs from the paper"]
    assert line.startswith("ClipCovariance: covariances are")
    (line,) = said(ALGORITHMS["gac"]())["Differs from the paper"]
    assert line.startswith("GacGate: `target` stands still")
