import pytest

from studies.ablation_gate import STUDY
from studies.catalog import SCALES, find_scale
from studies.configuring.resolve import resolve
from studies.scales.paper import LLAMA_8B, QWEN_MATH_1_5B, QWEN_MATH_7B


@pytest.mark.parametrize("name", SCALES)
def test_every_algorithm_of_a_study_builds_at_every_scale(name, monkeypatch):
    monkeypatch.setattr("studies.configuring.resolve.check_suite_names", lambda suites: None)
    resolved = resolve(STUDY, find_scale(name), (0,))
    lengths = {run.algorithm.arguments["length"] for run in resolved.runs if run.arm.startswith("hpt")}
    # The released code sums over the longest response on each of 8 ranks, and averages over them.
    ranks = 1 if name == "tiny" else 8
    assert lengths == {ranks * resolved.runs[0].train.rollout.max_response_tokens}


def test_the_papers_scales_are_the_released_settings():
    for scale in (QWEN_MATH_1_5B, QWEN_MATH_7B, LLAMA_8B):
        train = scale.train
        assert (train.steps, train.questions_per_step, train.updates_per_step) == (500, 128, 2)
        assert (train.rollout.samples, train.rollout.temperature) == (8, 1.0)
        assert (train.rollout.max_prompt_tokens, train.rollout.max_response_tokens) == (1024, 8192)
        assert (train.optimizer.learning_rate, train.optimizer.weight_decay) == (5e-6, 0.01)
        assert (train.engine.gradient_clip, train.engine.micro_batch_tokens) == (1.0, 32_768)
    assert QWEN_MATH_1_5B.train.engine.skip_norm_above == QWEN_MATH_7B.train.engine.skip_norm_above == 80
    assert LLAMA_8B.train.engine.skip_norm_above is None
    weights = {
        scale.name: scale.algorithm_arguments["hpt"] for scale in (QWEN_MATH_1_5B, QWEN_MATH_7B, LLAMA_8B)
    }
    assert [values["sft_weight"] for values in weights.values()] == [0.3, 1.0, 1.0]
    assert [values["gate"] for values in weights.values()] == [0.0, 0.0, 0.25]


def test_the_gate_study_is_three_gates_beside_the_base_policy_sft_and_grpo():
    assert [arm.name for arm in STUDY.arms] == [
        "base",
        "sft",
        "grpo",
        "hpt gate=0.0",
        "hpt gate=0.125",
        "hpt gate=0.25",
    ]
    assert (STUDY.seeds, STUDY.baseline) == ((0, 1, 2), "grpo")
