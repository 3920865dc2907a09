"""Every baseline tuned alike: the same learning rates, in units of the scale's own, and the same seeds."""

from studies.study import Arm, Study, Times

ALGORITHMS = ("sft", "grpo", "luffy", "srft", "hpt")
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the scale's learning rate."""

STUDY = Study(
    name="learning_rates",
    title="Each algorithm by its learning rate, as many trials for all",
    arms=tuple(
        Arm(f"{name} lr × {factor:g}", name, settings={"train.optimizer.learning_rate": Times(factor)})
        for name in ALGORITHMS
        for factor in FACTORS
    ),
    seeds=(0, 1),
    sections=("scores", "tuning"),
)
