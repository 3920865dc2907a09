"""Algorithms as compositions of the estimator's parts, and the registry of their names."""

from collections.abc import Callable

from algorithms.dr_grpo import dr_grpo
from algorithms.grpo import grpo
from algorithms.hpt import hpt, hpt_equations
from algorithms.reinforce import reinforce
from algorithms.sft import sft
from algorithms.sft_then_grpo import sft_then_grpo
from core import Algorithm, Curriculum

ALGORITHMS: dict[str, Callable[..., Algorithm | Curriculum]] = {
    "sft": sft,
    "reinforce": reinforce,
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "hpt": hpt,
    "hpt_equations": hpt_equations,
    "sft_then_grpo": sft_then_grpo,
}
