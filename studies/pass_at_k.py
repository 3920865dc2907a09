"""What is within reach of many attempts: pass@k up to 1024 of each method (Lv et al., 2025, fig. 2).

The paper's is at `--scale qwen2.5-math-7b`, from 2048 answers to a question.
"""

from studies.scales.groups import by_scale
from studies.study import Arm, Study

STUDY = Study(
    name="pass_at_k",
    title="pass@k of each method",
    arms=(
        Arm("base"),
        Arm("sft", "sft"),
        Arm("grpo", "grpo"),
        Arm("sft_then_grpo", "sft_then_grpo"),
        Arm("luffy", "luffy"),
        Arm("hpt", "hpt"),
    ),
    seeds=(0, 1),
    baseline="grpo",
    scale_settings=by_scale(
        tiny={
            "evaluation.suites": ("tiny_add5", "tiny_subtract3"),
            "evaluation.limit": 16,
            "evaluation.samples": 2048,
            "evaluation.batch_size": 2048,
        },
        paper={
            "evaluation.suites": ("aime24", "aime25", "amc83"),
            "evaluation.samples": 2048,
            "evaluation.suite_samples": {},
        },
    ),
    sections=("pass_at_k", "scores"),
)
