"""What `python -m evaluation.run` understands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Command:
    """Score a model on benchmarks, with a standard error on each number.

    Every answer is written to samples.jsonl in the output folder, with its grade. A run that was interrupted
    or killed goes on where it was; only what is missing is sampled.
    """

    model: Annotated[str, tyro.conf.arg(metavar="DIR_OR_HUB")]
    """Folder of a Hugging Face model, or its name on the hub."""
    suite: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint="")] = ("paper",)
    """Suites, or groups of suites: paper is aime24 aime25 amc83 math500 minerva_math olympiadbench
    arc_challenge gpqa_diamond; amc23 is the AMC of 40 problems. An unknown name lists all."""
    protocol: Literal["paper", "fast", "greedy"] = "paper"
    """paper: 32 samples a question on AIME and AMC, 1 elsewhere, temperature 0.6, top_p 0.95, 8,192 tokens.
    fast: 4 and 1 samples, 4,096 tokens, the first 100 questions. greedy: 1 sample, temperature 0."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder with a jsonl file for each suite; without it, data come from the Hugging Face hub."""
    backend: Annotated[
        Literal["hf", "vllm"] | None, tyro.conf.arg(metavar="{hf,vllm}", help_behavior_hint="")
    ] = None
    """What runs the model; by default vllm where there is a GPU and vLLM is installed, else hf."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Folder for eval.json, samples.jsonl and table.md; by default
    results/evaluations/MODEL/PROTOCOL-seedSEED."""
    template: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Prompt template of a model without a chat template: question_answer, which the paper gives Llama."""
    seed: int = 0
    """Of sampling."""
    samples: Annotated[int | None, tyro.conf.arg(metavar="K", help_behavior_hint="")] = None
    """Answers to each question, of every suite; otherwise the protocol's."""
    temperature: Annotated[float | None, tyro.conf.arg(metavar="T", help_behavior_hint="")] = None
    """Instead of the protocol's; 0 is greedy."""
    top_p: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint="")] = None
    """Instead of the protocol's."""
    max_tokens: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Longest answer, instead of the protocol's."""
    limit: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Only the first questions of each suite; 0 lifts the protocol's limit."""
    option_seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Of the order of options in multiple choice; -1 keeps the data's order."""
    changed_data: bool = False
    """Let a file have other questions than its task was written for; the records and the table say so."""
    batch_size: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Answers sampled at once, and lost at most when the process is killed: 32 with hf, 1,024 with vllm."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; auto takes that of the model's config.json."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE", help_behavior_hint="")] = None
    """Where hf puts the model, such as cuda:1 or cpu."""
    gpus: int = 1
    """GPUs that vllm shares the model out to."""

    def again(self) -> str:
        """Return the command line that says the same."""
        words = ["python", "-m", "evaluation.run", "--model", self.model, "--suite", *self.suite]
        defaults = Command(self.model)
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name not in ("model", "suite", "output") and value != getattr(defaults, name):
                words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return shlex.join(words)


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return what a command line says, the process's own if None; --help and mistakes end the process."""
    return tyro.cli(
        Command, prog="python -m evaluation.run", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
