"""Rollouts: responses sampled from the policy as it is now, whatever samples them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor


class Sampled(NamedTuple):
    """One sampled response: its tokens, their log-probs where it was sampled, and whether it was cut off."""

    tokens: tuple[int, ...]
    logp: tuple[float, ...]
    truncated: bool


@dataclass(frozen=True)
class Sampling:
    """How to sample: logits over `temperature` (0 is greedy), the `top_p` nucleus, at most so many tokens.

    `max_tokens` is one number for all responses, or one for each.
    """

    temperature: float
    top_p: float
    max_tokens: int | tuple[int, ...]
    batch_size: int

    def limits(self, prompts: int) -> tuple[int, ...]:
        """Return the most tokens of each of so many responses."""
        if isinstance(self.max_tokens, int):
            return (self.max_tokens,) * prompts
        if len(self.max_tokens) != prompts:
            raise ValueError(
                f"Sampling.max_tokens holds {len(self.max_tokens)} limits for {prompts} prompts; give one "
                "number for all, or one for each"
            )
        return self.max_tokens


class LivePolicy(Protocol):
    """A policy that changes, as a rollout backend follows it. All methods are collective."""

    @property
    def version(self) -> int:
        """Another number whenever the weights have changed."""
        ...

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each whole weight by its Hugging Face name, a tied one once; use it before the next."""
        ...

    def logp(self, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Return the log-prob of each token after a prompt, at the temperature of the rollouts."""
        ...


class Sampler(Protocol):
    """A rollout backend. All methods are collective: each rank samples a share, and is told the others'."""

    def follow(self, policy: LivePolicy | None) -> None:
        """Sample from this policy from now on, as it is whenever `sample` is called; None: as it was last."""
        ...

    def refresh(self) -> None:
        """Take over the policy's weights as they are now, if they have changed."""
        ...

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order; equal prompts get draws of their own."""
        ...
