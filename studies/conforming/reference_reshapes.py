"""What the losses of the paper's released code hold in the place of a token's ratio, as parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from core import BehaviorPolicy, CurrentPolicy, KeepAll, ShapedLikelihood, TokenLikelihood, Unit
from core.protocols import Denominator, Likelihood, Mask
from studies.conforming.options import Inexpressible, Options
from studies.conforming.reference_masks import Logarithmic
from studies.conforming.reference_quirks import PowerLikelihood, ShapedRatio

SHAPED = "p_div_p_"
"""What the options of p/(p + γ) begin with; the rest is γ."""


class Surrogate(NamedTuple):
    """A function of the token's probability that the loss holds, as the parts that have its derivative."""

    denominator: Denominator
    likelihood: Likelihood = TokenLikelihood()
    mask: Mask = KeepAll()
    weight: float = 1.0
    name: str = "ratio"
    """What it is called where the loss holds a sum."""


@dataclass(frozen=True)
class Reshape:
    """One of the functions, by its option.

    Args:
        option: What the option is called.
        kind: Its value, without γ.
        gamma: γ of p/(p + γ).
        weight: Factor of a logarithm.
        exponent: Exponent of a power.
    """

    option: str
    kind: str
    gamma: float
    weight: float
    exponent: float


Make = Callable[[Reshape, Mask], tuple[Surrogate, ...]]
"""From a function and what bounds it to its parts."""

LOGARITHMS = ("logp", "p_logp")
"""Functions that fall below 0."""
RATIOS = ("exp", "classic_rl")
"""What SRFT's loss holds where it is no log-prob."""

ON: Mapping[str, Make] = {
    "no_reshape": lambda _, mask: (Surrogate(BehaviorPolicy(), mask=mask),),
    SHAPED: lambda each, mask: (Surrogate(BehaviorPolicy(), ShapedRatio(each.gamma), mask),),
    "square_root": lambda _, mask: (Surrogate(BehaviorPolicy(), PowerLikelihood(0.5), mask),),
    "pow": lambda each, mask: (Surrogate(BehaviorPolicy(), PowerLikelihood(each.exponent), mask),),
    "logp": lambda _, mask: (Surrogate(BehaviorPolicy(), mask=Logarithmic(1.0, False, mask)),),
    "p_logp": lambda each, mask: (Surrogate(BehaviorPolicy(), mask=Logarithmic(each.weight, True, mask)),),
}
OFF: Mapping[str, Make] = {
    "no_reshape": lambda _, mask: (Surrogate(Unit(), mask=mask),),
    SHAPED: lambda each, mask: (Surrogate(Unit(), ShapedLikelihood(each.gamma), mask),),
    "square_root": lambda _, mask: (Surrogate(Unit(), PowerLikelihood(0.5), mask),),
    "pow": lambda each, mask: (Surrogate(Unit(), PowerLikelihood(each.exponent), mask),),
    "logp": lambda each, mask: (Surrogate(Unit(), mask=Logarithmic(each.weight, False, mask)),),
    "p_logp": lambda each, mask: (Surrogate(Unit(), mask=Logarithmic(each.weight, True, mask)),),
}
OFF_UNBOUNDED: Mapping[str, Make] = {
    "logp": lambda each, _: (Surrogate(CurrentPolicy(), weight=each.weight),),
    "p_logp": lambda each, _: (
        Surrogate(Unit()),
        Surrogate(CurrentPolicy(), weight=each.weight, name="logp"),
    ),
}
SRFT: Mapping[str, Make] = {
    "paper": lambda _, mask: (Surrogate(Unit(), mask=Logarithmic(1.0, False, mask)),),
    "exp": OFF["no_reshape"],
    "classic_rl": lambda each, mask: on_policy(each, mask),
    "minus_old": ON["logp"],
}
SRFT_UNBOUNDED: Mapping[str, Make] = {"paper": lambda *_: (Surrogate(CurrentPolicy()),)}


def on_policy(reshape: Reshape, mask: Mask) -> tuple[Surrogate, ...]:
    """Return what the loss holds for a rollout's token."""
    return _known(ON, reshape)(reshape, mask)


def off_policy(reshape: Reshape, mask: Mask) -> tuple[Surrogate, ...]:
    """Return what the loss holds for a demonstration's token; without a bound, in the core's own parts."""
    plain = OFF_UNBOUNDED if isinstance(mask, KeepAll) else {}
    return (plain.get(reshape.kind) or _known(OFF, reshape))(reshape, mask)


def srft(kind: str, reshape: Reshape, mask: Mask) -> tuple[Surrogate, ...]:
    """Return what SRFT's loss holds for a rollout's token; a kind of no other name is the paper's."""
    kind = kind if kind in SRFT else "paper"
    plain = SRFT_UNBOUNDED if isinstance(mask, KeepAll) else {}
    return (plain.get(kind) or SRFT[kind])(reshape, mask)


def read_reshape(options: Options, name: str, weight: float) -> Reshape:
    """Return the function that an option names.

    Args:
        options: Options of the case.
        name: The option; its weight's and exponent's names begin with it.
        weight: Default of the weight.
    """
    kind = str(options.take(name, "no_reshape"))
    gamma = kind.removeprefix(SHAPED)
    return Reshape(
        option=name,
        kind=SHAPED if kind.startswith(SHAPED) else kind,
        gamma=_number(gamma, name) if kind.startswith(SHAPED) else 0.0,
        weight=options.number(f"{name}_weight", weight),
        exponent=options.number(f"{name}_pow_exp", 0.5),
    )


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Inexpressible(f"cannot express option {option}={SHAPED}{text}: γ must be a number") from None


def _known(table: Mapping[str, Make], reshape: Reshape) -> Make:
    if reshape.kind not in table:
        known = ", ".join(f"{kind}γ" if kind == SHAPED else kind for kind in table)
        raise Inexpressible(f"cannot express option {reshape.option}={reshape.kind}; known: {known}")
    return table[reshape.kind]
