"""A study whose axis is a part, from a file with a part of its own, through the command line."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys

import pytest

from studies.catalog import PROJECT
from studies.run import main
from tests.studies import toy

STUDY = """
from dataclasses import dataclass

import torch

from core import ClipMask, KeepAll
from studies.study import Arm, Study, grid


@dataclass(frozen=True)
class Half:
    share: float = 0.5

    def __call__(self, ratio, advantage, policy, batch):
        return torch.full_like(ratio, self.share)


masks = grid("grpo", clip_low=(0.1,), parts={"reinforce.mask": (KeepAll(), "ClipMask(high=0.3)", Half(0.25))})
STUDY = Study("masks", "Masks", (Arm("sft", "sft"), *masks), seeds=(0, 1), baseline="sft")
"""
GATE = """
from core import ThresholdGate


def gate(step):
    return ThresholdGate(0.5)(step)
"""
MASKS = ("KeepAll()", "ClipMask(high=0.3)", "Half(0.25)")
ARMS = ("sft", *(f"grpo clip_low=0.1, reinforce.mask={mask}" for mask in MASKS))
EXECUTE = "tests.studies.building_executor:execute"
MAIN = (
    "import sys; from studies.run import main\n"
    f"sys.exit(main(sys.argv[1:], execute={EXECUTE!r}, check=lambda runs: None))"
)
HALVED = ("--set", "grpo.reinforce.weight=0.5")


def words(file, results, *arguments):
    return [str(file), "--scale", str(toy.HERE / "toy.py"), "--results", str(results), *arguments]


def run(file, results, *arguments):
    """Run the study to its end, its parent in this process to save time; return exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("PYTHONPATH", str(PROJECT))
        patch.chdir(file.parent)
        code = main(words(file, results, *arguments), execute=EXECUTE, check=lambda runs: None)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    file = folder / "masks.py"
    file.write_text(STUDY)
    code, out, err = run(file, folder / "results", *HALVED)
    assert code == 0, err
    return file, folder / "results" / "masks", out


def runs(folder):
    """Return the record and the algorithm of each run of seed 0, by arm."""
    found = {}
    for path in (folder / "runs").glob("*-seed0"):
        record = json.loads((path / "config.json").read_text())["run"]
        found[record["arm"]] = record["algorithm"], (path / "algorithm").read_text()
    return found


def test_each_arm_is_built_with_its_part_recorded_and_named_in_the_table(undisturbed):
    file, folder, out = undisturbed
    found = runs(folder)
    assert set(found) == set(ARMS)
    masks = ["KeepAll()", "ClipMask(low=0.2, high=0.3)", "Half(share=0.25)"]
    for arm, mask in zip(ARMS[1:], masks, strict=True):
        record, algorithm = found[arm]
        text = f"{file}:{mask}" if mask.startswith("Half") else mask
        assert record["parts"] == {"reinforce.mask": text, "reinforce.weight": "0.5"}
        assert record["arguments"]["clip_low"] == 0.1
        assert f"PolicyGradient(mask={mask}, denominator=BehaviorPolicy()" in algorithm
        assert "weight=0.5" in algorithm
        assert f"| {arm} |" in out
    assert "parts" not in found["sft"][0]
    assert "--set grpo.reinforce.weight=0.5" in out
    description = json.loads((folder / "study.json").read_text())
    assert set(description["sources"]) == {str(file)}


