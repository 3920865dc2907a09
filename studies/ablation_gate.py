"""How the gate γ between imitation and reinforcement changes what HPT learns (Lv et al., 2025, table 6).

The paper's is at `--scale qwen2.5-math-1.5b`.
"""

from studies.study import Arm, Study, grid

STUDY = Study(
    name="ablation_gate",
    title="HPT by its gate γ, beside SFT and GRPO",
    arms=(
        Arm("base"),
        Arm("sft", "sft"),
        Arm("grpo", "grpo"),
        *grid("hpt", gate=(0.0, 0.125, 0.25)),
    ),
    seeds=(0, 1, 2),
    baseline="grpo",
    sections=("scores", "differences", "published", "dynamics"),
    published="table6",
)
