"""The `hf` backend: lm-eval's HFLM, asked batch by batch with a seed for each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from evaluation.backends.model import ModelConfig, ModelError, check_room, end_tokens, render, to_answer
from evaluation.config import EvalConfig
from evaluation.policy import Generated
from evaluation.suites import contained


class HfModel:
    """A model in lm-eval's HFLM.

    Not its `generate_until`: that tells neither tokens nor truncation, samples with what the model's files
    say beside the protocol, and knows no seed of a batch.

    Args:
        config: The model.

    Raises:
        ModelError: It cannot be loaded.
    """

    def __init__(self, config: ModelConfig) -> None:
        device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            # Loaded here and not by HFLM, which would look for other processes of accelerate's.
            model = AutoModelForCausalLM.from_pretrained(
                config.path, dtype=config.dtype, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(config.path, trust_remote_code=False)
            with contained():
                # Templates hold all special tokens, as in training: nothing is added.
                self._lm = HFLM(model.to(device).eval(), tokenizer=tokenizer, add_bos_token=False)
        except Exception as error:
            raise ModelError(f"{config.path} cannot be loaded: {type(error).__name__}: {error}") from error
        self._tokenizer = self._lm.tokenizer
        self._template = config.template
        self._ends = end_tokens(self._tokenizer, self._lm.model.generation_config)
        # The model's files must not change how it samples.
        self._lm.model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._ends), pad_token_id=self._tokenizer.pad_token_id
        )

    def render(self, problem: str) -> str:
        """Return the prompt of a problem."""
        return render(self._tokenizer, problem, self._template)

    def generate(self, prompts: Sequence[str], settings: EvalConfig, seed: int) -> list[Generated]:
        """Return one answer to each prompt."""
        inputs, mask = self._lm.tok_batch_encode(list(prompts))
        length, wanted = inputs.shape[1], settings.max_response_tokens
        check_room(length, wanted, self._lm.max_length)
        sampling = {"do_sample": False, "temperature": 0.0}
        if settings.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": settings.temperature,
                "top_p": settings.top_p,
                "top_k": 0,
            }
        device = self._lm.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            sampled = self._lm._model_generate(
                context=inputs.to(device),
                attention_mask=mask.to(device),
                max_length=length + wanted,
                stop=[],
                **sampling,
            )
        return [to_answer(self._tokenizer, row, self._ends) for row in sampled[:, length:].tolist()]
