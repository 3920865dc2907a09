"""Proof after every push that vLLM samples from the very policy that is trained."""

from __future__ import annotations

from training.config import Precision
from training.rollout import LivePolicy, Sampled
from training.seeds import derive_seed
from training.vllm_engine import Request, VllmEngine

TOLERANCE: dict[Precision, float] = {
    # The order of sums alone moves log-probs by about 1e-6; a stale layer by far more than this.
    "fp32": 1e-3,
    # Logits near 16 are 1/8 apart in bf16, and vLLM and the trainer each round them: single tokens of peaked
    # policies differed by 0.4, but means by 0.1 at most; by 0.3 where weights were stale by 2 % of noise.
    "bf16": 0.2,
}
"""Most that log-probs may differ by, on average, in nats."""
_TOKENS = 8


class StaleWeightsError(RuntimeError):
    """vLLM's log-probs are not the trainer's: it holds other weights, or remembers what others computed."""


def check_weights(engine: VllmEngine, policy: LivePolicy, temperature: float) -> None:
    """Compare log-probs of one prompt's response with the policy's own.

    The prompt is always the same and longer than a block of the cache, so that what an earlier push has left
    there would be used again; the second time, what this one has left there is. Weights that are stale by
    less than the tolerance shows pass, and are noticed later, when they have fallen further behind.

    Raises:
        StaleWeightsError: They differ.
    """
    length = max(1, min(engine.block_size + 4, engine.spec.max_tokens - _TOKENS))
    prompt = tuple(derive_seed("check", place) % engine.vocabulary for place in range(length))
    limit = min(_TOKENS, engine.spec.max_tokens - length)
    for _ in range(2):
        answer = engine.generate([Request(prompt, limit, seed=0)], temperature, top_p=1.0, stop=None)[0]
        _compare(answer, policy.logp(prompt, answer.tokens), TOLERANCE[engine.spec.precision])


def _compare(answer: Sampled, expected: list[float], tolerance: float) -> None:
    gaps = [abs(found - wanted) for found, wanted in zip(answer.logp, expected, strict=True)]
    mean = sum(gaps) / len(gaps)
    # Not `mean > tolerance`: a policy's NaN is no agreement.
    if not mean <= tolerance:
        place = gaps.index(max(gaps))
        raise StaleWeightsError(
            f"after new weights were pushed, vLLM's log-probs differ from the trainer's by {mean:.3g} on "
            f"average, more than {tolerance:g}, and most for token {answer.tokens[place]}: "
            f"{answer.logp[place]:.6f} and {expected[place]:.6f}. vLLM does not hold the weights that are "
            "trained; sample with rollout.backend='transformers', or check that this vLLM knows the model"
        )
