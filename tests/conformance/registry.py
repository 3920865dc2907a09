"""What the suites run on: each stage of each registry entry, with arguments that switch parts on."""

import dataclasses
import inspect

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    StepPlan,
    Term,
)
from tests.worlds import gradient

VARIANTS = {
    "grpo": [{"normalize_std": False, "clip_low": 0.1, "clip_high": 0.4}],
    "dr_grpo": [{"length": 6}],
    "hpt": [
        {"gate": 0.25, "sft_weight": 0.3, "entropy_weight": 0.05, "length": 6},
        {"gate": -1.0, "entropy_weight": 0.05, "length": 6},
        {"gate": 1.0, "entropy_weight": 0.05},
    ],
    "hpt_equations": [{"gate": 0.25, "sft_weight": 0.3}],
}

SEQUENCE = PolicyGradient(
    ClipMask(), BehaviorPolicy(), GroupRelative("rollouts_and_demonstrations"), SequenceLikelihood()
)
# Parts that no registered algorithm has; the suites hold for them too.
COMPOSED = {
    "parts/sequence": Algorithm("sequence", (Term("reinforce", SEQUENCE, Rollouts(), SequenceMean()),))
}


def one_term(term, world, factor=1.0):
    """Return the gradient of a term by itself, its weight multiplied."""
    term = dataclasses.replace(term, weight=factor * term.weight)
    plan = StepPlan((term,), (term.plan(world.step),))
    return gradient(None, world, plan=plan)


def defaults(name):
    """Return an algorithm's arguments at their defaults: with the name, the record a run is rebuilt from."""
    return {key: p.default for key, p in inspect.signature(ALGORITHMS[name]).parameters.items()}


def built():
    """Return every algorithm or curriculum, as built by name and arguments."""
    return [
        pytest.param(name, arguments, id="-".join([name, *(f"{k}={v}" for k, v in arguments.items())]))
        for name in ALGORITHMS
        for arguments in [{}, *VARIANTS.get(name, [])]
    ]


def stages():
    """Return the algorithm of every stage; what two entries share comes once."""
    found = {algorithm: name for name, algorithm in COMPOSED.items()}
    for case in built():
        name, arguments = case.values
        for position, stage in enumerate(ALGORITHMS[name](**arguments).stages):
            found.setdefault(stage.algorithm, f"{case.id}/{position}")
    return [pytest.param(algorithm, id=name) for algorithm, name in found.items()]
