"""`python -m studies.audit`: what it audits, what it writes, how it ends."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from studies.audit import Command, main
from studies.auditing import other_deepspeed
from studies.auditing.asked import check_plant, engines_of, ranks_of
from studies.auditing.launch import Launch, LaunchError
from studies.auditing.matrix import whole_matrix
from studies.auditing.result import AuditResult, CellResult
from studies.catalog import UsageError, find_scale
from training.config import EngineConfig

ROOT = Path(__file__).parents[3]


def run(*arguments, timeout=400):
    command = [sys.executable, "-m", "studies.audit", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def test_help_waits_for_no_heavy_package():
    code = (
        "import sys\nfrom studies.audit import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--plant" in done.stdout
    assert not {"torch", "deepspeed", "transformers", "pydantic"} & set(done.stderr.split())


def test_without_options_the_whole_matrix_on_one_rank_and_two_is_recorded():
    assert engines_of(None, ()) == whole_matrix()
    assert ranks_of(None, None, (1, 2)) == [1, 2]
    assert Command().folder == Path("results/audit")
    assert Command(plant="no_clip").folder is None
    assert Command(plant="no_clip", output=Path("x")).folder == Path("x")


def test_a_scale_gives_its_engine_and_ranks():
    scale = find_scale("qwen2.5-math-7b")
    assert engines_of("qwen2.5-math-7b", ()) == [scale.train.engine]
    assert ranks_of("qwen2.5-math-7b", None, (1, 2)) == [scale.ranks]
    assert ranks_of("qwen2.5-math-7b", 3, (1, 2)) == [3]


def test_fields_of_the_engine_are_changed():
    assert engines_of(None, ("zero_stage=2", "offload=True", "gradient_clip=None")) == [
        EngineConfig(zero_stage=2, offload=True, gradient_clip=None)
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "zero_stag=2"], "zero_stage"),
        (["--engine", "zero_stage"], "is not KEY=VALUE"),
        (["--engine", "zero_stage=7"], "zero_stage"),
        (["--engine", "precision=bf16"], "keeps no fp32 master weights"),
        (["--scale", "none_such"], "unknown scale"),
        (["--plant", "no_clp"], "did you mean no_clip"),
        (["--plant", "leftover_gradient", "--engine", "zero_stage=3"], "for ZeRO stages 0 only"),
        (["--ranks", "0"], "must be at least 1"),
        (["--deepspeed", "newest; rm"], "is no version"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_the_way_out(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_fault_is_planted_where_it_can_be():
    found = check_plant("leftover_gradient", whole_matrix())
    assert {engine.zero_stage for engine in found} == {0}
    assert check_plant("no_clip", whole_matrix()) == whole_matrix()
    with pytest.raises(UsageError):
        check_plant("nothing", whole_matrix())


def test_the_command_is_told_as_it_was_given():
    command = Command(scale="tiny", engine=(("zero_stage=2",), ("offload=True",)), ranks=2, plant="no_clip")
    assert command.again() == (
        "python -m studies.audit --scale tiny --ranks 2 --plant no_clip --engine zero_stage=2 offload=True"
    )


def test_processes_that_do_not_start_are_an_error_with_their_last_words():
    with pytest.raises(LaunchError, match="No module named"):
        Launch([EngineConfig()], 1, None, {"PYTHONHOME": "/nowhere"}).run()


def test_a_configuration_that_ends_its_processes_is_a_failure_and_the_next_is_audited(monkeypatch, capsys):
    asked = []

    def carry_out(self, arguments):
        request, result = map(Path, arguments)
        engines = json.loads(request.read_text())["engines"]
        asked.append([engine["zero_stage"] for engine in engines])
        made = []
        for engine in itertools.takewhile(lambda engine: engine["zero_stage"] != 2, engines):
            cell = CellResult.failed(EngineConfig(**engine), "1", 1, "no_step", "")
            made.append(AuditResult((cell,), {"deepspeed": "0"}).to_json())
        result.write_text(json.dumps(made))
        return ["Traceback", "[rank0]: RuntimeError: made to fail", "RuntimeError: later"]

    monkeypatch.setattr(Launch, "_carry_out", carry_out)
    engines = [EngineConfig(zero_stage=stage) for stage in (0, 2, 1, 2, 3)]
    found = Launch(engines, 1).run()
    assert asked == [[0, 2, 1, 2, 3], [1, 2, 3], [3]]
    assert [cell.zero_stage for cell in found.cells] == [0, 2, 1, 2, 3]
    assert [cell.diagnoses for cell in found.cells[1::2]] == [("crashed",)] * 2
    assert found.cells[1].details == ("RuntimeError: made to fail",)
    assert "made to fail" in capsys.readouterr().err
    assert found.versions == {"deepspeed": "0"}


def test_another_version_is_installed_once_and_imported_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    folder = tmp_path / "quartet" / "deepspeed-0.18.9"
    folder.mkdir(parents=True)
    assert other_deepspeed.install("0.18.9") == folder
    changed = other_deepspeed.environment(folder)
    assert changed["PYTHONPATH"] == f"{folder}:/elsewhere"
    assert changed["TORCH_EXTENSIONS_DIR"].startswith(str(folder))


@pytest.mark.slow
@pytest.mark.skipif(
    not (other_deepspeed.cache_folder() / "deepspeed-0.18.9").is_dir(),
    reason="python -m studies.audit --deepspeed 0.18.9 downloads it",
)
def test_the_real_fault_of_an_older_deepspeed_is_named(tmp_path):
    old = ("--deepspeed", "0.18.9", "--ranks", 1, "--output", tmp_path)
    done = run(*old, "--engine", "zero_stage=2", "offload=True")
    assert done.returncode == 1, done.stderr
    record = json.loads((tmp_path / "audit.json").read_text())
    assert record["versions"]["deepspeed"] == "0.18.9"
    assert record["diagnoses"] == ["dropped_micro_batches"]
    assert [cell["passed"] for cell in record["cells"]] == [True, False, False, False]
    assert run(*old, "--engine", "zero_stage=1", "offload=True").returncode == 0


@pytest.mark.slow
def test_a_configuration_on_two_ranks_passes_and_is_recorded(tmp_path):
    done = run("--engine", "zero_stage=3", "--ranks", 2, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 cells: 4 pass." in done.stdout
    record = json.loads((tmp_path / "audit.json").read_text())
    assert record["passed"]
    assert [cell["ranks"] for cell in record["cells"]] == [2] * 4
    assert record["versions"]["deepspeed"] == "0.19.8"
    assert str(tmp_path) in (tmp_path / "table.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [("zero_stage=0",), ("zero_stage=3", "offload=True", "precision=bf16")])
def test_what_passes_on_one_rank_passes_on_two(settings):
    done = run("--ranks", 2, "--engine", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 cells: 4 pass." in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["rank_factor", "rank_factor:divided", "dropped_micro_batches:rank", "clip_scale", "mean_of_means"],
)
def test_a_fault_of_several_ranks_is_named(name):
    done = run("--plant", name, "--ranks", 2, "--engine", "zero_stage=2")
    assert done.returncode == 1, done.stderr
    assert f"FAIL: {name.partition(':')[0]}." in done.stdout
