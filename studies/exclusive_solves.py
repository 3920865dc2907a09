"""Questions that one method solves and another does not, by level (Lv et al., 2025, table 4).

Reports on the runs of `main_table`. The paper's is at `--scale qwen2.5-math-7b`, where MATH-500 alone of the
suites in distribution has levels.
"""

from studies.study import Arm, Study

STUDY = Study(
    name="exclusive_solves",
    title="Exclusive solves by level of difficulty",
    arms=(Arm("grpo", "grpo"), Arm("luffy", "luffy"), Arm("hpt", "hpt")),
    seeds=(0, 1, 2),
    baseline="grpo",
    runs_of="main_table",
    sections=("exclusive", "published"),
    published="table4",
)
