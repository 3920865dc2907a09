"""The floating-point operations of a step that was taken, from the lengths of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import Algorithm
from studies.planning.architecture import Architecture
from studies.planning.work import Lengths, backward_flops, forward_flops, policy_passes, sampling_flops
from training.collect import Batch
from training.config import TrainConfig
from training.responses import Response
from training.row_use import RowUse


@dataclass(frozen=True)
class StepFlops:
    """Counts what a step took, by the forms that `studies.plan` foretells it with (planning/work.py).

    Rows that no term gives a gradient are scored but not trained on; what a rollout was given is read, not
    sampled.

    Args:
        model: Sizes of the policy; the critic's body is taken to be the same.
        train: Settings.
    """

    model: Architecture
    train: TrainConfig

    def __call__(self, algorithm: Algorithm, batch: Batch, uses: Sequence[RowUse]) -> float:
        """Return the FLOPs of sampling a step's batch, and of scoring and training on its rows."""
        drawn = [each.response for each in (*batch.rollouts, *batch.greedy)]
        # Asked once: to go through an algorithm's parts takes longer than to count a row.
        needs = algorithm.needs | algorithm.plan_needs
        passes = policy_passes(algorithm, self.train.updates_per_step) + ("reference_logp" in needs)
        rows = sum(self._row(use, passes, valued="value" in needs) for use in uses)
        return self._sampling(drawn) + rows

    def _sampling(self, drawn: Sequence[Response]) -> float:
        # Samples of one question share its prompt's keys and values.
        prompts = {row.question: len(row.prompt) for row in drawn}
        read = sum(prompts.values()) + sum(row.prefix_tokens for row in drawn)
        sampled = sum(
            sampling_flops(
                self.model,
                Lengths(len(row.prompt) + row.prefix_tokens, len(row.tokens) - row.prefix_tokens),
            )
            for row in drawn
        )
        return sampled + 2 * self.model.body * read

    def _row(self, use: RowUse, passes: float, *, valued: bool) -> float:
        """Return the FLOPs of a row that is scored so often, by a critic too where it is valued."""
        lengths = Lengths(len(use.row.prompt), len(use.row.tokens))
        flops = passes * forward_flops(self.model, lengths)
        if use.trained:
            flops += backward_flops(self.model, lengths, self.train.engine)
        if valued:
            flops += forward_flops(self.model, lengths, head=False)
            if use.trained:
                flops += backward_flops(self.model, lengths, self.train.engine, head=False)
        return flops
