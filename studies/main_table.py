"""All methods side by side, in and out of the training distribution (Lv et al., 2025, table 2).

The paper's is at `--scale qwen2.5-math-7b`.
"""

from studies.study import Arm, Study

STUDY = Study(
    name="main_table",
    title="Imitation, reinforcement, and what joins them",
    arms=(
        Arm("base"),
        Arm("sft", "sft"),
        Arm("grpo", "grpo"),
        Arm("sft_then_grpo", "sft_then_grpo"),
        Arm("luffy", "luffy"),
        Arm("srft", "srft"),
        Arm("hpt", "hpt"),
    ),
    seeds=(0, 1, 2),
    baseline="grpo",
    sections=("scores", "differences", "published", "dynamics"),
    published="table2",
)
