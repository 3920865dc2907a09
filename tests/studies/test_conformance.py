"""`python -m studies.conformance`: tables, files and exit codes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from studies.conformance import main
from tests.studies.conforming.make_samples import DATA

ROOT = Path(__file__).parents[2]
SAMPLES = [str(DATA / "trl.json"), str(DATA / "verl.json")]


@pytest.fixture
def verl():
    """The content of a sample file, to be changed."""
    return json.loads((DATA / "verl.json").read_text())


def written(tmp_path, content):
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return str(path)


def row_of(out, name):
    (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
    return line


def test_the_sample_files_pass_and_the_table_alone_is_on_stdout(capsys):
    assert main(SAMPLES) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["case", "algorithm", "tags", "worst", "relative", "error", "verdict"]
    assert lines[-1] == f"{len(lines) - 3} cases: {len(lines) - 3} pass"
    assert len(lines) > 20
    assert row_of(out, "trl_gspo").split() == ["trl_gspo", "grpo", "core", "<1e-10", "pass"]
    assert err == ""


def test_a_wrong_number_is_a_mismatch_and_fails(verl, tmp_path, capsys):
    (case,) = [case for case in verl["cases"] if case["name"] == "verl_gae"]
    case["expected"]["advantages"][0][0] *= 1.001
    assert main([written(tmp_path, verl)]) == 1
    out, _ = capsys.readouterr()
    assert "MISMATCH: advantages beyond 1e-09" in row_of(out, "verl_gae")
    count = len(verl["cases"])
    assert out.splitlines()[-1] == f"{count} cases: {count - 1} pass, 1 MISMATCH"


def test_an_option_that_nothing_stands_for_is_named_and_fails(verl, tmp_path, capsys):
    verl["cases"][0]["params"]["loss_mode"] = "novel"
    assert main([written(tmp_path, verl)]) == 1
    out, _ = capsys.readouterr()
    row = row_of(out, "verl_vanilla")
    assert "CANNOT EXPRESS: cannot express option loss_mode=novel" in row
    assert "known: vanilla, " in row


def test_what_is_left_out_on_purpose_is_shown_and_does_not_fail(verl, tmp_path, capsys):
    case = verl["cases"][0]
    case["params"] |= {"loss_mode": "clip_cov", "clip_cov_ratio": 0.01}
    case["tags"] = ["extended"]
    assert main([written(tmp_path, verl)]) == 0
    out, _ = capsys.readouterr()
    assert "out of scope: clip_cov_ratio below 1" in row_of(out, "verl_vanilla")
    case["tags"] = ["core"]
    assert main([written(tmp_path, verl)]) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is not JSON"), ("{}", "holds no golden cases"), ('{"cases": [{}]}', "must say whose options")],
)
def test_a_bad_file_is_a_clear_error_without_a_traceback(tmp_path, capsys, content, says):
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert main([SAMPLES[0], str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}")
    assert says in err


def test_a_command_without_files_or_with_an_unwritable_folder_is_refused(tmp_path, capsys):
    assert main([]) == 2
    assert "name at least one file" in capsys.readouterr().err
    (tmp_path / "taken").write_text("")
    assert main([*SAMPLES, "--output", str(tmp_path / "taken" / "below")]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_the_tables_written_say_the_same_and_are_the_same_each_time(tmp_path, capsys):
    assert main([*SAMPLES, "--output", str(tmp_path / "first")]) == 0
    out, err = capsys.readouterr()
    assert f"table: {tmp_path / 'first' / 'table.md'}" in err
    markdown = (tmp_path / "first" / "table.md").read_text()
    assert f"    python -m studies.conformance {SAMPLES[0]} {SAMPLES[1]} --output" in markdown
    assert "| trl_gspo | grpo | core | <1e-10 | pass |" in markdown
    with (tmp_path / "first" / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["case"] for row in rows] == [line.split()[0] for line in out.splitlines()[1:-2]]
    assert {row["verdict"] for row in rows} == {"pass"}
    assert {row["in"] for row in rows} <= {"advantages", "loss", "grad_logprobs", "grad_vpreds", "returns"}
    main([*SAMPLES, "--output", str(tmp_path / "second")])
    assert (tmp_path / "second" / "table.csv").read_bytes() == (tmp_path / "first" / "table.csv").read_bytes()
    assert (tmp_path / "second" / "table.md").read_text().replace("second", "first") == markdown


def test_help_explains_the_command_before_any_heavy_import():
    code = (
        "import sys; from studies.conformance import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for word in ("FILE ...", "--output DIR", "out of scope", "exit code"):
        assert word in " ".join(done.stdout.split())


def test_the_command_runs_as_a_module():
    command = [sys.executable, "-m", "studies.conformance", SAMPLES[0]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith(" pass")
