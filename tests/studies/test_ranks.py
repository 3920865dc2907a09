"""Runs of two ranks: the real study at the tiny scale, cut short, on one machine and under a launcher."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.training import many_ranks
from tests.waiting import until

PROJECT = Path(__file__).parents[2]
SHORT = ("train.steps=6", "train.checkpoint_every=2", "evaluation.limit=5", "evaluation.samples=2")
ARM = "hpt-gate=0.25-seed0"
STUDY = """
from studies.study import Arm, Study

STUDY = Study("two_ranks", "Two ranks", (Arm("hpt gate=0.25", "hpt", {"gate": 0.25}),), (0,))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "two_ranks.py"
    path.write_text(STUDY)
    return path


def arguments(study, results, *settings):
    return [str(study), "--results", str(results), "--set", *SHORT, *settings]


def take_over_audits(results, *others):
    """Have a folder's study start with the audits of others, so that it need not make its own."""
    (results / "two_ranks").mkdir()
    audits = [json.loads((other / "two_ranks/audit.json").read_text())["audits"] for other in others]
    (results / "two_ranks/audit.json").write_text(
        json.dumps({"audits": [each for some in audits for each in some]})
    )


def start(study, results, *settings):
    command = [sys.executable, "-m", "studies.run", *arguments(study, results, *settings)]
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env=many_ranks.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out


def records(results):
    """Return what a run left that does not tell time, place or number of ranks."""
    run = results / "two_ranks/runs" / ARM
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = [{key: value for key, value in step.items() if not key.startswith("time/")} for step in steps]
    return curve, (results / "two_ranks/table.csv").read_bytes()


def steps_done(results):
    path = results / "two_ranks/runs" / ARM / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    finish(start(study, results, "ranks=2"))
    return results


@pytest.fixture(scope="module")
def alone(study, tmp_path_factory):
    results = tmp_path_factory.mktemp("alone")
    finish(start(study, results))
    return results


def test_two_ranks_write_one_record_of_one_run(undisturbed):
    run = undisturbed / "two_ranks/runs" / ARM
    assert json.loads((run / "config.json").read_text())["provenance"]["ranks"] == 2
    assert steps_done(undisturbed) == 6
    assert {path.name for path in (run / "checkpoints/step-000006/engine").glob("weight-*")} == {
        "weight-00000-00000.safetensors",
        "weight-00001-00000.safetensors",
    }


def test_a_run_of_two_ranks_is_that_of_one_but_for_rounding(undisturbed, alone):
    (two, table), (one, expected) = records(undisturbed), records(alone)
    assert table == expected
    for here, there in zip(two, one, strict=True):
        assert here["rollout/solve_rates"] == there["rollout/solve_rates"]
        assert here["train/gradient_norm"] == pytest.approx(there["train/gradient_norm"], rel=1e-4)


def test_shards_of_one_rank_are_trained_and_evaluated_as_whole_weights_are(undisturbed, study, tmp_path):
    finish(start(study, tmp_path, "train.engine.zero_stage=3"))
    for here, there in zip(records(tmp_path)[0], records(undisturbed)[0], strict=True):
        assert here["train/gradient_norm"] == pytest.approx(there["train/gradient_norm"], rel=1e-4)


def test_a_launcher_of_the_users_own_gives_the_same_run(undisturbed, study, tmp_path):
    many_ranks.run(2, "studies.run", *arguments(study, tmp_path))
    assert records(tmp_path) == records(undisturbed)


def test_a_run_goes_on_with_another_number_of_ranks(undisturbed, alone, study, tmp_path):
    take_over_audits(tmp_path, undisturbed, alone)
    running = start(study, tmp_path, "ranks=2")
    until(lambda: steps_done(tmp_path) >= 3)
    running.send_signal(signal.SIGINT)
    finish(running, 130)
    resumed_at = steps_done(tmp_path)
    finish(start(study, tmp_path))
    assert resumed_at < 6
    run = tmp_path / "two_ranks/runs" / ARM
    assert json.loads((run / "config.json").read_text())["provenance"]["ranks"] == 1
    (curve, table), (expected, undisturbed_table) = records(tmp_path), records(undisturbed)
    assert table == undisturbed_table
    for here, there in zip(curve, expected, strict=True):
        assert here["train/gradient_norm"] == pytest.approx(there["train/gradient_norm"], rel=1e-4)


def test_a_run_that_raises_on_its_ranks_is_failed_at_once_with_the_reason(undisturbed, study, tmp_path):
    take_over_audits(tmp_path, undisturbed)
    failing = start(study, tmp_path, "ranks=2", "train.optimizer.learning_rate=1e30")
    _, err = failing.communicate(timeout=300)
    assert failing.returncode == 1
    assert "again     " not in err, "what raises is not tried twice"
    status = json.loads((tmp_path / "two_ranks/runs" / ARM / "status.json").read_text())
    assert status["state"] == "failed"
    assert status["reason"].startswith(("ArithmeticError: ", "NotFiniteError: "))
    assert status["reason"] in err


class Watched:
    """A study that was started, with the processes it has."""

    def __init__(self, study, results):
        self.results = results
        self.driver = start(study, results, "ranks=2")
        self.seen = {}

    def look(self):
        """Return launcher and ranks, by name; remember all that ever were."""
        found = {}
        for process in psutil.Process(self.driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                self.seen[process.pid] = process
                words = process.cmdline()
                if "studies.running.worker" in words:
                    launcher = "torch.distributed.run" in words
                    found["launcher" if launcher else f"rank {process.environ()['RANK']}"] = process
        return found

    def kill(self, victim, steps):
        """Kill a process by SIGKILL once the run has taken so many steps."""
        until(lambda: steps_done(self.results) >= steps and len(self.look()) == 3)
        if victim == "driver":
            self.driver.kill()
            self.driver.communicate()
        else:
            self.look()[victim].kill()
            until(lambda: not {"launcher", "rank 0", "rank 1"} <= set(self.look()))

    def left(self):
        """Return which of its processes still run."""
        return [each for each in self.seen.values() if each.is_running() and each.status() != "zombie"]


def test_killed_processes_cost_the_steps_since_the_last_checkpoint_and_leave_none_behind(
    undisturbed, study, tmp_path
):
    take_over_audits(tmp_path, undisturbed)
    for victim, steps in (("rank 1", 1), ("launcher", 3)):
        watched = Watched(study, tmp_path)
        watched.kill(victim, steps)
        watched.kill("driver", steps)
        until(lambda: not watched.left(), 20)  # noqa: B023
    watched = Watched(study, tmp_path)
    watched.kill("rank 0", 5)
    watched.look()
    finish(watched.driver)
    assert records(tmp_path) == records(undisturbed)
    until(lambda: not watched.left(), 20)
