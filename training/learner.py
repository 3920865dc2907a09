"""Everything that learns: one rollout batch in, new weights and a report out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core import Algorithm
from core.types import State
from training.config import TrainConfig
from training.engine import Engine
from training.metrics import UpdateReport
from training.policy import ScoringPolicy, TokenScores
from training.providers import Models, at_sampling, check_providers, provide
from training.ranks import Ranks
from training.responses import Response, token_batch
from training.row_use import RowUse
from training.update import Rates, Updated, update


@dataclass(frozen=True)
class Learned:
    """What the updates of one rollout batch did, and what stateful parts remember after them.

    Args:
        report: Sums over the updates.
        memory: What stateful parts remember.
        uses: What became of each row.
    """

    report: UpdateReport
    memory: Mapping[str, State]
    uses: Sequence[RowUse] = ()

    def metrics(self) -> dict[str, Any]:
        """Return the step's metrics of training."""
        return self.report.metrics()


class Learner:
    """The policy, and what is trained or asked beside it.

    Args:
        engine: Holds the policy.
        config: Updates of a rollout batch, and the critic's learning rate and warm-up.
        critic: Holds the critic, for algorithms that need values.
        reference: The frozen policy, for algorithms that need its log-probs.
    """

    def __init__(
        self,
        engine: Engine[TokenScores],
        config: TrainConfig,
        *,
        critic: Engine[Tensor] | None = None,
        reference: ScoringPolicy | None = None,
    ) -> None:
        self.config = config
        self._models = Models(engine, critic, reference)
        self._critic_batches = 0

    @property
    def ranks(self) -> Ranks:
        """The processes that learn together."""
        return self._models.ranks

    def learn(
        self,
        algorithm: Algorithm,
        rows: Sequence[Response],
        *,
        learning_rate: float,
        progress: float,
        memory: Mapping[str, State],
    ) -> Learned:
        """Take the updates of one rollout batch, each on its share of the questions.

        Every rank is given all rows, and is told the whole batch's report.

        Args:
            algorithm: The estimator.
            rows: Responses of the batch, those that no term selects included.
            learning_rate: Of the policy.
            progress: Share of the run's steps that are done.
            memory: What stateful parts remember from the batch before.

        Raises:
            ValueError: The algorithm needs a critic or a reference policy, and there is none.
            NotFiniteError: A loss or a gradient's norm is not a number.
        """
        check_providers(self._models, algorithm)
        rates = self._rates(algorithm, learning_rate)
        shares = list(_shares(rows, self.config.updates_per_step))
        # Models change with every update: what belongs to the moment of sampling is taken first.
        later = [at_sampling(self._models, algorithm, part) for part in shares[1:]]
        report = UpdateReport()
        uses: list[RowUse] = []
        for part, known in zip(shares, [{}, *later], strict=True):
            found = self._update(algorithm, part, known, progress=progress, memory=memory, rates=rates)
            report.add(found.report)
            uses += found.uses
            # Parts of other algorithms (side steps, other stages) keep what they remember.
            memory = {**memory, **found.memory}
        self._critic_batches += "value" in algorithm.needs
        return Learned(report, memory, uses)

    def _rates(self, algorithm: Algorithm, learning_rate: float) -> Rates:
        warming_up = "value" in algorithm.needs and self._critic_batches < self.config.critic.warmup_steps
        return Rates(None if warming_up else learning_rate, self.config.critic.learning_rate)

    def _update(
        self,
        algorithm: Algorithm,
        rows: Sequence[Response],
        sampled: Mapping[str, Tensor],
        *,
        progress: float,
        memory: Mapping[str, State],
        rates: Rates,
    ) -> Updated:
        known: dict[str, Any] = provide(self._models, algorithm, rows, sampled)
        step = dataclasses.replace(
            token_batch(rows, self._models.policy.device), progress=progress, memory=memory, **known
        )
        return update(self._models, algorithm, step, rows, rates)

    def reset_optimizer(self) -> None:
        """Forget moments and step counts of the policy's and the critic's optimizer."""
        self._models.policy.reset_optimizer()
        if self._models.critic is not None:
            self._models.critic.reset_optimizer()

    def save(self, path: Path) -> None:
        """Write weights and optimizer states under `path`; the critic's in a folder of its own."""
        self._models.policy.save(path)
        if self._models.critic is not None:
            self._models.critic.save(path / "critic")
            if self.ranks.first:
                (path / "critic" / "state.json").write_text(json.dumps({"batches": self._critic_batches}))

    def load(self, path: Path) -> None:
        """Take back what `save` wrote.

        Raises:
            FileNotFoundError: There is no checkpoint, or none of the critic.
        """
        self._models.policy.load(path)
        if self._models.critic is not None:
            self._models.critic.load(path / "critic")
            self._critic_batches = json.loads((path / "critic" / "state.json").read_text())["batches"]


def _shares(responses: Sequence[Response], parts: int) -> Iterator[list[Response]]:
    """Split responses into `parts` by question, in order of first appearance, whole questions each."""
    questions = list(dict.fromkeys(response.question for response in responses))
    for part in range(parts):
        own = set(questions[part * len(questions) // parts : (part + 1) * len(questions) // parts])
        rows = [response for response in responses if response.question in own]
        if rows:
            yield rows
