"""Six ways to post-train, each given as much as the others: of sampling, of demonstrations, of FLOP, of time.

A budget ends a run with the step that reaches it, so arms differ in their steps. SFT samples nothing and GRPO
reads no demonstrations: under those budgets they run all the same, and the report refuses to compare them.
`study` makes the same comparison of other amounts, for scales whose runs are longer than those of `tiny`.
"""

from collections.abc import Mapping

from studies.study import Arm, Study

ALGORITHMS = ("sft", "grpo", "sft_then_grpo", "luffy", "srft", "hpt")

TINY_BUDGETS: Mapping[str, float] = {
    "generated_tokens": 280_000,
    "demonstration_tokens": 14_800,
    "flops": 2.4e11,
    "seconds": 12.0,
}
"""About what GRPO spends of tokens and FLOP in 60 steps at scale tiny, HPT of demonstrations in 70 steps."""

TINY_SFT_STEPS: Mapping[str, int] = {
    "generated_tokens": 80,
    "demonstration_tokens": 24,
    "flops": 100,
    "seconds": 80,
}
"""Steps of SFT before GRPO under each budget. That arm reads all its demonstrations in them, so 24 steps are
what comes nearest to their budget from below; one more would end the run before GRPO has begun."""

CANNOT_SPEND = (("generated_tokens", "sft"), ("demonstration_tokens", "grpo"))
"""SFT samples nothing, GRPO reads no demonstrations; the report finds that out by itself."""

_LABELS = {
    "generated_tokens": "generated",
    "demonstration_tokens": "demonstrations",
    "flops": "flops",
    "seconds": "seconds",
}
_BASELINES = dict.fromkeys(_LABELS, "grpo") | {"demonstration_tokens": "sft"}


def study(
    budgets: Mapping[str, float],
    sft_steps: Mapping[str, int],
    *,
    name: str = "ablation_budget",
    idle: int = 60,
    most: int = 240,
    most_of_sft: int = 2000,
) -> Study:
    """Return the study under budgets of choice.

    Args:
        budgets: By the names of `training.budget.Budget`.
        sft_steps: Steps of SFT before GRPO under each.
        name: Of the study.
        idle: Steps of an arm that cannot spend its budget, and of GRPO after SFT has spent it.
        most: More steps than an arm that samples needs to spend its budget.
        most_of_sft: The same of SFT, whose steps are cheap.
    """
    arms = []
    for kind, limit in budgets.items():
        for algorithm in ALGORITHMS:
            cannot = (kind, algorithm) in CANNOT_SPEND
            steps = idle if cannot else most_of_sft if algorithm == "sft" else most
            if algorithm == "sft_then_grpo":
                # What GRPO does after the last demonstration is spent has no end of its own.
                steps = idle if kind == "demonstration_tokens" else most
                arms.append(_arm(kind, limit, algorithm, sft_steps[kind] + steps, sft_steps[kind]))
            else:
                arms.append(_arm(kind, limit, algorithm, steps))
    return Study(
        name=name,
        title="Six algorithms under equal budgets of sampling, demonstrations, FLOP and time",
        arms=tuple(arms),
        seeds=(0, 1, 2),
        sections=("scores", "budgets", "differences", "dynamics"),
    )


def _arm(kind: str, limit: float, name: str, steps: int, sft_steps: int | None = None) -> Arm:
    label = _LABELS[kind]
    arguments = {} if sft_steps is None else {"sft_share": sft_steps / steps}
    settings = {f"train.budget.{kind}": limit, "train.steps": steps}
    return Arm(f"{label}: {name}", name, arguments, settings, baseline=f"{label}: {_BASELINES[kind]}")


STUDY = study(TINY_BUDGETS, TINY_SFT_STEPS)
