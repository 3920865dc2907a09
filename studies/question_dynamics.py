"""Which questions of a small training set are learnt, and when (Lv et al., 2025, figs. 3 and 4).

The paper follows 255 problems of MATH, 85 of each of levels 3, 4 and 5, over 50 epochs of GRPO after SFT, and
of HPT from scratch, at `--scale qwen2.5-math-1.5b`. The scale's own training set tells no levels, and its
problems stand by their sources: `--set train_data=FILE.parquet` takes one whose rows have `extra_info.level`.
The steps are a multiple of an epoch's, so that both stages of SFT→GRPO hold whole epochs: of reinforcement 50
here, 30 on the tiny scale.
"""

from studies.scales.groups import by_scale
from studies.study import Arm, Study

STUDY = Study(
    name="question_dynamics",
    title="Accuracy question by question over epochs",
    arms=(
        Arm("sft_then_grpo", "sft_then_grpo", {"sft_share": 1 / 3}),
        Arm("grpo", "grpo"),
        Arm("hpt", "hpt"),
    ),
    seeds=(0,),
    baseline="sft_then_grpo",
    scale_settings=by_scale(
        tiny={"train.questions": 48, "train.questions_per_step": 16, "train.steps": 3 * (15 + 30)},
        paper={
            "train.questions": 255,
            "train.questions_per_step": 51,
            "train.updates_per_step": 1,
            "train.steps": 5 * (25 + 50),
        },
    ),
    sections=("question_map", "scores", "differences", "dynamics"),
)
