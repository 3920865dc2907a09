"""PPO: clipped policy gradient with generalised advantage estimation and a critic.

Terms: ClipMask · BehaviorPolicy · Whitened(Gae) · TokenLikelihood on rollouts, mean over tokens; and the
clipped squared error of the critic's values.
See Proximal Policy Optimization Algorithms, Schulman et al., 2017 (https://arxiv.org/abs/1707.06347), eq. 7
and 9; High-Dimensional Continuous Control Using Generalized Advantage Estimation, Schulman et al., 2016
(https://arxiv.org/abs/1506.02438), eq. 16.
Differs from the paper: advantages are whitened over the step's tokens and values are clipped, as PPO for
language models does; no entropy bonus.
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Gae,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    Whitened,
)


def ppo(
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    gamma: float = 1.0,
    lam: float = 1.0,
    value_weight: float = 1.0,
    value_clip: float = 0.5,
) -> Algorithm:
    """Compose PPO.

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        gamma: Discount of later rewards.
        lam: λ of the advantage estimator; 1 is the Monte Carlo return.
        value_weight: Factor of the critic's loss ½(V − R)².
        value_clip: How far a value may move from the one when the rollouts were sampled.
    """
    gae = Gae(gamma, lam)
    reinforce = PolicyGradient(
        ClipMask(clip_low, clip_high), BehaviorPolicy(), Whitened(gae), TokenLikelihood()
    )
    critic = ValueLoss(gae, value_weight, Rollouts(), TokenMean(), clip=value_clip)
    return Algorithm("ppo", terms=(Term("reinforce", reinforce, Rollouts(), TokenMean()), critic))
