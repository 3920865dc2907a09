"""ReLIFT: GRPO, interleaved with imitation of the questions that no rollout solved.

Term: GRPO's on rollouts; for every `questions` unsolved questions, one step of SFT on their demonstrations.
See Learning What Reinforcement Learning Can't, Ma et al., 2025 (https://arxiv.org/abs/2506.07527), alg. 1.
Differs from the paper: the SFT step is one of the run's steps, with the same learning rate and optimizer.
Differs from the released code: it reinforces without clip and std, with a token sum over a constant, and adds
an entropy bonus to both kinds of steps.
"""

from algorithms.estimators import clipped, imitation
from core import Algorithm, Demonstrations, Rollouts, SequenceMean, SideStep, Term, TokenMean


def relift(
    *, questions: int = 128, gate: float = 0.0, clip_low: float = 0.2, clip_high: float = 0.2
) -> Algorithm:
    """Compose ReLIFT.

    Args:
        questions: Unsolved questions that make up a step of imitation.
        gate: A question counts as unsolved while its solve rate is at most this.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    reinforce = Term("reinforce", clipped(clip_low, clip_high), Rollouts(), SequenceMean())
    sft = Algorithm("sft", terms=(Term("imitate", imitation(), Demonstrations(), TokenMean()),))
    return Algorithm("relift", terms=(reinforce,), aside=SideStep(sft, gate, questions))
