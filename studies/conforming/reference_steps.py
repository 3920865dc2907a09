"""The training step of the paper's released code: which losses it adds up, on which rows, over micro-batches.

Its means are those of a micro-batch, so each is planned as a step of its own. Where an algorithm of the
registry is the same sum, the case is built from it (`reference_registry`), else from the losses' terms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.estimators import imitation
from core import (
    Algorithm,
    Demonstrations,
    EntropyWeighted,
    Rollouts,
    Term,
    TokenMean,
)
from core.protocols import LossTerm, RowWeight
from studies.conforming.composition import Composition, Piece, Reproduced
from studies.conforming.options import Inexpressible
from studies.conforming.reference_losses import (
    EVERYONE,
    MixedLoss,
    PolicyLoss,
    Reading,
    read_mixed_loss,
    read_policy_loss,
)
from studies.conforming.reference_penalties import moved, penalties
from studies.conforming.reference_registry import registered
from studies.conforming.reference_rows import Flagged

UNSET = -1
"""What the configuration writes for "no bound"."""
RESHAPE_WEIGHT = 0.1
"""Default of the reshapes' weights in the configuration."""
SRFT_IMITATED = 0.5
"""Factor of exp(−H) in the weight of SRFT's imitation."""
MICRO_BATCHING = {"none": (), "fixed": ("micro_batch_size",), "dynamic": ("max_token_len_per_gpu",)}
"""By what rows are packed; the outcome stands in the case's `micro_batches`."""


@dataclass(frozen=True, eq=False)
class Branch:
    """What a branch of the training step is given; which of it counts is the branch's own affair."""

    policy: PolicyLoss
    mixed: MixedLoss
    beta: float
    """Weight of imitation."""
    off: float
    """Weight of the demonstrations' policy gradient beside imitation."""
    srft: str
    """Which function of a rollout's token SRFT's loss holds."""
    flags: tuple[bool, ...] | None = None
    """Of each row, whether it is trained off-policy instead of imitated; None: the step knows none."""

    def imitate(self, rows: RowWeight) -> Term:
        """Return the imitation of some rows, a mean over their tokens."""
        return Term("imitate", imitation(), rows, TokenMean(), self.beta)


def _imitate(branch: Branch) -> tuple[Term, ...]:
    return branch.policy.term(Rollouts()), branch.imitate(Demonstrations())


def _off_policy(branch: Branch) -> tuple[Term, ...]:
    return *branch.mixed.on_terms(), *branch.mixed.off_terms()


def _both(branch: Branch) -> tuple[Term, ...]:
    off = branch.mixed.off_terms(weight=branch.off)
    return *branch.mixed.on_terms(), branch.imitate(Demonstrations()), *off


def _by_flag(branch: Branch) -> tuple[Term, ...]:
    if branch.flags is None:
        return _imitate(branch)
    off, imitated = (Flagged(Demonstrations(), branch.flags, value) for value in (True, False))
    return *branch.mixed.on_terms(), branch.imitate(imitated), *branch.mixed.off_terms(off)


def _srft(branch: Branch) -> tuple[Term, ...]:
    rows = EntropyWeighted(Demonstrations(), SRFT_IMITATED, sign=-1.0)
    imitate = Term("imitate", imitation(), rows, TokenMean())
    return imitate, *branch.mixed.off_terms(), *branch.mixed.srft_terms(branch.srft)


def _everyone(branch: Branch) -> tuple[Term, ...]:
    return (branch.policy.term(EVERYONE),)


BRANCHES: Mapping[str, Callable[[Branch], tuple[Term, ...]]] = {
    "sft": _imitate,
    "off_policy": _off_policy,
    "switch_off_sft": _both,
    "off_sft": _by_flag,
    "srft": _srft,
}
"""By `offline_loss_type`; by any other value, the policy loss on all rows."""


def training_step(reading: Reading) -> Composition:
    """Return the composition of a case of the training step, but for its advantage estimator."""
    kind = str(reading.options.take("offline_loss_type"))
    branch, extra = _branch(reading), penalties(reading.options)
    batches = _micro_batches(reading)
    divisor = reading.options.number("gradient_accumulation_divisor", 1)
    known = registered(reading, kind if kind in BRANCHES else "", several=len(batches) > 1)
    pieces = []
    for rows in batches:
        given = dataclasses.replace(branch, flags=reading.flags(rows))
        name, terms = f"{reading.case.algorithm} of parts", BRANCHES.get(kind, _everyone)(given)
        batch = reading.step.rows(torch.tensor(rows).long())
        added = (*extra, *moved(reading.options, batch, rollouts_alone=_apart(kind, given)))
        whole: tuple[LossTerm, ...] = (*terms, *added)
        if known is not None:
            taken = {term.name for term in known.terms}
            name, whole = known.name, (*known.terms, *(each for each in added if each.name not in taken))
        pieces.append(Piece(Algorithm(name, tuple(_divided(term, divisor) for term in whole)), rows))
    return Composition(reading.step, reading.policy, tuple(pieces), observe=_by_micro_batch)


def _branch(reading: Reading) -> Branch:
    options, loss = reading.options, read_policy_loss(reading, "clip_ratio")
    return Branch(
        policy=loss,
        mixed=read_mixed_loss(reading, loss, RESHAPE_WEIGHT, UNSET),
        beta=options.number("sft_loss_coef", 1.0),
        off=options.number("off_loss_coef", 1.0),
        srft=str(options.take("srft_type", "paper")),
    )


def _apart(kind: str, branch: Branch) -> bool:
    """Return whether the rollouts have a policy loss of their own, beside imitation alone."""
    return kind == "sft" or (kind == "off_sft" and branch.flags is None)


def _micro_batches(reading: Reading) -> tuple[tuple[int, ...], ...]:
    """Return the rows of each micro-batch, as the case recorded them."""
    options, count = reading.options, len(reading.step.group)
    packing = options.choose("micro_batching", MICRO_BATCHING, "none")
    options.ignore(*packing, "prompt_tokens_per_row")  # what the recorded packing came of
    if packing and not reading.case.micro_batches:
        raise Inexpressible("expected micro_batches is missing: which rows share a mean is not recorded")
    return reading.case.micro_batches or (tuple(range(count)),)


def _divided(term: LossTerm, divisor: float) -> LossTerm:
    return dataclasses.replace(term, weight=term.weight / divisor)  # type: ignore[type-var, attr-defined]


def _by_micro_batch(found: Reproduced) -> Mapping[str, Tensor]:
    return {"per_micro_loss": torch.stack([torch.stack(list(each.values())).sum() for each in found.losses])}
