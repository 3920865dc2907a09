"""Memory of activations and logits: what autograd keeps of a micro-batch, and what is there beside it."""

from __future__ import annotations

from dataclasses import dataclass

from studies.planning.architecture import Architecture
from studies.planning.states import width
from training.config import EngineConfig
from training.policy import PART_LOGITS

COPIES = 20
"""Bytes of a logit while it is scored and its gradient made: five copies in fp32 (training/policy.py)."""


@dataclass(frozen=True)
class MicroBatch:
    """The largest micro-batch.

    Args:
        tokens: Rows × width, padding included.
        width: Longest prompt + longest response.
    """

    tokens: int
    width: int


@dataclass(frozen=True)
class Activations:
    """Bytes of a micro-batch on one GPU.

    Args:
        kept: What stays from forward to backward, logits left out.
        layer: What comes on top while a layer is gone through.
        logits: What comes on top while responses are scored, the last norm included; it is not there at the
            same time as `layer`.
    """

    kept: float
    layer: float
    logits: float

    @property
    def most(self) -> float:
        """Bytes at the most crowded moment."""
        return self.kept + max(self.layer, self.logits)


def activations(model: Architecture, engine: EngineConfig, batch: MicroBatch) -> Activations:
    """Return what a micro-batch needs of activations and logits.

    Korthikanti et al., 2022 (https://arxiv.org/abs/2205.05198), §4, count what a layer's backward reads:
    there s·b·h·(34 + 5·a·s/h) bytes for a GPT; all layers without recomputation, and with it their inputs and
    one layer. Differs from it: the layers are those of Qwen2 and Llama as transformers has them, without
    tensor parallelism, and attention keeps no scores but a mask. With b bytes an activation, a token of a
    layer keeps

        2·(4 + 2b)·hidden + 4·b·attention + 4·b·intermediate + b·width + 4·heads + 8

    bytes: two norms with an input in fp32; queries, keys, values (repeated for all heads) and the output of
    attention; the four of the gated MLP; a row of the mask; log-sum-exps and the norms' scales. Backward
    holds gradients of two of the MLP and of two of the residual stream besides.

    Args:
        model: Its sizes.
        engine: Precision, gradient checkpointing.
        batch: The largest micro-batch.
    """
    b = width(engine.precision)
    norm = (4 + 2 * b) * model.hidden
    layer = 2 * norm + 4 * b * (model.attention + model.intermediate) + b * batch.width + 4 * model.heads + 8
    gradients = 2 * b * (model.intermediate + model.hidden)
    if engine.gradient_checkpointing:
        kept, most = model.layers * b * model.hidden, layer + gradients
    else:
        kept, most = model.layers * layer, gradients
    return Activations(
        kept=kept * batch.tokens,
        layer=most * batch.tokens,
        logits=norm * batch.tokens + _logits(model.vocabulary * batch.tokens, b),
    )


def _logits(count: int, b: int) -> float:
    """Return the bytes of scoring so many logits at once: all positions, as if prompts were short."""
    if count <= PART_LOGITS:
        return COPIES * count
    # The logits as the model gave them, their gradient, and the copies of one part.
    return 2 * b * count + COPIES * PART_LOGITS
