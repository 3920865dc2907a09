"""Imitation whose tokens are weighted by the policy's own probabilities: DFT, f_α, TrSFT, iw-SFT, PSFT.

Term: the mask · the denominator · Constant(1) · TokenLikelihood on demonstrations, mean over tokens. The
denominator decides the weight π_θ/π_ref of a token: π_θ (DFT), π_θ^α (f_α), min(π_θ/floor, 1) (TrSFT), the
response's clipped importance weight (iw-SFT), or the clipped ratio to the behavior policy (PSFT).
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    ClippedRatio,
    Constant,
    Demonstrations,
    Denominator,
    Detached,
    FlooredPolicy,
    KeepAll,
    PolicyGradient,
    PowerPolicy,
    Term,
    TokenLikelihood,
    TokenMean,
    Unit,
)


def _weighted(name: str, denominator: Denominator) -> Algorithm:
    estimator = PolicyGradient(KeepAll(), denominator, Constant(1.0), TokenLikelihood())
    return Algorithm(name, terms=(Term("imitate", estimator, Demonstrations(), TokenMean()),))


def dft() -> Algorithm:
    """Compose dynamic fine-tuning: tokens weigh as much as they are probable, c = π_θ.

    See On the Generalization of SFT, Wu et al., 2025 (https://arxiv.org/abs/2508.05629), eq. 9.
    """
    return _weighted("dft", Detached(Unit()))


def f_alpha(*, alpha: float = 0.5) -> Algorithm:
    """Compose the family between SFT and DFT: loss (1 − π_θ^α)/α, c = π_θ^α.

    See Beyond Log Likelihood, Li et al., 2025 (https://arxiv.org/abs/2510.00526).

    Args:
        alpha: α; 0 is SFT, 1 has the gradient of DFT.
    """
    return _weighted("f_alpha", PowerPolicy(alpha))


def trsft(*, floor: float = 0.1) -> Algorithm:
    """Compose trust-region SFT: imitation of likely tokens, fading linearly below a probability.

    See Trust-Region Adaptive Policy Optimization, Su et al., 2025 (https://arxiv.org/abs/2512.17636).
    Differs from the paper: it imitates prefixes that grow within a group, and reinforces what the policy
    makes of them; here whole demonstrations are imitated, and nothing else is done.

    Args:
        floor: Probability from which on tokens are imitated in full.
    """
    return _weighted("trsft", FlooredPolicy(floor))


def iw_sft(*, high: float = 16.0) -> Algorithm:
    """Compose importance-weighted SFT: demonstrations weigh as much as the policy has come to favor them.

    w = clip((π_θ(y)/π_0(y))^(1/|y|), 0, high),   π_0 the policy that the run started from

    See Supervised Fine Tuning on Curated Data is Reinforcement Learning (and can be improved), Qin and
    Springenberg, 2025 (https://arxiv.org/abs/2507.12856).
    Differs from the paper: the weight is that of the released code with its temperature of 1.

    Args:
        high: Largest weight of a response.
    """
    return _weighted("iw_sft", ClippedRatio(None, high, to="reference", level="sequence_mean"))


def psft(*, clip_high: float = 0.28) -> Algorithm:
    """Compose proximal SFT: PPO's clip on demonstrations, with advantage 1.

    See Proximal Supervised Fine-Tuning, Zhu et al., 2025 (https://arxiv.org/abs/2508.17784).

    Args:
        clip_high: Distance of the ratio's upper bound from 1; with a positive advantage there is no other.
    """
    estimator = PolicyGradient(ClipMask(high=clip_high), BehaviorPolicy(), Constant(1.0), TokenLikelihood())
    return Algorithm("psft", terms=(Term("imitate", estimator, Demonstrations(), TokenMean()),))
