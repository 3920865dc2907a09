"""The paper's scales on files of this machine: small ones, of the published schemas."""

import json
import logging

import pyarrow.parquet
import pytest
import torch

from studies.ablation_gate import STUDY
from studies.catalog import PROJECT, UsageError
from studies.configuring.changes import read_changes
from studies.configuring.resolve import check_inputs, resolve
from studies.configuring.settings import apply_settings
from studies.scales.paper import LLAMA_8B, QWEN_MATH_1_5B, QWEN_MATH_7B
from tests.small_models import SYSTEM_PROMPT, build_llama, build_qwen2
from tests.training.parquet import row
from training.data import load_questions
from training.policy import load_model, load_tokenizer
from training.tokens import decode

PAPER = (QWEN_MATH_1_5B, QWEN_MATH_7B, LLAMA_8B)
LONG = "Why? " * 400
ROWS = [
    row(
        0, "What is $3+4$?", "<think>\nThree and four.\n</think>\n\nIt is \\boxed{7}", "7", "Think in steps."
    ),
    row(1, "What is $1+1$?", None, "2"),
    row(2, LONG, "<think>\n</think>\n\\boxed{0}", "0"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Small files of the schemas that the paper's scales read, by the kind of their policy."""
    folder = tmp_path_factory.mktemp("here")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS * 70), folder / "openr1.parquet")
    build_qwen2(folder / "qwen")
    build_llama(folder / "llama")
    return folder


def local(scale, folder, *changes):
    policy = folder / ("llama" if scale is LLAMA_8B else "qwen")
    texts = [
        f"policy={policy}",
        f"train_data={folder / 'openr1.parquet'}",
        "evaluation.suites=tiny_add2",
        "suite_data=studies/scales/tiny/eval",
        *changes,
    ]
    return resolve(STUDY, [scale], (0,), read_changes(STUDY, texts))


def grpo(resolved):
    return next(run for run in resolved.runs if run.arm == "grpo")


@pytest.mark.parametrize("scale", PAPER, ids=lambda scale: scale.name)
def test_the_papers_scales_load_from_local_paths(scale, here, caplog):
    resolved = local(scale, here)
    check_inputs(resolved.runs)
    run = grpo(resolved)
    tokenizer = load_tokenizer(run.policy)
    model = load_model(run.policy, run.train.engine.precision, overrides=run.policy_config)
    with caplog.at_level(logging.WARNING):
        questions = load_questions(run.train_data, tokenizer, run.train)
    assert "70 prompts are longer than 1024 tokens" in caplog.text
    assert len(questions) == 140
    assert model.dtype == torch.bfloat16
    theta = {"llama-3.1-8b": 500_000}.get(scale.name, 40_000)
    assert model.config.rope_parameters["rope_theta"] == theta
    positions = run.train.rollout.max_prompt_tokens + run.train.rollout.max_response_tokens
    assert model.config.max_position_embeddings >= positions
    demonstration = questions[0].demonstration
    assert demonstration[-1] == tokenizer.eos_token_id
    assert decode(tokenizer, demonstration[:-1]).startswith("<think>\nThree and four.")
    assert questions[1].demonstration is None


@pytest.mark.parametrize("scale", PAPER, ids=lambda scale: scale.name)
def test_prompts_are_those_of_the_released_code(scale, here):
    run = grpo(local(scale, here, "train.questions_per_step=2"))
    tokenizer = load_tokenizer(run.policy)
    prompt = decode(tokenizer, load_questions(run.train_data, tokenizer, run.train)[0].prompt)
    if scale is LLAMA_8B:
        assert prompt == (
            "Question:\nWhat is $3+4$?\nPlease reason step by step, and put your final answer within "
            "\\boxed{}.\nAnswer:\nLet's think step by step."
        )
    else:
        # The data's system turn is dropped, so that the template puts the model's own.
        assert prompt == (
            f"<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\nWhat is $3+4$?<|im_end|>\n"
            "<|im_start|>assistant\n"
        )


def test_paths_may_be_relative_to_the_current_folder(here, monkeypatch):
    monkeypatch.chdir(here)
    scale = apply_settings(QWEN_MATH_7B, {"policy": "qwen", "train_data": "openr1.parquet"})
    assert (scale.policy, scale.train_data) == (str(here / "qwen"), str(here / "openr1.parquet"))
    assert apply_settings(scale, {"train.critic.model": "qwen"}).train.critic.model == str(here / "qwen")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("policy=/models/qwen", r"policy=/models/qwen: no model lies there.* or a name on the hub"),
        ("policy=../qwen", r"policy=.*qwen: no model lies there"),
        (
            "train_data=/data/openr1.parquet",
            r"train_data=/data/openr1.parquet does not exist; give a parquet",
        ),
        ("train_data=/data/openr1", r"train_data=/data/openr1 does not exist"),
        ("train.critic.model=/models/critic", r"train.critic.model=/models/critic: no model lies there"),
        ("policy_config={'rope_tetha': 4e4}", r"no entry 'rope_tetha'.*rope_theta"),
        ("policy_config={'rope_theta': 0}", r"rope_theta=0 must be a finite number above 0"),
    ],
)
def test_what_is_missing_is_named_with_the_way_out(here, change, message, monkeypatch):
    monkeypatch.chdir(here)
    key = change.partition("=")[0]
    texts = [f"policy={here / 'qwen'}", f"train_data={here / 'openr1.parquet'}"]
    texts = [text for text in texts if not text.startswith(f"{key}=")]
    texts += ["evaluation.suites=tiny_add2", f"suite_data={PROJECT / 'studies/scales/tiny/eval'}", change]
    resolved = resolve(STUDY, [QWEN_MATH_7B], (0,), read_changes(STUDY, texts))
    with pytest.raises(UsageError, match=message):
        check_inputs(resolved.runs)


def test_a_policy_that_is_incomplete_is_refused_by_the_file_that_lacks(tmp_path):
    folder = tmp_path / "qwen"
    build_qwen2(folder)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "openr1.parquet")
    runs = local(QWEN_MATH_7B, tmp_path).runs
    check_inputs(runs)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": None}))
    with pytest.raises(UsageError, match=r"no chat template; --set train.prompt_template=.*question_answer"):
        check_inputs(runs)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match="has no tokenizer"):
        check_inputs(runs)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"model-00002-of-00002\.safetensors is missing"):
        check_inputs(runs)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("model", "policy=nobody/nothing", r"policy=nobody/nothing: no folder .*--set policy=PATH"),
        ("dataset", "train_data=nobody/none", r"train_data=nobody/none: no parquet .*--set train_data=PATH"),
    ],
)
def test_a_name_that_the_hub_does_not_tell_is_refused(here, kind, change, message, monkeypatch):
    asked = []

    def unreachable(url, **options):
        asked.append(url)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)
    with pytest.raises(UsageError, match=rf"{message}.*log in to the hub"):
        check_inputs(resolve(STUDY, [QWEN_MATH_7B], (0,), read_changes(STUDY, hub(here, change))).runs)
    assert len(asked) == 1
    assert ("/datasets/" in asked[0]) == (kind == "dataset")


def hub(folder, change):
    local_texts = (f"policy={folder / 'qwen'}", f"train_data={folder / 'openr1.parquet'}")
    kept = [text for text in local_texts if not change.startswith(text.partition("=")[0] + "=")]
    return [*kept, change, "evaluation.suites=tiny_add2", "suite_data=studies/scales/tiny/eval"]
