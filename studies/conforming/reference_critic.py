"""PPO of the paper's released code: two losses of one step, on two masks.

The critic's loss counts one token more than the policy's: its mask is the response mask shifted right by
one, its first position counted too. So each loss is a piece of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    Gae,
    KeepAll,
    PolicyGradient,
    Term,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    Whitened,
)
from studies.conforming.composition import Composition, Piece, Reproduced
from studies.conforming.reference_losses import EVERYONE, PolicyLoss, Reading
from studies.conforming.reference_registry import exchanged
from studies.conforming.reference_rows import PastTheEnd, one_more


def actor_and_critic(reading: Reading, loss: PolicyLoss) -> Composition:
    """Return the composition of a case of PPO, but for its advantage estimator."""
    gae = Gae(reading.options.number("gamma", 1.0), reading.options.number("lam", 1.0))
    clip = reading.options.number("cliprange_value", 0.5)
    longer = reading.inputs.take("value_mask", one_more(reading.step.response_mask)).bool()
    registered = ALGORITHMS.get("ppo")
    low = None if loss.clip is None else min(loss.clip, 1.0)  # no ratio is below 0
    plain = low is not None and loss.length is None and not bool(reading.step.is_demonstration.any())
    if registered is not None and plain:
        algorithm = registered(
            clip_low=low, clip_high=loss.clip, gamma=gae.gamma, lam=gae.lam, value_clip=clip
        )
        assert isinstance(algorithm, Algorithm)
        algorithm = dataclasses.replace(algorithm, terms=exchanged(algorithm.terms, _past_the_end))
    else:
        # A critic needs a term that reads it; the actor's takes advantages computed beforehand.
        reads = PolicyGradient(KeepAll(), BehaviorPolicy(), gae, TokenLikelihood())
        reader = Term("reader", reads, EVERYONE, TokenMean(), weight=0.0)
        critic = ValueLoss(gae, 1.0, EVERYONE, TokenMean(), clip)
        algorithm = Algorithm("ppo of parts", (loss.term(EVERYONE), reader, critic))

    def observe(found: Reproduced) -> Mapping[str, Tensor]:
        return {
            "loss": found.losses[0]["reinforce"],
            "value_loss": found.losses[1]["value"],
            "returns": gae.returns(dataclasses.replace(reading.step, response_mask=longer)),
        }

    pieces = (
        Piece(_only(algorithm, "reinforce")),
        Piece(_only(algorithm, "value"), response_mask=longer),
    )
    return Composition(reading.step, reading.policy, pieces, observe=observe)


def _past_the_end(part: object) -> object:
    if not isinstance(part, Whitened):
        return part
    return dataclasses.replace(part, advantage=PastTheEnd(part.advantage))


def _only(algorithm: Algorithm, name: str) -> Algorithm:
    """Return the algorithm with weight 0 for every term but one."""
    terms = tuple(
        term if term.name == name else dataclasses.replace(term, weight=0.0)  # type: ignore[type-var]
        for term in algorithm.terms
    )
    return dataclasses.replace(algorithm, terms=terms)
