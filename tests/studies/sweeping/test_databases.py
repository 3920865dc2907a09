import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from studies.sweeping.address import read_address
from studies.sweeping.axis_texts import read_axes
from studies.sweeping.board import Board
from studies.sweeping.sampling import make_pruner
from studies.sweeping.storage import open_database
from tests.studies import toy as study
from tests.studies.sweeping import toy
from tests.studies.sweeping.databases import PASSWORD, QUOTED, mariadb, postgresql

TRIALS = 8
HOW = ("--trials", str(TRIALS), "--sampler", "random", "--pruner", "none", "--heartbeat", "1")


@pytest.fixture(scope="module")
def server():
    with postgresql() as address:
        yield address


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The table of one worker on a journal."""
    results = tmp_path_factory.mktemp("alone")
    code, _, err = toy.run(results, *HOW)
    assert code == 0, err
    return toy.table(results)


def join(results, address, name, **environment):
    """Start a process that takes part, the address in its environment."""
    named = ("--storage", "env:TOY_STORAGE", "--name", name)
    gate = {"TOY_GATE": results / "gate", "TOY_SECONDS": 0.15}
    return toy.start(results, *HOW, *named, TOY_STORAGE=address, **gate, **environment)


def own_runs(process, folder):
    """Return the folders of the runs that a process's worker has begun last."""
    workers = {each.pid for each in psutil.Process(process.pid).children()}
    last = {path.parent: int(path.read_text().split()[-2]) for path in folder.glob("runs/*/attempts")}
    return [run for run, pid in last.items() if pid in workers]


def in_mid_trial(process, folder):
    """Return the folder of a run that a process's worker is at, past its first checkpoint."""
    for run in own_runs(process, folder):
        if (run / "checkpoint").exists() and not (run / "eval.json").exists():
            return run
    return None


def attempts(run):
    return [tuple(map(int, line.split())) for line in (run / "attempts").read_text().splitlines()]


def trials_in(address, name):
    url = read_address(address).url
    return optuna.load_study(study_name=name, storage=url).get_trials()


def share_with_three(results, address, name):
    """Have three processes share a sweep, of which one is killed and one comes late; return their outputs."""
    folder = results / name
    killed, steady = join(results, address, name), join(results, address, name)
    run = study.wait_for(lambda: in_mid_trial(killed, folder), seconds=40)
    study.kill(killed.pid)
    late = join(results, address, name)
    study.wait_for(lambda: own_runs(late, folder), seconds=40)
    (results / "gate").touch()
    outputs = [process.communicate(timeout=60) for process in (steady, late, killed)]
    assert [steady.returncode, late.returncode] == [0, 0], outputs
    return run, outputs


@pytest.mark.slow
def test_three_workers_of_whom_one_is_killed_and_one_comes_late_make_the_table_of_one(
    server, alone, tmp_path
):
    run, outputs = share_with_three(tmp_path, server, "shared")
    assert toy.table(tmp_path, "shared").equals(alone)
    found = trials_in(server, "shared")
    complete = [trial for trial in found if trial.state == TrialState.COMPLETE]
    assert sorted(trial.user_attrs["trial"] for trial in complete) == list(range(TRIALS))
    [lost] = [trial for trial in found if trial.state != TrialState.COMPLETE]
    assert lost.state == TrialState.FAIL
    [again] = [trial for trial in complete if trial.user_attrs["trial"] == lost.user_attrs["trial"]]
    assert again.params == lost.params
    by_run = {each.parent.name: attempts(each.parent) for each in tmp_path.glob("shared/runs/*/attempts")}
    (first, _), (second, resumed_at) = by_run.pop(run.name)
    assert first != second
    assert resumed_at >= 2  # from its checkpoint
    assert len(by_run) == TRIALS - 1
    assert all(len(made) == 1 for made in by_run.values())
    assert outputs[0][0] == outputs[1][0] == (tmp_path / "shared" / "table.md").read_text() + "\n"


def test_processes_that_take_trials_at_the_same_time_take_each_of_them_once(server):
    address, taken = read_address(server), []

    def take_all(_):
        store = open_database(address, "contended", 30)
        board = Board(store, read_axes(["a=float(0, 1)"]), "random", 0, 12, make_pruner("none", 1, 2))
        while len(board.trials()) < 12:
            if (each := board.take()) is not None:
                taken.append(each)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_all, range(4)))
    assert sorted(each.number for each in taken) == list(range(12))
    assert len(trials_in(server, "contended")) == 12


@pytest.mark.slow
def test_mariadb_serves_as_well(alone, tmp_path):
    with mariadb() as address:
        share_with_three(tmp_path, address, "shared")
        assert toy.table(tmp_path, "shared").equals(alone)


@pytest.mark.slow
def test_an_address_on_the_command_line_is_seen_by_nobody(server, tmp_path):
    more = ("--trials", "1", "--name", "hidden", "--storage", server)
    process = toy.start(tmp_path, *more, TOY_SECONDS=0.2)
    study.wait_for(lambda: list(tmp_path.glob("hidden/runs/*/attempts")))
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    inherited = [
        Path(f"/proc/{each.pid}/environ").read_text() for each in psutil.Process(process.pid).children()
    ]
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert "studies.sweeping" in listed
    written = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    for text in [listed, *inherited, out, err, *written]:
        assert PASSWORD not in text
        assert QUOTED not in text


@pytest.mark.parametrize("wrong", ["password", "database"])
def test_a_refused_connection_names_the_cause_and_no_password(server, tmp_path, wrong):
    address = server.replace(QUOTED, "other-secret") if wrong == "password" else f"{server}x"
    code, out, err = toy.run(tmp_path, "--storage", address)
    assert code == 2
    assert {"password": "authentication failed", "database": "does not exist"}[wrong] in err
    assert not [secret for secret in ("other-secret", QUOTED, PASSWORD) if secret in out + err]


def test_another_sweep_of_the_same_name_is_refused_with_what_differs(server, tmp_path):
    more = ("--trials", "1", "--name", "claimed", "--storage", server)
    assert toy.run(tmp_path / "one", *more)[0] == 0
    code, _, err = toy.run(tmp_path / "two", *more, "--seeds", "2")
    assert code == 2
    assert "seeds: 1 there, 2 now" in err


@pytest.mark.slow
def test_a_worker_that_others_took_for_dead_lets_its_trial_go(server, tmp_path):
    named = ("--trials", "2", "--name", "stopped", "--storage", "env:TOY_STORAGE")
    process = toy.start(tmp_path, *HOW, *named, TOY_STORAGE=server, TOY_SECONDS=0.4)
    study.wait_for(lambda: list(tmp_path.glob("stopped/runs/*/attempts")))
    [running] = [trial for trial in trials_in(server, "stopped") if trial.state == TrialState.RUNNING]
    storage = optuna.storages.RDBStorage(read_address(server).url)
    storage.set_trial_state_values(running._trial_id, TrialState.FAIL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "another process took it" in err
    assert len(toy.table(tmp_path, "stopped")) == 2
