"""Workers die, hang and are killed; no other grade notices, and none outlives its caller."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from evaluation.grading import Grader, GraderConfig, worker_process
from evaluation.grading.worker_process import WorkerProcess

ROOT = Path(__file__).parents[2]
# Passes every static limit, then keeps sympy busy for longer than any limit used here.
ENDLESS = r"\boxed{" + "|x-" * 26 + "2" + "|" * 26 + "}"
PARENT = """
import os, sys, time
from evaluation.grading import Grader, GraderConfig
grader = Grader(GraderConfig(workers=1, time_limit=30.0))
grader.grade(r"\\\\boxed{x+1}", "1+x")
if sys.argv[1] == "fork" and os.fork() == 0:
    time.sleep(60)  # holds a copy of the worker's pipe
    os._exit(0)
print(grader._pool.workers[0].pid, flush=True)
grader.grade(sys.argv[2], "|x-2|") if sys.argv[1] == "busy" else time.sleep(60)
"""


def one_worker(**settings):
    return Grader(GraderConfig(workers=1, **settings))


def grading_child(grader):
    (child,) = psutil.Process(grader._pool.workers[0].pid).children()
    return child


def until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_starts_when_first_needed_and_ends_with_the_grader():
    with one_worker() as grader:
        grader.grade(r"\boxed{3}", "3")
        assert grader._pool.workers[0].pid is None, "an exact match needs no worker"
        grader.grade(r"\boxed{x+1}", "1+x")
        family = [grader._pool.workers[0].pid, grading_child(grader).pid]
    assert until(lambda: not any(map(alive, family)), seconds=5)


def test_a_timeout_costs_a_child_and_no_neighbour():
    fine = [(rf"\boxed{{x+{n}}}", f"{n}+x") for n in range(20)]
    mixed = [pair for good in fine for pair in (good, (ENDLESS, "|x-2|"))]
    with Grader(GraderConfig(workers=2, time_limit=1.0)) as grader:
        grades = grader.grade_all(mixed)
        workers = [worker.pid for worker in grader._pool.workers]
        assert grader.grade(r"\boxed{y+1}", "1+y").correct
        assert [worker.pid for worker in grader._pool.workers] == workers, "only the child is replaced"
    assert {grade.outcome for grade in grades[::2]} == {"correct"}
    assert {(grade.outcome, grade.how) for grade in grades[1::2]} == {("timeout", "time_limit")}
    assert max(grade.seconds for grade in grades[1::2]) < 10


@pytest.mark.parametrize("victim", ["supervisor", "child"])
def test_a_worker_killed_from_outside_is_replaced_and_asked_again(victim):
    with one_worker(time_limit=1.0) as grader:
        assert grader.grade(r"\boxed{x+1}", "1+x").correct
        killed = grader._pool.workers[0].pid if victim == "supervisor" else grading_child(grader).pid
        threading.Timer(0.3, os.kill, (killed, signal.SIGKILL)).start()
        grade = grader.grade(ENDLESS, "|x-2|")
        assert grade.outcome == "timeout"
        assert grader.grade(r"\boxed{y+1}", "1+y").correct
        assert until(lambda: not alive(killed))


def test_a_worker_killed_again_and_again_is_an_error_and_is_not_remembered():
    with one_worker(time_limit=5.0) as grader:
        grader.grade(r"\boxed{x+1}", "1+x")
        done = threading.Event()

        def assassin():
            while not done.wait(0.05):
                pid = grader._pool.workers[0].pid
                if pid and psutil.Process(pid).children():
                    os.killpg(pid, signal.SIGKILL)

        thread = threading.Thread(target=assassin)
        thread.start()
        try:
            grade = grader.grade(ENDLESS, "|x-2|")
        finally:
            done.set()
            thread.join()
        assert grade[0] == "error"
        assert grade.how == "worker_died"
        assert not any("|x-|" in question.answer for question in grader._cache.verdicts)
        assert grader.grade(r"\boxed{y+1}", "1+y").correct


def test_a_stopped_worker_is_killed_from_this_side():
    with one_worker(time_limit=0.5) as grader:
        grader.grade(r"\boxed{x+1}", "1+x")
        os.killpg(grader._pool.workers[0].pid, signal.SIGSTOP)
        stuck = grader.grade(r"\boxed{x+2}", "2+x")
        assert (stuck.outcome, stuck.how) == ("timeout", "stuck")
        assert stuck.seconds < 10
        assert grader.grade(r"\boxed{x+2}", "2+x").correct, "an accident is not remembered"


@pytest.mark.parametrize(("size", "swallow"), [(2**33, False), (160 * 2**20, False), (160 * 2**20, True)])
def test_an_answer_that_eats_the_memory_is_an_error_of_its_own(size, swallow):
    limits = GraderConfig(memory_limit=2**28, time_limit=20.0)
    worker = WorkerProcess({**asdict(limits), "engine": "tests.evaluation.hungry_engine"})
    try:
        assert worker.ask({"bytes": 1000, "swallow": swallow}).how == "took 1000"
        supervisor = worker.pid
        assert worker.ask({"bytes": size, "swallow": swallow}) == ("error", None, "memory")
        assert worker.ask({"bytes": 1000, "swallow": swallow}).how == "took 1000"
        assert worker.pid == supervisor, "only the child is replaced"
    finally:
        worker.stop()


def test_a_worker_that_cannot_start_is_not_a_wrong_answer(monkeypatch):
    monkeypatch.setattr(worker_process, "MODULE", "evaluation.no_such_worker")
    with one_worker() as grader, pytest.raises(RuntimeError, match=r"no_such_worker did not start"):
        grader.grade(r"\boxed{x+1}", "1+x")


@pytest.fixture
def interruptible():
    """Have SIGINT raise KeyboardInterrupt, also where this process was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_reaches_the_caller_alone():
    with one_worker(time_limit=30.0) as grader:
        grader.grade(r"\boxed{x+1}", "1+x")
        pid = grader._pool.workers[0].pid
        assert os.getsid(pid) == pid
        os.killpg(pid, signal.SIGINT)
        assert grader.grade(r"\boxed{x+2}", "2+x").correct
        assert grader._pool.workers[0].pid == pid, "the worker ignores it"
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            grader.grade(ENDLESS, "|x-2|")
        assert grader.grade(r"\boxed{x+3}", "3+x").correct, "no stale reply is read"


@pytest.mark.parametrize("state", ["idle", "busy", "fork"])
def test_no_worker_outlives_a_killed_caller(state):
    code = PARENT.replace("\\\\", "\\")
    parent = subprocess.Popen(
        [sys.executable, "-c", code, state, ENDLESS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        worker = int(parent.stdout.readline())
        until(lambda: psutil.Process(worker).children())
        family = [worker, *(child.pid for child in psutil.Process(worker).children())]
        assert len(family) == 2
        time.sleep(0.5)
        parent.kill()
        parent.wait()
        assert until(lambda: not any(map(alive, family))), family
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if state == "fork" else parent.kill()
        parent.communicate()


def test_the_worker_loads_no_model_library():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "import evaluation.grading.worker, evaluation.grading.comparison; "
        "sys.exit(bool({'torch', 'transformers', 'lm_eval', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd="/")
