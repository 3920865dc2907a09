"""How many tokens a run samples and trains on, and the floating-point operations of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from core import Algorithm, Curriculum
from studies.planning.architecture import Architecture
from training.config import EngineConfig, TrainConfig


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a prompt, and of a response, which a demonstration counts as."""

    prompt: float
    response: float

    @property
    def row(self) -> float:
        """Tokens of a row."""
        return self.prompt + self.response


@dataclass(frozen=True)
class Work:
    """Tokens and FLOPs of a run; sums of others are taken with `+`.

    Args:
        sampled: Tokens sampled for training.
        trained: Tokens of all rows that go through a backward pass, prompts included, the critic's apart.
        evaluated: Tokens sampled for evaluation.
        train: FLOPs of forward, backward and recomputation, the critic's included.
        score: FLOPs of passes without gradient: behavior, reference, current log-probs, values.
        sample: FLOPs of sampling, in training and in evaluation, reading of prompts included.
    """

    sampled: float = 0.0
    trained: float = 0.0
    evaluated: float = 0.0
    train: float = 0.0
    score: float = 0.0
    sample: float = 0.0

    def __add__(self, other: Work) -> Work:
        """Return the sum."""
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scaled(self, factor: float) -> Work:
        """Return so many times the work."""
        return Work(*(factor * getattr(self, f.name) for f in fields(self)))


def forward_flops(model: Architecture, lengths: Lengths, *, head: bool = True) -> float:
    """Return the FLOPs of a row's forward pass.

        2 · body · row + 4 · layers · attention · row² + 2 · head · response

    Kaplan et al., 2020 (https://arxiv.org/abs/2001.08361), §2.1: 2N a token, of the weights that tokens are
    multiplied with; the head is applied to responses alone. The quadratic term is that of Chowdhery et al.,
    2022 (PaLM, https://arxiv.org/abs/2204.02311), appendix B, a third of its 12 for forward and backward:
    with a mask of padding attention computes all row² scores.
    """
    quadratic = 4 * model.layers * model.attention * lengths.row**2
    scored = 2 * model.head * lengths.response if head else 0.0
    return 2 * model.body * lengths.row + quadratic + scored


def backward_flops(
    model: Architecture, lengths: Lengths, engine: EngineConfig, *, head: bool = True
) -> float:
    """Return the FLOPs of a row's forward and backward, with recomputation.

    Backward is twice the forward (Kaplan et al., 2020; Hoffmann et al., 2022, appendix F,
    https://arxiv.org/abs/2203.15556), which makes 6N a token; layers are gone through once more with
    gradient checkpointing: 8N, but for each layer's last product, which PyTorch sees it does not need.
    ZeRO-3, whose products are DeepSpeed's own, recomputes that one too.
    """
    whole = 3 * forward_flops(model, lengths, head=head)
    if not engine.gradient_checkpointing:
        return whole
    last = 2 * model.layers * model.intermediate * model.hidden * lengths.row
    return whole + forward_flops(model, lengths, head=False) - (last if engine.zero_stage < 3 else 0)


def sampling_flops(model: Architecture, lengths: Lengths) -> float:
    """Return the FLOPs of sampling a response: 2N a token, and attention to all tokens before it."""
    context = lengths.prompt + lengths.response / 2
    attention = 4 * model.layers * model.attention * context
    return lengths.response * (2 * (model.body + model.head) + attention)


def training_work(
    model: Architecture, train: TrainConfig, algorithm: Algorithm | Curriculum, lengths: Lengths
) -> Work:
    """Return the work of training, as if every row of every term got a gradient.

    Gates that choose between rollouts and demonstrations, and groups without a gradient, make it less.
    Side steps count as steps like the others; rounds of dynamic sampling beyond the first are left out.
    """
    total = Work()
    for stage in algorithm.stages:
        total += _step(model, train, stage.algorithm, lengths).scaled(train.steps * stage.share)
    return total


def _step(model: Architecture, train: TrainConfig, algorithm: Algorithm, lengths: Lengths) -> Work:
    needs = algorithm.needs | algorithm.plan_needs
    questions, samples = train.questions_per_step, train.rollout.samples
    rollouts = questions * samples if "rollouts" in needs else 0
    drawn = rollouts + (questions if "greedy_reward" in needs else 0)
    rows = rollouts + (questions if "demonstrations" in needs else 0)
    backward = backward_flops(model, lengths, train.engine)
    passes = policy_passes(algorithm, train.updates_per_step) + ("reference_logp" in needs)
    score = passes * forward_flops(model, lengths)
    if "value" in needs:
        backward += backward_flops(model, lengths, train.engine, head=False)
        score += forward_flops(model, lengths, head=False)
    return Work(
        sampled=drawn * lengths.response,
        trained=rows * lengths.row,
        train=rows * backward,
        score=rows * score,
        sample=drawn * sampling_flops(model, lengths)
        # Samples of one question share its prompt's keys and values.
        + (questions if drawn else 0) * 2 * model.body * lengths.prompt,
    )


def policy_passes(algorithm: Algorithm, updates: int) -> float:
    """Return how often each row is scored by the policy without a gradient (training/providers.py).

    Behavior log-probs of a batch's later updates are taken when the rows are sampled; those of the first are
    found in the update itself, unless its plan needs them.
    """
    later = (updates - 1) / updates if "behavior_logp" in algorithm.needs else 0.0
    if (algorithm.needs | algorithm.plan_needs) & {"current_logp", "current_entropy"}:
        return later + 1.0
    return later + (1.0 / updates if "behavior_logp" in algorithm.plan_needs else 0.0)


def evaluation_work(
    model: Architecture, questions: Mapping[str, int], samples_of: Callable[[str], int], lengths: Lengths
) -> Work:
    """Return the work of an evaluation.

    Args:
        model: Sizes.
        questions: How many each suite has.
        samples_of: Answers to each of a suite's.
        lengths: Of prompts and answers.
    """
    answers = sum(count * samples_of(suite) for suite, count in questions.items())
    prefill = sum(questions.values()) * 2 * model.body * lengths.prompt
    return Work(
        evaluated=answers * lengths.response, sample=answers * sampling_flops(model, lengths) + prefill
    )
