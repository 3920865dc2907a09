"""The paper's scales on small local models, all the way: load, ZeRO-3 on two ranks, vLLM, export, lm-eval."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from tests.small_models import build_llama, build_qwen2
from tests.training import many_ranks
from tests.training.parquet import row
from training.policy import load_model, load_tokenizer
from training.state_files import weights

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SMALL = (
    "train.steps=2", "train.checkpoint_every=1", "train.questions_per_step=4", "train.rollout.samples=2",
    "train.rollout.max_response_tokens=24", "train.rollout.vllm.cpu_cache_gib=0.25", "ranks=2",
    "evaluation.samples=1", "evaluation.limit=2", "evaluation.max_response_tokens=16",
    "evaluation.suites=tiny_add2", "suite_data=studies/scales/tiny/eval",
)  # fmt: skip
STUDY = """
from studies.study import Arm, Study

STUDY = Study("small", "Small models", (Arm("luffy", "luffy"),), (0,))
"""
TASK = """
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{problem}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}]
"""
GENERATE = """
import json, sys
from vllm import LLM, SamplingParams, TokensPrompt
llm = LLM(sys.argv[1], dtype="float32", enforce_eager=True, max_model_len=64, logprobs_mode="raw_logprobs")
prompt = TokensPrompt(prompt_token_ids=[5, 6, 7])
[out] = llm.generate([prompt], SamplingParams(temperature=0, max_tokens=4, logprobs=0), use_tqdm=False)
[answer] = out.outputs
logp = [step[token].logprob for token, step in zip(answer.token_ids, answer.logprobs)]
print("found", json.dumps([list(answer.token_ids), logp]))
"""
MODELS = {"qwen2.5-math-1.5b": build_qwen2, "llama-3.1-8b": build_llama}


@pytest.fixture(scope="module", params=MODELS)
def trained(request, tmp_path_factory):
    """Return a scale, its small policy, and the folder of a run that trained it."""
    pytest.importorskip("vllm", reason="vLLM is not installed; `make vllm` does")
    folder = tmp_path_factory.mktemp("small")
    policy = MODELS[request.param](folder / "policy")
    rows = [row(i, f"What is ${i}+1$?", f"It is \\boxed{{{i + 1}}}", str(i + 1)) for i in range(64)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "openr1.parquet")
    (folder / "small.py").write_text(STUDY)
    places = [f"policy={policy}", f"train_data={folder / 'openr1.parquet'}"]
    command = [sys.executable, "-m", "studies.run", folder / "small.py", "--scale", request.param]
    command += ["--results", folder / "results", "--set", *places, *SMALL]
    done = subprocess.run(
        command, cwd=PROJECT, env=many_ranks.environment(), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return request.param, policy, folder / "results/small/runs/luffy-seed0"


@pytest.fixture(scope="module")
def exported(trained):
    _, _, run = trained
    target = run.parents[2] / "exported"
    command = [sys.executable, "-m", "studies.export", run, target, "--precision", "fp32"]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return target


def test_two_ranks_trained_at_zero_3_on_what_vllm_sampled(trained):
    name, _, run = trained
    config = json.loads((run / "config.json").read_text())
    engine = config["run"]["train"]["engine"]
    assert (engine["zero_stage"], engine["precision"], engine["gradient_checkpointing"]) == (3, "bf16", True)
    assert (config["run"]["train"]["rollout"]["backend"], config["provenance"]["ranks"]) == ("vllm", 2)
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(step["rollout/tokens"] > 0 for step in steps)
    # Both round in bf16, each in its own way.
    assert all(0 < step["policy/sampler_difference"] < 0.05 for step in steps), name


def test_the_export_holds_the_weights_and_the_scales_configuration(trained, exported):
    name, policy, run = trained
    held = dict(weights(run / "checkpoints/step-000002/engine"))
    model = load_model(str(exported), "fp32")
    parameters = dict(model.named_parameters())
    assert parameters.keys() == held.keys()
    assert all(torch.equal(parameters[key], held[key]) for key in held)
    start = dict(load_model(policy, "fp32").named_parameters())
    assert any(not torch.equal(start[key], held[key]) for key in held), "training changed nothing"
    theta = model.config.rope_parameters["rope_theta"]
    assert (theta == 40_000.0) == (name == "qwen2.5-math-1.5b")
    text = "What is $3+4$?"
    assert load_tokenizer(str(exported)).encode(text) == load_tokenizer(policy).encode(text)


def test_vllm_loads_the_export(exported):
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, exported],
        env=many_ranks.environment() | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("found")]
    tokens, logp = json.loads(line.removeprefix("found"))
    ids = torch.tensor([[5, 6, 7, *tokens]])
    found = load_model(str(exported), "fp32")(input_ids=ids).logits[0, 2:-1].log_softmax(dim=-1)
    expected = found[torch.arange(len(tokens)), torch.tensor(tokens)]
    assert torch.allclose(torch.tensor(logp), expected, atol=1e-3)


def test_lm_eval_loads_the_export(exported, tmp_path):
    data = tmp_path / "sums.jsonl"
    data.write_text(
        "".join(json.dumps({"problem": f"{i}+1=", "answer": str(i + 1)}) + "\n" for i in range(4))
    )
    (tmp_path / "sums.yaml").write_text(TASK % data)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={exported}"]
    command += [
        "--tasks",
        "sums",
        "--include_path",
        tmp_path,
        "--device",
        "cpu",
        "--output_path",
        tmp_path / "out",
    ]
    done = subprocess.run(
        command, env=many_ranks.environment() | {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    [written] = (tmp_path / "out").rglob("results*.json")
    assert "acc,none" in json.loads(written.read_text())["results"]["sums"]
