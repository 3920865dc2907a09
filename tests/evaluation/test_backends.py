"""Models behind lm-eval's classes: what they are asked, how they sample, and what they tell of it."""

import dataclasses
import importlib.util
import json
import shutil

import pytest
import torch
import transformers

from evaluation.backends.hf import HfModel
from evaluation.backends.model import ModelConfig, ModelError, find_model, model_sha256, to_answer
from evaluation.config import EvalConfig
from tests.small_models import build_llama, build_qwen2

SETTINGS = EvalConfig(suites=(), temperature=1.0, top_p=1.0, max_response_tokens=12)
GREEDY = dataclasses.replace(SETTINGS, temperature=0.0)
needs_vllm = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make vllm"),
]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return find_model(build_qwen2(tmp_path_factory.mktemp("models") / "qwen"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return find_model(build_llama(tmp_path_factory.mktemp("models") / "llama"))


@pytest.fixture(scope="module", params=["hf", pytest.param("vllm", marks=needs_vllm)])
def model(request, qwen):
    if request.param == "hf":
        return HfModel(ModelConfig(qwen))
    from evaluation.backends.vllm import VllmModel

    return VllmModel(ModelConfig(qwen, cache_gib=0.25), SETTINGS)


@pytest.fixture(scope="module")
def prompts(model):
    return [model.render(text) for text in ("What is 1+1?", "A much longer question: what is $n^2$ of 400?")]


def test_prompts_are_the_templates_own(model, prompts):
    assert prompts[0].endswith("<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n")
    assert prompts[0].startswith("<|im_start|>system\nPlease reason step by step")


def test_a_seed_makes_the_same_answers_and_another_seed_others(model, prompts):
    first = model.generate(prompts * 3, SETTINGS, 5)
    assert first == model.generate(prompts * 3, SETTINGS, 5)
    assert first != model.generate(prompts * 3, SETTINGS, 6)


def test_equal_prompts_are_separate_draws(model, prompts):
    answers = model.generate(prompts[:1] * 8, SETTINGS, 1)
    assert len({answer.text for answer in answers}) == 8


def test_greedy_is_what_transformers_says(model, prompts, qwen):
    reference = transformers.AutoModelForCausalLM.from_pretrained(qwen, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(qwen)
    for prompt, answer in zip(prompts, model.generate(prompts, GREEDY, 0), strict=True):
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        expected = []
        while len(expected) < 12:
            with torch.no_grad():
                expected.append(int(reference(ids).logits[0, -1].argmax()))
            ids = torch.cat([ids, torch.tensor([expected[-1:]])], dim=1)
            if expected[-1] == tokenizer.eos_token_id:
                break
        assert answer == to_answer(tokenizer, expected, {tokenizer.eos_token_id})


def test_length_and_truncation_are_told(model, prompts):
    long = model.generate(prompts * 16, dataclasses.replace(SETTINGS, max_response_tokens=40), 3)
    cut = [answer for answer in long if answer.truncated]
    ended = [answer for answer in long if not answer.truncated]
    assert {answer.tokens for answer in cut} == {40}
    assert all(1 <= answer.tokens <= 40 for answer in ended)
    assert all("<|endoftext|>" not in answer.text for answer in long)


def test_top_p_narrows_what_is_drawn(model, prompts):
    narrow = dataclasses.replace(SETTINGS, top_p=1e-6)
    assert [a.text for a in model.generate(prompts, narrow, 3)] == [
        a.text for a in model.generate(prompts, GREEDY, 0)
    ]


def test_a_prompt_without_room_for_its_answer_is_refused(model):
    with pytest.raises(ModelError, match=r"answer of up to 12 are more than the model's 4096 positions"):
        model.generate([model.render("word " * 5000)], SETTINGS, 0)


def test_global_random_states_are_left_alone(model, prompts):
    state = torch.random.get_rng_state()
    model.generate(prompts, SETTINGS, 1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_models_files_do_not_change_how_it_samples(qwen, tmp_path, prompts):
    shutil.copytree(qwen, tmp_path / "other")
    path = tmp_path / "other" / "generation_config.json"
    own = {"top_k": 1, "repetition_penalty": 5.0, "temperature": 0.01, "max_new_tokens": 2, "do_sample": True}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    plain, changed = HfModel(ModelConfig(qwen)), HfModel(ModelConfig(tmp_path / "other"))
    assert changed.generate(prompts, SETTINGS, 4) == plain.generate(prompts, SETTINGS, 4)


def test_every_end_token_of_the_model_ends_an_answer(qwen, tmp_path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(qwen)
    shutil.copytree(qwen, tmp_path / "ends")
    path = tmp_path / "ends" / "generation_config.json"
    ends = list(range(tokenizer.vocab_size // 2))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": ends}))
    model = HfModel(ModelConfig(tmp_path / "ends"))
    answers = model.generate([model.render("1+1")] * 16, SETTINGS, 0)
    assert sum(not answer.truncated for answer in answers) >= 14


def test_a_model_without_a_template_needs_a_named_one(llama):
    with pytest.raises(ValueError, match="has no chat template"):
        HfModel(ModelConfig(llama)).render("1+1")
    model = HfModel(ModelConfig(llama, template="question_answer"))
    assert model.render("1+1").startswith("Question:\n1+1\n")
    # Llama's tokenizer begins a text with a token of its own, which training does not give it.
    inputs, _ = model._lm.tok_batch_encode([model.render("1+1")])
    assert model._tokenizer.bos_token_id not in inputs


def test_a_models_own_code_is_not_run(qwen, tmp_path):
    shutil.copytree(qwen, tmp_path / "code")
    path = tmp_path / "code" / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "own", "auto_map": {}}
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"}
    path.write_text(json.dumps(config))
    (tmp_path / "code" / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        HfModel(ModelConfig(tmp_path / "code"))
    assert not (tmp_path / "ran").exists()


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        find_model(str(tmp_path))


def test_the_digest_is_of_what_decides_answers(qwen, tmp_path):
    shutil.copytree(qwen, tmp_path / "same")
    (tmp_path / "same" / "README.md").write_text("words")
    assert model_sha256(tmp_path / "same") == model_sha256(qwen)
    with (tmp_path / "same" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert model_sha256(tmp_path / "same") != model_sha256(qwen)
