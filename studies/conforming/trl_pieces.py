"""TRL's objective as pieces: one for each micro-batch, with the terms that its trainers add up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core import (
    Algorithm,
    EntropyBonus,
    KlPenalty,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
)
from core.batch_masks import TopEntropy
from core.protocols import Aggregation, Denominator, Likelihood, LossTerm, Mask, TokenChoice
from core.tokens import EveryToken
from studies.conforming.cases import Case
from studies.conforming.composition import Composition, GivenPerRow, Piece, Reproduced
from studies.conforming.options import Inexpressible, Options
from studies.conforming.trl_quirks import HighEntropyTokens, SingleTopEntropy

TOKENS, ROWS = TokenLikelihood(), SequenceMean()
EVERY_ROW = Rollouts()
"""TRL's trainers know no demonstrations; rows without tokens count in its means."""


@dataclass(frozen=True)
class Objective:
    """What a trainer averages over each micro-batch."""

    mask: Mask
    denominator: Denominator
    likelihood: Likelihood = TOKENS
    average: Aggregation = ROWS
    tokens: TokenChoice = EveryToken()
    """What the policy term is averaged over; the penalty is for every token."""
    policy: float = 1.0
    """Weight of the policy term beside the others."""
    by_generation: bool = False
    """Normalised by the tokens of the generation batch, not by the average's own count."""
    kl: float = 0.0
    """Weight of the penalty; the average is that of the policy term."""
    kl_ratio: Likelihood | None = None
    """Whose ratio to the behavior policy weighs the penalty."""
    entropy: float = 0.0
    """Weight of the bonus, which is a mean over tokens whatever the average."""
    entropy_tokens: TokenChoice = EveryToken()
    """The tokens that the bonus is for."""

    def terms(self, weight: float, accumulated: float) -> tuple[LossTerm, ...]:
        """Return the terms: the averages times `weight`, the bonus times `accumulated`."""
        estimator = PolicyGradient(self.mask, self.denominator, GivenPerRow(), self.likelihood)
        policy = Term("policy", estimator, EVERY_ROW, self.average, self.policy * weight, self.tokens)
        terms: list[LossTerm] = [policy]
        if self.kl:
            penalty = KlPenalty(self.kl * weight, EVERY_ROW, self.average, "k3", ratio=self.kl_ratio)
            terms.append(penalty)
        if self.entropy:
            coefficient = self.entropy * accumulated
            terms.append(EntropyBonus(coefficient, EVERY_ROW, TokenMean(), self.entropy_tokens))
        return tuple(terms)


def undecided(share: float) -> TokenChoice:
    """Return the choice of that share of the tokens, those of highest entropy."""
    return EveryToken() if share >= 1.0 else HighEntropyTokens(SingleTopEntropy(TopEntropy(share)))


def pieces(objective: Objective, step: TokenBatch, options: Options) -> tuple[Piece, ...]:
    """Return the micro-batches of the first optimizer step, each planned by itself.

    A generation batch is cut into `steps_per_generation` micro-batches in the order of its rows, and
    `gradient_accumulation_steps` of them make a step; whichever is more, that many the rows are cut into.
    """
    accumulation = options.count("gradient_accumulation_steps", 1)
    generation = options.count("steps_per_generation", accumulation)
    count, rows = max(accumulation, generation), len(step.group)
    if rows % count:
        raise Inexpressible(f"cannot express {rows} rows in {count} micro-batches of one size")
    size, length = rows // count, step.response_mask.sum(dim=1)
    found = []
    for index in range(accumulation):
        chunk = slice(index * size, (index + 1) * size)
        start = index // generation * generation * size
        whole = int(length[start : start + generation * size].sum())
        share = 1.0 / accumulation
        tokens = generation * int(length[chunk].sum()) / max(whole, 1)
        weight = share * tokens if objective.by_generation else share
        algorithm = Algorithm("trl", objective.terms(weight, share))
        found.append(Piece(algorithm, tuple(range(rows))[chunk]))
    return tuple(found)


def counting_empty_rows(composition: Composition, case: Case, tokens: TokenChoice) -> Composition:
    """Return the composition with a loss that counts rows without any of the chosen tokens.

    A loss taken row by row has −Â for such a row, whose ratio is that of nothing: 1. It has no gradient, and
    no token that a coefficient could stand at.
    """
    parts = [torch.tensor(piece.rows).long() for piece in composition.pieces]
    # Each micro-batch chooses by itself.
    chosen = [tokens(composition.step.rows(part)).any(dim=1) for part in parts]
    rows, empty = torch.cat(parts), ~torch.cat(chosen)
    if not empty.any():
        return composition
    if "advantages" not in case.inputs:
        raise Inexpressible("input advantages is missing, which the loss of a row without tokens consists of")
    constant = case.inputs["advantages"][rows[empty]].sum() / len(rows)

    def observe(found: Reproduced) -> Mapping[str, Tensor]:
        return {"loss": found.loss - constant}

    return dataclasses.replace(composition, observe=observe)
