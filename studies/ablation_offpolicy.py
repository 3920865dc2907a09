"""Off-policy reinforcement learning in place of imitation inside HPT (Lv et al., 2025, table 5).

The paper's is at `--scale qwen2.5-math-1.5b`.
"""

from studies.study import Arm, Study

STUDY = Study(
    name="ablation_offpolicy",
    title="What HPT does with demonstrations: off-policy reinforcement, both, or imitation",
    arms=(Arm("hpt_off_on", "hpt_off_on"), Arm("hpt_mix_on", "hpt_mix_on"), Arm("hpt", "hpt")),
    seeds=(0, 1, 2),
    baseline="hpt",
    sections=("scores", "differences", "published", "dynamics"),
    published="table5",
)
