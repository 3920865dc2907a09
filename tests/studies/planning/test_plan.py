"""The command line that plans."""

import re

import pytest

from studies.plan import main
from tests.small_models import build_qwen2


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch):
    def unreachable(url, **options):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)


def plan(capsys, *arguments):
    code = main(["ablation_gate", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def rows(text, head):
    """Return a table's rows by the cells of their first columns."""
    lines = text[text.index(head) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| ---"))
    table = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_the_embedded_study_is_planned_without_a_hub(capsys):
    code, out, _ = plan(capsys)
    assert code == 0
    assert "133,056 parameters (config.json in " in out
    assert "6 arms x 3 seeds = 18 runs, each on 1 GPU." in out
    assert "tiny_add2 100" in out


@pytest.mark.parametrize(
    ("scale", "parameters"),
    [
        ("qwen2.5-math-1.5b", "1,543,714,304"),
        ("qwen2.5-math-7b", "7,615,616,512"),
        ("llama-3.1-8b", "8,030,261,248"),
    ],
)
def test_the_papers_scales_fit_the_papers_gpus(scale, parameters, capsys):
    code, out, err = plan(capsys, "--scale", scale, "--gpu-memory", "80")
    assert code == 0, err
    assert f"{parameters} parameters (published sizes of " in out
    assert "Fits 8 GPUs of 80.0 GiB" in out
    marked = [row for row in rows(out, "## Memory") if row[-1].startswith("configured")]
    assert [row[:2] for row in marked] == [["3", "no"]]


def test_tokens_are_those_of_the_settings(capsys):
    _, out, _ = plan(capsys, "--scale", "qwen2.5-math-7b", "--response-tokens", "2000", "--seeds", "2")
    table = {row[0]: row for row in rows(out, "## Work and time, mean responses of 2,000")}
    # 500 steps of 128 questions x 8 samples of 2000 tokens; rows have prompts of 1024 besides.
    assert table["grpo"][1] == "1,024.0"
    assert table["grpo"][2] == f"{500 * 128 * 8 * 3024 / 1e6:,.1f}"
    assert table["sft"][1] == "0.0"
    assert table["sft"][2] == f"{500 * 128 * 3024 / 1e6:,.1f}"
    assert table["base"][2] == "0.0"
    assert float(table["all runs"][1].replace(",", "")) == pytest.approx(2 * 4 * 1024)
    assert "## Work and time, longest responses of 8,192" in out


def test_what_does_not_fit_is_refused_with_the_smallest_change(capsys):
    arguments = ("--scale", "qwen2.5-math-7b", "--gpus", "8", "--gpu-memory", "80")
    code, out, err = plan(capsys, *arguments, "--set", "train.engine.zero_stage=2")
    assert code == 1
    assert "Does not fit 8 GPUs of 80.0 GiB:" in out
    assert re.search(r"grpo: [89]\d\.\d GiB a GPU are needed \(estimated\) and 80\.0 GiB are there: \d", err)
    assert "The smallest change that fits: --set train.engine.zero_stage=3\n" in err
    code, _, _ = plan(capsys, *arguments, "--set", "train.engine.zero_stage=3")
    assert code == 0


def test_a_sampler_whose_share_holds_not_one_response_is_refused(capsys):
    code, _, err = plan(capsys, "--scale", "qwen2.5-math-7b", "--gpu-memory", "24")
    assert code == 1
    assert "rollout.vllm.gpu_memory_share=0.3 of 24.0 GiB is 7.2 GiB" in err


def test_critic_and_reference_are_in_the_bill_of_those_that_need_them(capsys, tmp_path):
    study = tmp_path / "two.py"
    study.write_text(
        "from studies.study import Arm, Study\n"
        'STUDY = Study("two", "Two", (Arm("ppo", "ppo"), Arm("kl", "grpo_kl"), Arm("grpo", "grpo")))\n'
    )
    code = main([str(study), "--scale", "qwen2.5-math-1.5b"])
    out = capsys.readouterr().out
    assert code == 0
    found = {}
    for arm in ("ppo", "kl", "grpo"):
        row = next(row for row in rows(out, f"## Memory: {arm}") if row[-1] == "configured")
        found[arm] = [float(cell) > 0 for cell in row[9:11]]  # reference, critic
    assert found == {"ppo": [False, True], "kl": [True, False], "grpo": [False, False]}


def test_a_local_policy_is_counted_with_its_changed_configuration(capsys, tmp_path):
    policy = build_qwen2(tmp_path / "qwen")
    code, out, _ = plan(capsys, "--scale", "qwen2.5-math-7b", "--set", f"policy={policy}")
    assert code == 0
    assert f"parameters (config.json in {policy})" in out
    code, _, err = plan(
        capsys, "--scale", "qwen2.5-math-7b", "--set", f"policy={policy}", "policy_config={'rope': 1}"
    )
    assert code == 2
    assert "no entry 'rope'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scale", "qwen2.5-math-70b"), "unknown scale"),
        (("--gpus", "0"), "--gpus=0 must be above 0"),
        (("--gpu-memory", "-1"), "must be above 0"),
        (("--utilization", "1.5"), "utilization=1.5 must be above 0, and a share at most 1"),
        (("--seeds", "0"), "--seeds=0 must be at least 1"),
        (("--response-tokens", "60"), r"--response-tokens=60 is above rollout.max_response_tokens=52"),
        (("--set", "policy=nobody/nothing"), "no folder of that name is here"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(arguments, message, capsys):
    code, out, err = plan(capsys, *arguments)
    assert code == 2
    assert re.search(message, err)
    assert not out


def test_help_is_served_without_heavy_imports(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for option in ("--gpus", "--gpu-memory", "--response-tokens", "--gpu-tflops", "--utilization"):
        assert option in said
    for odd in ("(default: '')", "(default: None)", "{None}"):
        assert odd not in said
