"""Whether methods rank alike on models of several sizes and families (Lv et al., 2025, table 3).

The paper's is at `--scale qwen2.5-math-1.5b --scale llama-3.1-8b`.
"""

from studies.scales.groups import TINY
from studies.study import Arm, Study

STUDY = Study(
    name="model_families",
    title="Methods by model family",
    arms=(
        Arm("base"),
        Arm("sft", "sft"),
        Arm("grpo", "grpo"),
        Arm("luffy", "luffy"),
        Arm("hpt", "hpt"),
    ),
    seeds=(0, 1, 2),
    baseline="grpo",
    scales=TINY,
    sections=("scores", "differences", "published", "dynamics"),
    published="table3",
)
