"""What an algorithm needs of the models before an update: passes without gradient over all its rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core import Algorithm, Curriculum, check_provided
from training.engine import Engine
from training.packing import own_micro_batches, shortest
from training.policy import ScoringPolicy, TokenScores
from training.ranks import Ranks
from training.responses import ModelInputs, Response, collate


@dataclass(frozen=True)
class Models:
    """Everything with weights.

    Args:
        policy: What is trained.
        critic: What foretells rewards, for algorithms that need values.
        reference: The frozen anchor, for algorithms that need its log-probs.
    """

    policy: Engine[TokenScores]
    critic: Engine[Tensor] | None = None
    reference: ScoringPolicy | None = None

    @property
    def ranks(self) -> Ranks:
        """The processes that train together."""
        return self.policy.ranks


def needed(algorithm: Algorithm | Curriculum) -> frozenset[str]:
    """Return what all stages of an algorithm need, side steps included."""
    found: frozenset[str] = frozenset()
    for stage in algorithm.stages:
        aside = stage.algorithm.aside
        found |= stage.algorithm.needs | stage.algorithm.plan_needs
        found |= needed(aside.algorithm) if aside is not None else frozenset()
    return found


def check_providers(models: Models, algorithm: Algorithm) -> None:
    """Raise ValueError where an algorithm needs a model that is not there, or what no model gives."""
    check_provided(algorithm)
    needs = needed(algorithm)
    if "value" in needs and models.critic is None:
        raise ValueError(
            f"algorithm {algorithm.name!r} needs the values of a critic, and there is none; give the Learner "
            "the one that load_critic returns, or use an advantage without values, such as GroupRelative"
        )
    if "reference_logp" in needs and models.reference is None:
        raise ValueError(
            f"algorithm {algorithm.name!r} needs reference_logp, and there is no reference policy; give the "
            "Learner the one that load_reference returns, or leave out the parts that compare with it"
        )


def forward_rows(
    score: Callable[[ModelInputs], Iterable[Tensor]], rows: Sequence[Response], models: Models
) -> list[Tensor]:
    """Return each tensor that `score` gives, of all rows in their order; 0 where there is no token.

    Every rank scores its share of the rows and is told the others'.
    """
    device = models.policy.device
    mine: list[tuple[list[int], list[Tensor]]] = []
    for index in own_micro_batches(rows, models.policy.config.micro_batch_tokens, models.ranks):
        inputs = collate([rows[i] for i in index or [shortest(rows)]], device)
        with torch.no_grad():
            parts = [torch.where(inputs.response_mask, part, 0.0) for part in score(inputs)]
        if index:
            mine.append((index, [part.cpu() for part in parts]))
    width = max(len(row.tokens) for row in rows)
    found: list[Tensor] = []
    for index, parts in itertools.chain.from_iterable(models.ranks.gather(mine)):
        found = found or [part.new_zeros(len(rows), width, device=device) for part in parts]
        for whole, part in zip(found, parts, strict=True):
            whole[index, : part.shape[1]] = part.to(device)
    return found


def policy_scores(models: Models, rows: Sequence[Response]) -> TokenScores:
    """Return log-probs and entropies of all rows under the policy as it is now."""
    return TokenScores(*forward_rows(models.policy.score, rows, models))


def _values(models: Models, rows: Sequence[Response]) -> dict[str, Tensor]:
    critic = models.critic
    if critic is None:
        return {}
    (value,) = forward_rows(lambda inputs: [critic.score(inputs)], rows, models)
    return {"value": value}


def at_sampling(models: Models, algorithm: Algorithm, rows: Sequence[Response]) -> dict[str, Tensor]:
    """Return what an algorithm needs of the models as they were when the rows were sampled."""
    found = {}
    if "behavior_logp" in algorithm.needs:
        found["behavior_logp"] = policy_scores(models, rows).logp
    if "value" in algorithm.needs:
        found |= _values(models, rows)
    return found


def provide(
    models: Models, algorithm: Algorithm, rows: Sequence[Response], sampled: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the fields of `TokenBatch` that the models give the rows of one update before it is planned.

    Args:
        models: As they are before the update.
        algorithm: Names what it needs.
        rows: All rows of the update.
        sampled: What `at_sampling` gave; nothing where the models are still the same. Behavior log-probs are
            then found in the update itself, unless the plan needs them: ratios are exactly 1 so.
    """
    needs = algorithm.needs | algorithm.plan_needs
    found = dict(sampled)
    wanted = needs & {"current_logp", "current_entropy"}
    if "behavior_logp" not in sampled:
        wanted |= algorithm.plan_needs & {"behavior_logp"}
    if wanted:
        logp, entropy = policy_scores(models, rows)
        fields = {"behavior_logp": logp, "current_logp": logp, "current_entropy": entropy}
        found |= {name: fields[name] for name in wanted}
    reference = models.reference
    if "reference_logp" in needs and reference is not None:
        (found["reference_logp"],) = forward_rows(lambda inputs: reference(inputs)[:1], rows, models)
    if "value" in needs and "value" not in sampled:
        found |= _values(models, rows)
    return found
