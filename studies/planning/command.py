"""What `python -m studies.plan` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from studies.study_argument import study_named

_NUMBER = tyro.conf.arg(metavar="N", help_behavior_hint="")


@dataclass(frozen=True)
class Command:
    """Tell what a study needs before anything of it runs: memory by ZeRO stage, tokens, FLOPs, hours, disk.

    All numbers are estimates but for the model's size; the output names what they leave out. Exit code 1: the
    setting doesn't fit the GPUs; the output names the smallest change that does.
    """

    study: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME_OR_FILE", help_behavior_hint="")
    ] = ""
    """Name of a study, or path of a Python file that defines STUDY."""
    scale: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME_OR_FILE")] = ()
    """Name of a scale, or path of a Python file that defines SCALE; the study's own (tiny) if left out."""
    seeds: Annotated[int | None, _NUMBER] = None
    """Plan for seeds 0 to N-1 instead of the study's own."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], tyro.conf.arg(metavar="KEY=VALUE ...")
    ] = ()
    """Change settings, arguments and parts, as studies.run does (train.engine.zero_stage=2);
    may be repeated."""
    gpus: Annotated[int | None, _NUMBER] = None
    """GPUs of a run, each with one process; the scale's `ranks` if it is left out."""
    gpu_memory: Annotated[float | None, tyro.conf.arg(metavar="GIB", help_behavior_hint="")] = None
    """Memory of a GPU in GiB: what does not fit is refused. Left out, needs are told, nothing is refused."""
    response_tokens: Annotated[int | None, _NUMBER] = None
    """Mean length of responses and demonstrations for tokens, FLOPs and hours; the longest if it is left out.
    Memory is always that of the longest."""
    prompt_tokens: Annotated[int | None, _NUMBER] = None
    """Mean length of prompts; the longest if it is left out."""
    gpu_tflops: float = 312.0
    """Peak of a GPU in the precision of training, in TFLOP/s: an A100's or A800's in bf16."""
    gpu_bandwidth: float = 2039.0
    """Memory bandwidth of a GPU in GB/s: an A100's or A800's with 80 GB."""
    utilization: float = 0.4
    """Share of the peak that training, scoring and reading prompts reach."""
    decode_utilization: float = 0.5
    """Share of the bandwidth that sampling reaches; it is bound by memory, not by arithmetic."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The words that `--set` was given, in order."""
        return tuple(word for group in self.set for word in group)


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here.

    `--set` takes all words that follow it: in `--set train.steps=10 ablation_gate` the study among them.
    """
    command = tyro.cli(
        Command, prog="python -m studies.plan", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return study_named(command, "set")
