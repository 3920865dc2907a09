"""The policy being trained: a causal language model that scores response tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from core.prompts import Tokenizer
from training.model_config import AS_PUBLISHED, check_loaded, load_config
from training.responses import ModelInputs
from training.tokens import CausalLM

Scores = TypeVar("Scores", covariant=True)

PART_LOGITS = 2**26
"""Most logits that are scored at once: 256 MiB in fp32, of which there are up to four copies."""


class Scorer(Protocol[Scores]):
    """A module that scores the tokens of responses: a policy or a critic."""

    def forward(self, inputs: ModelInputs) -> Scores:
        """Return the scores of each response token."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what is trained."""
        ...


class TokenScores(NamedTuple):
    """Log-prob of each response token, and the entropy of the distribution it is taken from; in nats."""

    logp: Tensor
    entropy: Tensor


class ScoringPolicy(nn.Module):
    """A causal language model whose forward returns log-probs and entropies of response tokens.

    Args:
        model: A Hugging Face causal language model.
        temperature: Logits are divided by this, as in sampling.
    """

    def __init__(self, model: CausalLM, temperature: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, inputs: ModelInputs, *, entropy_gradient: bool = False) -> TokenScores:
        """Score the responses; entropies carry a gradient only on request, for its memory's sake."""
        width = inputs.response_tokens.shape[1]
        logits = self.model(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            position_ids=inputs.position_ids,
            use_cache=False,
            # One more than the response: the first token is predicted at the prompt's last position.
            logits_to_keep=width + 1,
        ).logits[:, :-1]
        return self._in_parts(logits, inputs.response_tokens, entropy_gradient)

    def _in_parts(self, logits: Tensor, tokens: Tensor, entropy_gradient: bool) -> TokenScores:
        """Score so many positions at a time that few copies of the logits in fp32 are ever there.

        Of each part backward recomputes them: what is kept from forward are the logits as the model gave
        them, 2 bytes each in bf16, where it were 4, and 20 at the most crowded moment.
        """
        rows, width, vocabulary = logits.shape
        positions = max(1, PART_LOGITS // (rows * vocabulary))
        if width <= positions:
            return self._score(logits, tokens, entropy_gradient)
        parts = [
            checkpoint(self._score, *part, entropy_gradient, use_reentrant=False, preserve_rng_state=False)
            for part in zip(torch.split(logits, positions, 1), torch.split(tokens, positions, 1), strict=True)
        ]
        return TokenScores(*(torch.cat(each, dim=1) for each in zip(*parts, strict=True)))

    def _score(self, logits: Tensor, tokens: Tensor, entropy_gradient: bool) -> TokenScores:
        # At least fp32: log-sum-exp over a vocabulary loses too much in bf16.
        scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / self.temperature
        normalizer = scaled.logsumexp(dim=-1)
        chosen = scaled.gather(-1, tokens[..., None]).squeeze(-1)
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            probs = (scaled - normalizer[..., None]).exp()
            entropy = normalizer - (probs * scaled).sum(dim=-1)
        return TokenScores(chosen - normalizer, entropy)


def place(model: CausalLM, *, gradient_checkpointing: bool) -> CausalLM:
    """Return the model on the GPU, if there is one, ready to be trained without dropout."""
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        # transformers recomputes in training mode only; the dropout of that mode is kept off.
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.0
    return model


def parameter_type(precision: str) -> torch.dtype:
    """Return the type of parameters at a precision of the configuration."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def load_model(
    path: str,
    precision: str,
    *,
    overrides: Mapping[str, Any] = AS_PUBLISHED,
    gradient_checkpointing: bool = False,
) -> CausalLM:
    """Return a causal language model from a directory or the hub, on the GPU if there is one.

    Args:
        path: Directory or hub name.
        precision: Type of its parameters, "fp32" or "bf16".
        overrides: As `load_config` takes them.
        gradient_checkpointing: Recompute activations in backward.

    Raises:
        ValueError: An override is refused, or weights are missing.
    """
    from transformers import AutoModelForCausalLM

    model, loaded = AutoModelForCausalLM.from_pretrained(
        path,
        config=load_config(path, overrides),
        dtype=parameter_type(precision),
        trust_remote_code=False,
        output_loading_info=True,
    )
    check_loaded(path, loaded, overrides)
    return place(model, gradient_checkpointing=gradient_checkpointing)


def load_reference(
    path: str, precision: str, temperature: float, overrides: Mapping[str, Any] = AS_PUBLISHED
) -> ScoringPolicy:
    """Return the policy that a run starts from, frozen: the anchor of KL terms.

    Args:
        path: Directory or hub name of the run's base policy.
        precision: As the trained policy's, so that both start with the same log-probs.
        temperature: As the trained policy's.
        overrides: As the trained policy's.
    """
    reference = ScoringPolicy(load_model(path, precision, overrides=overrides), temperature)
    return reference.requires_grad_(False)


def load_tokenizer(path: str) -> Tokenizer:
    """Return the tokenizer of a policy; one without a padding token pads with end-of-sequence."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer of {path!r} has no end-of-sequence token, so responses can't end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
