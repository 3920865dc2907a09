import pytest
from optuna.trial import TrialState

from studies.catalog import UsageError
from studies.sweeping.axis_texts import read_axes
from studies.sweeping.board import MOST_DEATHS, Board
from studies.sweeping.identity import claim
from studies.sweeping.sampling import check_size, make_pruner
from studies.sweeping.storage import open_journal
from studies.sweeping.trials import best_of

AXES = read_axes(
    ["kind=choice(hard, soft)", "width=float(0.01, 1, log) if kind=soft", "rate=float(0, 1)", "n=int(1, 9)"]
)


@pytest.fixture
def open_board(tmp_path):
    """Open the board of a journal file, as a process that starts does."""

    def start(file="journal", wanted=16, sampler="tpe", pruner="median", seed=0, retry_failed=False):
        store = open_journal(tmp_path / file, "toy")
        board = Board(store, AXES, sampler, seed, wanted, make_pruner(pruner, 1, 4))
        board.recover(retry_failed=retry_failed)
        return board

    return start


def score(values, step):
    return step * (values["rate"] + values.get("width", 0.3) + values["n"] / 9) / 12


def make(board, taken, first=1):
    """Carry a trial out from a step on."""
    for step in range(first, 5):
        board.report(taken.attempt, step, score(taken.values, step))
        if step < 4 and board.to_prune(taken.number):
            board.pruned(taken.attempt, f"after step {step}", None, step)
            return
    board.completed(taken.attempt, score(taken.values, 4), 0.1, 4)


def finish(board):
    while taken := board.take():
        make(board, taken)
    assert board.finished()
    return board.trials()


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_sweep_that_is_broken_off_again_and_again_ends_as_if_it_had_not_been(open_board, pruner):
    undisturbed = finish(open_board("whole", pruner=pruner))
    assert len(undisturbed) == 16
    assert {trial.state for trial in undisturbed} == {"complete", "pruned"}
    for _ in range(6):  # a process that ends without a word, in the middle of its third trial
        board = open_board("broken", pruner=pruner)
        for _ in range(2):
            if taken := board.take():
                make(board, taken)
        if taken := board.take():
            board.report(taken.attempt, 1, score(taken.values, 1))
    assert finish(open_board("broken", pruner=pruner)) == undisturbed


def test_tpe_learns_from_the_trials_before(open_board):
    trials = finish(open_board(wanted=40, pruner="none"))
    early = [score(trial.values, 4) for trial in trials[:10]]
    late = [score(trial.values, 4) for trial in trials[30:]]
    assert sum(late) / 10 > sum(early) / 10 + 0.1


def test_more_trials_go_on_from_those_there_are(open_board):
    first = finish(open_board(wanted=12))
    more = finish(open_board(wanted=15))
    assert more[:12] == first
    assert more == finish(open_board("at once", wanted=15))


def test_the_seed_decides_what_is_tried(open_board):
    values = [
        [trial.values for trial in finish(open_board(f"seed {seed}", wanted=3, seed=seed))] for seed in (0, 1)
    ]
    assert values[0] != values[1]


def test_trials_taken_at_once_are_different_and_exactly_as_many_as_were_wanted(open_board):
    board = open_board(wanted=13)
    taken = []
    while each := board.take():
        taken.append(each)
    assert [each.number for each in taken] == list(range(13))
    assert len({str(each.values) for each in taken}) == 13
    assert not board.finished()
    for each in taken:
        make(board, each)
    assert board.finished()
    assert board.take() is None


def test_a_trial_whose_workers_keep_ending_is_failed_and_says_so(open_board):
    board = open_board(wanted=1)
    for _ in range(MOST_DEATHS):
        board.lost(board.take().attempt)
    assert board.take() is None
    [trial] = board.trials()
    assert (trial.state, trial.reason) == ("failed", f"its worker ended {MOST_DEATHS} times")
    assert board.finished()


def test_interruptions_do_not_count_against_a_trial(open_board):
    for _ in range(MOST_DEATHS + 2):
        board = open_board(wanted=1)
        board.give_back(board.take().attempt)
    assert finish(open_board(wanted=1))[0].state == "complete"


def test_failed_trials_are_tried_again_where_that_is_asked_for(open_board):
    board = open_board(wanted=2)
    first = board.take()
    board.failed(first.attempt, "toy reason")
    finish(board)
    assert [trial.state for trial in open_board(wanted=2).trials()] == ["failed", "complete"]
    again = finish(open_board(wanted=2, retry_failed=True))
    assert [trial.state for trial in again] == ["complete", "complete"]
    assert dict(again[0].values) == first.values


def test_a_grid_is_gone_through_once_in_order():
    axes = read_axes(["a=choice(x, y)", "b=int(1, 3)"])
    check_size(axes, "grid", 6)
    with pytest.raises(UsageError, match="the grid has 6 points"):
        check_size(axes, "grid", 7)


def test_the_first_of_equally_good_trials_is_the_best(open_board):
    board = open_board(wanted=3)
    for value in (0.2, 0.7, 0.7):
        board.completed(board.take().attempt, value, None, 4)
    assert best_of(board.trials()).number == 1


def test_the_storage_keeps_one_optuna_trial_for_each_attempt(open_board):
    board = open_board(wanted=2)
    board.lost(board.take().attempt)
    finish(board)
    states = [trial.state for trial in board.store.study.trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]


def test_trials_of_another_sweep_are_refused_with_each_difference(tmp_path):
    store = open_journal(tmp_path / "journal", "toy")
    asked = {"study": "toy", "axes": ["a=int(1, 2)"], "seeds": 1, "run": {"train": {"steps": 3}}}
    claim(store, asked, "here")
    claim(store, asked, "here")
    with pytest.raises(UsageError) as refusal:
        claim(store, {**asked, "axes": ["a=int(1, 3)"], "seeds": 2}, "here")
    assert "axis a=int(1, 2): there, not now" in str(refusal.value)
    assert "axis a=int(1, 3): now, not there" in str(refusal.value)
    assert "seeds: 1 there, 2 now" in str(refusal.value)
    with pytest.raises(UsageError, match=r"run\.train\.steps: 3 there, 4 now"):
        claim(store, {**asked, "run": {"train": {"steps": 4}}}, "here")
