"""The settings of the scales."""

import dataclasses

import pytest

from studies.ablation_gate import STUDY
from studies.catalog import SCALES, UsageError, find_scale
from studies.configuring.resolve import resolve
from studies.configuring.settings import apply_settings
from studies.record import completed, from_json, to_json
from studies.scales.paper import LLAMA_8B, QWEN_MATH_1_5B, QWEN_MATH_7B

PAPER = (QWEN_MATH_1_5B, QWEN_MATH_7B, LLAMA_8B)


@pytest.mark.parametrize("name", SCALES)
def test_every_algorithm_of_a_study_builds_at_every_scale(name, monkeypatch):
    monkeypatch.setattr("studies.configuring.resolve.check_suite_names", lambda suites: None)
    resolved = resolve(STUDY, [find_scale(name)], (0,))
    lengths = {run.algorithm.arguments["length"] for run in resolved.runs if run.arm.startswith("hpt")}
    # The released code sums over the longest response on each of 8 ranks, and averages over them.
    ranks = 1 if name.startswith("tiny") else 8
    assert lengths == {ranks * resolved.runs[0].train.rollout.max_response_tokens}


def test_the_papers_scales_are_the_released_settings():
    for scale in PAPER:
        train = scale.train
        assert (train.steps, train.questions_per_step, train.updates_per_step) == (500, 128, 2)
        assert train.rollout.backend == "vllm"
        assert (train.rollout.samples, train.rollout.temperature) == (8, 1.0)
        assert (train.rollout.max_prompt_tokens, train.rollout.max_response_tokens) == (1024, 8192)
        optimizer = train.optimizer
        assert (optimizer.learning_rate, optimizer.weight_decay) == (5e-6, 0.01)
        assert (optimizer.betas, optimizer.epsilon, optimizer.warmup_steps) == ((0.9, 0.999), 1e-8, 0)
        assert (train.critic.learning_rate, train.critic.gradient_clip) == (1e-5, 1.0)
        assert scale.ranks == 8
        assert scale.train_data == "Elliott/Openr1-Math-46k-8192"
        assert (train.engine.gradient_clip, train.engine.micro_batch_tokens) == (1.0, 32_768)
    assert QWEN_MATH_1_5B.train.engine.skip_norm_above == QWEN_MATH_7B.train.engine.skip_norm_above == 80
    assert LLAMA_8B.train.engine.skip_norm_above is None
    assert QWEN_MATH_1_5B.policy_config == QWEN_MATH_7B.policy_config
    assert QWEN_MATH_7B.policy_config == {"rope_theta": 40_000, "max_position_embeddings": 16_384}
    assert LLAMA_8B.policy_config == {}
    weights = {scale.name: scale.algorithm_arguments["hpt"] for scale in PAPER}
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


def test_records_from_before_there_were_ranks_and_changed_configurations_are_read_as_what_was_done():
    run = resolve(STUDY, [find_scale("tiny")], (0,)).runs[2]
    values = to_json(run)
    before = {key: value for key, value in values.items() if key not in ("policy_config", "ranks")}
    assert from_json(before) == run
    assert completed(before) == values
    assert (values["policy_config"], values["ranks"]) == ({}, 1)


def test_ranks_are_a_setting():
    changed = apply_settings(QWEN_MATH_7B, {"ranks": "4"})
    assert changed == dataclasses.replace(QWEN_MATH_7B, ranks=4)
    with pytest.raises(UsageError, match="ranks=0 must be at least 1"):
        apply_settings(QWEN_MATH_7B, {"ranks": "0"})