def test_a_study_of_parts_that_was_killed_goes_on_to_the_same_table(undisturbed, tmp_path):
    file, folder, _ = undisturbed
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *words(file, tmp_path, *HALVED)],
        env=toy.environment(TOY_SECONDS=0.3),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=file.parent,
    )
    last = tmp_path / "masks" / "runs" / "grpo-clip-low=0.1--reinforce.mask=half-0.25--seed0"
    toy.wait_for(lambda: (last / "checkpoint").exists(), seconds=60)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=20)
    worker = int((last / "attempts").read_text().split()[0])
    toy.wait_for(lambda: not toy.lives(worker))
    assert json.loads((last / "status.json").read_text())["state"] == "running"
    # The same part, written in another way.
    code, _, err = run(file, tmp_path, "--set", "grpo.reinforce.weight=5e-1")
    assert code == 0, err
    steps = [int(line.split()[1]) for line in (last / "attempts").read_text().splitlines()]
    assert steps[0] == 0
    assert steps[1] >= 2, "it began again instead of going on"
    assert runs(tmp_path / "masks") == runs(folder)
    for name in ("study.json", "table.csv"):
        assert (tmp_path / "masks" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("grpo.reinforce.weight=0.25",), 'algorithm.parts.reinforce.weight: "0.5" there, "0.25" now'),
        ((), 'algorithm.parts.reinforce.weight: "0.5" there, "not set" now'),
        (("grpo.reinforce.mask=KeepAll",), "--set grpo.reinforce.mask: the study sets this itself"),
        (("grpo.reinforce.mask.low=0.1",), "--set grpo.reinforce.mask.low: the study sets this itself"),
        (("grpo.reinforce.wieght=0.5",), "unknown part of reinforce 'wieght'; did you mean weight"),
        (("sft.imitate.mask=Hafl(0.5)",), "unknown part 'Hafl'"),
    ],
)
def test_other_parts_are_refused_on_the_same_folder_and_nothing_changes(undisturbed, changes, message):
    file, folder, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code, out, err = run(file, folder.parent, *(("--set", *changes) if changes else ()))
    assert (code, out) == (2, "")
    assert message in err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_results_from_before_a_setting_existed_are_still_those_of_the_study(undisturbed, tmp_path):
    file, folder, _ = undisturbed
    shutil.copytree(folder, tmp_path / "masks")
    for path in [tmp_path / "masks" / "study.json", *tmp_path.glob("masks/runs/*/config.json")]:
        record = json.loads(path.read_text())
        for held in record.get("runs", {"": record.get("run")}).values():
            del held["train"]["engine"]["micro_batch_tokens"]
        path.write_text(json.dumps(record))
    # Nor were there digests of records then.
    for path in tmp_path.glob("masks/runs/*/status.json"):
        status = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in status.items() if key != "sha256"}))
    code, _, err = run(file, tmp_path, *HALVED)
    assert code == 0, err
    assert "started" not in err
    assert (tmp_path / "masks" / "table.csv").read_bytes() == (folder / "table.csv").read_bytes()


def test_a_part_whose_file_has_changed_is_another_part(tmp_path):
    file, parts = tmp_path / "study.py", tmp_path / "gates.py"
    file.write_text(
        "from studies.study import Arm, Study\n"
        "STUDY = Study('masks', 'Masks', (Arm('sft', 'sft'),), seeds=(0,))\n"
    )
    parts.write_text(GATE)
    changed = ("--set", "sft.imitate.rows.gate=gates.py:gate")
    code, _, err = run(file, tmp_path, *changed)
    assert code == 0, err
    record, algorithm = runs(tmp_path / "masks")["sft"]
    assert record["parts"] == {"imitate.rows.gate": f"{parts}:gate"}
    assert "rows=Demonstrations(gate=<function gate at" in algorithm
    assert run(file, tmp_path, *changed)[0] == 0
    parts.write_text(GATE.replace("0.5", "0.25"))
    code, _, err = run(file, tmp_path, *changed)
    assert code == 2
    assert f"sources.{parts}: " in err


def test_the_committed_study_takes_a_part_from_the_command_line(tmp_path, capsys):
    command = ["ablation_gate", "--dry-run", "--results", str(tmp_path)]
    assert main([*command, "--set", "hpt.reinforce.mask=ClipMask(0.2)"], check=lambda runs: None) == 0
    assert "18 runs: 18 missing" in capsys.readouterr().out
    assert main([*command, "--set", "hpt.reinforce.mask=ClipMsk(0.2)"], check=lambda runs: None) == 2
    assert "did you mean ClipMask" in capsys.readouterr().err
