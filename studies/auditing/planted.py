"""Engines with a fault planted in them: what a red audit looks like, and the proof that it turns red.

Each does what a faulty trainer does, to the losses and gradients that go through it; none knows what the
audit predicts of it. A planted engine stands where the engine does, and everything else is the trainer's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from studies.auditing.planted_steps import ClippedMicroBatches, Leftover, NoClip, NoStep, WrongNorm
from studies.auditing.planting import PlantedEngine, Reweighing
from training.policy import TokenScores
from training.responses import ModelInputs


class DroppedButLast(PlantedEngine):
    """Only the last micro-batch is backpropagated."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        if last:
            super().backward(loss, last=True)


class DroppedFirst(PlantedEngine):
    """The first of several micro-batches is not backpropagated."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        if last or self.position > 0:
            super().backward(loss, last=last)


class DroppedRank(PlantedEngine):
    """What the last rank computes is lost."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        lost = self.ranks.rank == self.ranks.size - 1 > 0
        super().backward(loss * 0.0 if lost else loss, last=last)


class MeanOfMeans(Reweighing):
    """Rollouts are averaged over a micro-batch's own tokens, demonstrations over its own rows."""

    def factor(self, inputs: ModelInputs) -> Tensor:
        """Return what each token's gradient is multiplied with."""
        mine = self.inside(inputs)
        parts = self.ranks.size * self.steps
        rollouts = [row for row in self.rows if not row.is_demonstration]
        demonstrations = sum(row.is_demonstration for row in self.rows)
        tokens = sum(len(row.tokens) for row in mine if not row.is_demonstration)
        kinds = {
            False: sum(len(row.tokens) for row in rollouts) / max(1, tokens),
            True: demonstrations / max(1, sum(row.is_demonstration for row in mine)),
        }
        return torch.tensor([[kinds[row.is_demonstration] / parts] for row in mine])


class MeanOfMeansByTokens(PlantedEngine):
    """Every micro-batch weighs the same, however many tokens it has."""

    def score(self, inputs: ModelInputs, **options: bool) -> TokenScores:
        """Score the next micro-batch, and remember of it what the fault needs."""
        self.tokens = int(inputs.response_mask.sum())
        return super().score(inputs, **options)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        trained = {index for rank in self.layout.micro_batches for batch in rank for index in batch}
        total = sum(len(self.rows[index].tokens) for index in trained)
        super().backward(loss * total / (self.tokens * self.ranks.size * self.steps), last=last)


class AccumulationMultiplied(PlantedEngine):
    """The loss is not divided by the number of micro-batches where the gradient is their sum."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        super().backward(loss * self.steps, last=last)


class AccumulationDivided(PlantedEngine):
    """The loss, a sum already, is divided by the number of micro-batches once more."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        super().backward(loss / self.steps, last=last)


class RankMultiplied(PlantedEngine):
    """Gradients are summed over ranks, after the loss was multiplied by their number."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        super().backward(loss * self.ranks.size, last=last)


class RankDivided(PlantedEngine):
    """Gradients are averaged over ranks although each loss is a share of the step's sum."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        super().backward(loss / self.ranks.size, last=last)


class ShiftedRight(Reweighing):
    """The response mask begins and ends one token late."""

    def factor(self, inputs: ModelInputs) -> Tensor:
        """Return what each token's gradient is multiplied with."""
        return torch.nn.functional.pad(inputs.response_mask, (1, 0))[:, :-1]


class ShiftedLeft(Reweighing):
    """The response mask begins and ends one token early."""

    def factor(self, inputs: ModelInputs) -> Tensor:
        """Return what each token's gradient is multiplied with."""
        return torch.nn.functional.pad(inputs.response_mask, (0, 1))[:, 1:]


class SequenceMeanForTokens(Reweighing):
    """Rollouts' tokens are averaged in each response, and these means over responses."""

    def factor(self, inputs: ModelInputs) -> Tensor:
        """Return what each token's gradient is multiplied with."""
        rollouts = [len(row.tokens) for row in self.rows if not row.is_demonstration]
        mean = sum(rollouts) / len(rollouts)
        mine = self.inside(inputs)
        return torch.tensor([[1.0 if row.is_demonstration else mean / len(row.tokens)] for row in mine])


PLANTS: dict[str, type[PlantedEngine]] = {
    "dropped_micro_batches": DroppedButLast,
    "dropped_micro_batches:first": DroppedFirst,
    "dropped_micro_batches:rank": DroppedRank,
    "mean_of_means": MeanOfMeans,
    "mean_of_means:tokens": MeanOfMeansByTokens,
    "accumulation_factor": AccumulationMultiplied,
    "accumulation_factor:divided": AccumulationDivided,
    "rank_factor": RankMultiplied,
    "rank_factor:divided": RankDivided,
    "shifted_mask": ShiftedRight,
    "shifted_mask:left": ShiftedLeft,
    "sequence_mean": SequenceMeanForTokens,
    "no_clip": NoClip,
    "clip_scale": ClippedMicroBatches,
    "leftover_gradient": Leftover,
    "wrong_norm": WrongNorm,
    "no_step": NoStep,
}
"""By what `--plant` calls them: the fault's name, and which form of it."""
