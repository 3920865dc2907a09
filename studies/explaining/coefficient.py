"""The formula of a term's coefficients, without the factors that are 1 on all probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from core import Algorithm, Term
from core.types import State
from studies.explaining.asking import Found, ask
from studies.explaining.docstrings import read_docstring
from studies.explaining.numbers import number
from studies.explaining.probes import probes
from studies.explaining.standing import same

SHORT = 40
IDLE = "c_t = 0: trains no token"


def formula(algorithm: Algorithm, index: int, samples: int, relaxed: frozenset[str]) -> str:
    """Return what a term's coefficient is made of on the probes that relaxations allow; 0 without a token.

    Args:
        algorithm: The algorithm.
        index: Of a `Term`.
        samples: Rollouts of each question.
        relaxed: Which settings do not hold.
    """
    term = algorithm.terms[index]
    assert isinstance(term, Term)
    factors = _factors(algorithm, index, samples, relaxed)
    if not len(factors["row"]):
        return IDLE
    words = [number(term.weight)] if term.weight != 1.0 else []
    names = {"stable": "1_stable", "ratio": "(π_θ/π_ref)", "advantage": "Â", "row": "w"}
    for name, symbol in names.items():
        values = factors[name]
        if not same(values, values[:1].expand_as(values)):
            words.append(symbol)
        elif float(values[0, 0]) != 1.0:
            words.append(number(float(values[0, 0])))
    if not same(factors["pulled"], factors["product"]):
        words = [f"Σ_s {' · '.join(words)} · ∂ log (π_θ/π_ref)_s / ∂ log π_θ(y_t)"]
    words.append(_normalizer(term))
    return "c_t = " + " · ".join(words)


def _normalizer(term: Term) -> str:
    said = read_docstring(term.aggregation).equation
    return said if said and "\n" not in said and len(said) <= SHORT else "normaliser"


def _factors(algorithm: Algorithm, index: int, samples: int, relaxed: frozenset[str]) -> dict[str, Tensor]:
    """Return each factor at the tokens that the term trains on, as a column; 1 where it has none."""
    gathered: dict[str, list[Tensor]] = {}
    memory: Mapping[str, State] = {}
    for probe in probes(samples, relaxed):
        found = ask(algorithm, probe, memory)
        memory = found.plan.memory
        for name, values in _at_tokens(algorithm, index, found).items():
            gathered.setdefault(name, []).append(values)
    return {name: torch.cat(values)[:, None] for name, values in gathered.items()}


def _at_tokens(algorithm: Algorithm, index: int, found: Found) -> dict[str, Tensor]:
    term, plan, spoken = algorithm.terms[index], found.plan.plans[index], found.coefficients[index]
    assert isinstance(term, Term)
    assert spoken.stable is not None
    assert spoken.ratio is not None
    stable = spoken.stable if plan.stable is None else spoken.stable * plan.stable
    row = term.rows(dataclasses.replace(found.step, memory=found.plan.memory))
    trained = plan.weight != 0
    product = torch.where(stable != 0, stable * spoken.ratio, 0.0) * plan.advantage * plan.weight
    # A mask that is 0 hides whatever the other factors are.
    return {
        "stable": stable[trained],
        "ratio": spoken.ratio[trained],
        "advantage": plan.advantage[trained],
        "row": row[:, None].expand_as(plan.weight)[trained],
        "pulled": spoken.logp[trained],
        "product": product[trained],
    }
