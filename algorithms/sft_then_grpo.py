"""SFT, then GRPO: the two-phase baseline, one run, each phase with a fresh optimizer.

Terms: SFT's on demonstrations, then GRPO's on rollouts.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), sec. 3.1.
"""

from algorithms.estimators import clipped, imitation
from core import Algorithm, Curriculum, Demonstrations, Rollouts, SequenceMean, Stage, Term, TokenMean


def sft_then_grpo(
    *, sft_share: float = 0.5, clip_low: float = 0.2, clip_high: float = 0.2, normalize_std: bool = True
) -> Curriculum:
    """Compose supervised fine-tuning followed by GRPO.

    Args:
        sft_share: Share of the run's steps spent on demonstrations.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        normalize_std: Divide advantages by the group's standard deviation.
    """
    reinforce = clipped(clip_low, clip_high, normalize_std=normalize_std)
    sft = Algorithm("sft", terms=(Term("imitate", imitation(), Demonstrations(), TokenMean()),))
    grpo = Algorithm("grpo", terms=(Term("reinforce", reinforce, Rollouts(), SequenceMean()),))
    return Curriculum("sft_then_grpo", (Stage(sft, sft_share), Stage(grpo, 1.0 - sft_share)))
