"""How much runs differ that differ in nothing but their seed: the unit that differences are told in."""

from studies.study import Arm, Study

STUDY = Study(
    name="noise_floor",
    title="GRPO and HPT, eight runs each that differ in their seed alone",
    arms=(Arm("grpo", "grpo"), Arm("hpt", "hpt")),
    seeds=tuple(range(8)),
    sections=("scores", "noise", "dynamics"),
)
