"""Which algorithm of the registry is what the paper's released training step does, and under which options.

A case begins behind the gate, on rows that the step kept, so the algorithm's gate is exchanged for one that
lets them through; `routing` proves the gate. Over several micro-batches its group advantages are those of
the whole step, computed beforehand. All else is the registered algorithm, with the case's arguments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from algorithms import ALGORITHMS
from core import Algorithm, GroupRelative, Precomputed, ThresholdGate, TotalReward
from studies.conforming.reference_losses import Reading
from studies.conforming.reference_reshapes import SHAPED, read_reshape
from studies.conforming.reference_rows import Routed

T = TypeVar("T")


@dataclass(frozen=True)
class Registered:
    """An algorithm of the registry, and when it is the released step's.

    Args:
        name: As registered.
        arguments: Its arguments, by the option they are.
        fixed: Values of the options that it has built in.
        nonzero: Options that must not be 0: it would leave rows out of the entropy bonus.
        alone: Whether each demonstration must be its group's only row, as behind a gate.
    """

    name: str
    arguments: Mapping[str, str]
    fixed: Mapping[str, object]
    nonzero: tuple[str, ...] = ()
    alone: bool = False

    def stands_for(self, values: Mapping[str, object]) -> bool:
        """Return whether it is the step of these options."""
        built_in = all(values.get(name) == value for name, value in self.fixed.items())
        given = all(values.get(option) is not None for option in self.arguments.values())
        counted = all(values.get(option) for option in self.nonzero)
        return built_in and given and counted and (bool(values["alone"]) or not self.alone)


SUM = {"adv_estimator": "grpo", "loss_remove_token_mean": True, "loss_remove_clip": True}
NO_STD = {**SUM, "use_std": False}
MIXED = {
    "off_policy_reshape": SHAPED,
    "on_policy_reshape": "no_reshape",
    "off_max_clip": None,
    "off_min_clip": None,
    "all_max_clip": None,
    "teacher": False,
}
COMMON = {"entropy_weight": "entropy_coeff", "length": "length"}

REGISTERED: Mapping[str, Registered] = {
    "hpt": Registered(
        "hpt",
        {**COMMON, "sft_weight": "sft_loss_coef"},
        {**NO_STD, "branch": "sft"},
        nonzero=("sft_loss_coef",),
        alone=True,
    ),
    "hpt_off_on": Registered(
        "hpt_off_on",
        {**COMMON, "gamma": "off_gamma"},
        {**NO_STD, **MIXED, "branch": "off_policy"},
        alone=True,
    ),
    "hpt_mix_on": Registered(
        "hpt_mix_on",
        {**COMMON, "gamma": "off_gamma", "sft_weight": "sft_loss_coef", "off_weight": "off_loss_coef"},
        {**NO_STD, **MIXED, "branch": "switch_off_sft"},
        alone=True,
    ),
    "luffy": Registered(
        "luffy",
        {**COMMON, "gamma": "off_gamma", "normalize_std": "use_std"},
        {**SUM, **MIXED, "branch": "off_policy", "epsilon": 1e-6},
    ),
    "srft": Registered(
        "srft", {**COMMON, "gamma": "off_gamma"}, {**NO_STD, **MIXED, "branch": "srft", "srft_type": "paper"}
    ),
    "grpo": Registered(
        "dapo",
        {"clip_low": "clip_low", "clip_high": "clip_ratio"},
        {
            "branch": "",
            "demonstrations": 0,
            "adv_estimator": "grpo",
            "use_std": True,
            "epsilon": 1e-6,
            "loss_remove_token_mean": False,
            "loss_remove_clip": False,
        },
    ),
}
"""By what the case calls its algorithm."""


def registered(reading: Reading, branch: str, *, several: bool) -> Algorithm | None:
    """Return the registered algorithm that a training step is, gated and credited as its rows were.

    Args:
        reading: The case.
        branch: Its `offline_loss_type`, empty where that is none of the known ones.
        several: Whether its rows are split into several micro-batches.
    """
    case, step = reading.case, reading.step
    entry = REGISTERED.get(case.algorithm)
    reshape = read_reshape(reading.options, "off_policy_reshape", 1.0)
    sizes = (step.group[:, None] == step.group).sum(dim=1)
    values = {
        **case.params,
        "branch": branch,
        "length": reading.width,
        "clip_low": min(reading.options.number("clip_ratio", 0.2), 1.0),  # no ratio is below 0
        "off_policy_reshape": reshape.kind,
        "off_gamma": reshape.gamma,
        "teacher": step.sampler_logp is not None,
        "demonstrations": int(step.is_demonstration.sum()),
        "alone": bool((sizes[step.is_demonstration] == 1).all()),
    }
    if entry is None or entry.name not in ALGORITHMS or not entry.stands_for(values):
        return None
    arguments = {argument: values[option] for argument, option in entry.arguments.items()}
    algorithm = cast(Algorithm, ALGORITHMS[entry.name](**arguments))
    opened = exchanged(algorithm.terms, _open_gate)
    return dataclasses.replace(algorithm, terms=exchanged(opened, _credit_given) if several else opened)


def _open_gate(part: object) -> object:
    return Routed(part.reinforce, part.imitate) if isinstance(part, ThresholdGate) else part


def _credit_given(part: object) -> object:
    return Precomputed() if isinstance(part, GroupRelative | TotalReward) else part


def exchanged(thing: T, swap: Callable[[object], object]) -> T:
    """Return `thing` with every part in its fields and tuples exchanged for what `swap` makes of it."""
    found = swap(thing)
    if found is not thing:
        return cast(T, found)
    if isinstance(thing, tuple):
        return cast(T, tuple(exchanged(each, swap) for each in thing))
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return thing
    new = {each.name: exchanged(getattr(thing, each.name), swap) for each in dataclasses.fields(thing)}
    return dataclasses.replace(thing, **new)
