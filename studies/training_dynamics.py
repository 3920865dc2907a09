"""How training goes: validation scores, demonstrations' share, entropy, lengths (Lv et al., 2025, figs. 5-8).

The paper's is at `--scale qwen2.5-math-1.5b`. Answers to a question in its validations are 8, the released
code's; its figure says 32.
"""

from studies.scales.groups import by_scale
from studies.study import Arm, Study, grid

EVERY = 10

STUDY = Study(
    name="training_dynamics",
    title="Training of GRPO, LUFFY, and HPT by its gate γ",
    arms=(Arm("grpo", "grpo"), Arm("luffy", "luffy"), *grid("hpt", gate=(0.0, 1 / 8, 2 / 8))),
    seeds=(0, 1, 2),
    baseline="grpo",
    settings={"validation.every": EVERY},
    scale_settings=by_scale(
        tiny={"validation.suites": ("tiny_add3", "tiny_add4", "tiny_subtract3"), "validation.limit": 40},
        paper={"validation.suites": ("aime24", "amc83", "math500"), "validation.samples": 8},
    ),
    sections=("scores", "differences", "dynamics"),
)
