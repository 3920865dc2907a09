"""A language model whose weights tell, after one step, what coefficient each token was trained with.

Its logits are the row of a table that the previous token names. In a batch where every previous token occurs
once, a row of the table is touched by one response token alone, so that its gradient is

    g = −ĉ_t · (onehot(y_t) − π_t)

and AdamW with decay rates of 0 changes it by Δ = lr · g / (|g| + ε), which can be inverted: one step of an
engine that is opaque otherwise reveals ĉ_t, normaliser and clip included.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.config import OptimizerConfig

CHUNKS = 3
"""Parameters that the table is cut into, of uneven sizes: engines sort and shard by parameter."""


class Logits(NamedTuple):
    """What a causal language model returns."""

    logits: Tensor


class Bigram(nn.Module):
    """The table as a causal language model, called as Hugging Face's are."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        # Direct parameters: ZeRO-3 gathers those of a module whose forward is called.
        for name, chunk in zip(self.names(), torch.split(table, chunk_rows(len(table))), strict=True):
            self.register_parameter(name, nn.Parameter(chunk.clone()))

    @staticmethod
    def names() -> list[str]:
        """Return the parameters' names, in the order of the table's rows."""
        return [f"table_{chunk}" for chunk in range(CHUNKS)]

    def forward(
        self,
        *,
        input_ids: Tensor,
        attention_mask: Tensor,  # noqa: ARG002
        position_ids: Tensor,  # noqa: ARG002
        use_cache: bool,  # noqa: ARG002
        logits_to_keep: int,
    ) -> Logits:
        """Return the logits after the last `logits_to_keep` tokens."""
        table = torch.cat([self.get_parameter(name) for name in self.names()])
        return Logits(nn.functional.embedding(input_ids[:, -logits_to_keep:], table))


def chunk_rows(rows: int) -> list[int]:
    """Return how many of the table's rows each parameter holds.

    The first two are so small that tokens of the audit's rows, whose ids are the lowest, fall into all three.
    """
    first = rows // 56
    second = rows // 24
    return [first, second, rows - first - second]


def initial_table(tokens: int) -> Tensor:
    """Return a table in float64 whose entries bf16 holds exactly: multiples of 1/8 in [−1, 1]."""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(-8, 9, (tokens, tokens), generator=draw).double() / 8


def revealing_optimizer(norm: float) -> OptimizerConfig:
    """Return an AdamW that changes weights by nearly their gradient over `norm`, and remembers nothing.

    Changes are then as large as the weights: fp32 loses nothing of them when they are added, whatever the
    gradient's scale.

    Args:
        norm: About the norm of the gradient after clipping.
    """
    return OptimizerConfig(learning_rate=1024.0, betas=(0.0, 0.0), epsilon=1024.0 * norm, weight_decay=0.0)


def gradient_of(change: Tensor, optimizer: OptimizerConfig) -> Tensor:
    """Return the gradient that AdamW made a change of the weights from.

    −change = lr · g / (|g| + ε), hence g = −change · ε / (lr − |change|)
    """
    return -change * optimizer.epsilon / (optimizer.learning_rate - change.abs())


def rounding(weights: Tensor, optimizer: OptimizerConfig) -> float:
    """Return what rounding to fp32 may change a gradient by that is read from weights of a size.

    Half of it for the weights themselves, half for the probabilities of logits as large.
    """
    return float(weights.max()) * 2.0**-22 * optimizer.epsilon / optimizer.learning_rate


class Revealed(NamedTuple):
    """What a gradient of the table says."""

    coefficient: Tensor
    """ĉ_t of each response token: the projection of its row of the gradient on π_t − onehot(y_t)."""
    residual: float
    """Largest entry of the gradient, in rows of response tokens, that no coefficient explains."""
    stray: float
    """Largest entry of the gradient in rows that belong to no response token."""


def reveal(gradient: Tensor, previous: Tensor, direction: Tensor) -> Revealed:
    """Return the coefficients in a gradient of the table.

    Args:
        gradient: Of the loss, in the table's shape.
        previous: Each response token's previous token: its row of the table.
        direction: onehot(y_t) − π_t of each response token.
    """
    rows = gradient[previous]
    coefficient = -(rows * direction).sum(dim=1) / (direction**2).sum(dim=1)
    residual = (rows + coefficient[:, None] * direction).abs().max()
    others = torch.ones(len(gradient), dtype=torch.bool)
    others[previous] = False
    return Revealed(coefficient, float(residual), float(gradient[others].abs().max()))
