"""The rows of the audit: what makes faults differ from each other and from the truth."""

import pytest
import torch

from studies.auditing.batch import LARGE_VOCABULARY, audit_rows, lone_rows, previous_tokens, token_ids
from studies.auditing.layout import CASES, find_budget, layout_of
from studies.auditing.probe import active_rows, schedule
from tests.studies.auditing.synthetic import make_truths


@pytest.mark.parametrize("sets", [1, 3])
def test_every_previous_token_occurs_once(sets):
    rows = audit_rows(sets)
    previous = previous_tokens(rows).tolist()
    assert len(set(previous)) == len(previous) == sum(len(row.tokens) for row in rows)
    # Neither does padding, nor what a prompt begins with.
    assert min(previous) >= 2
    assert token_ids(rows) == max(LARGE_VOCABULARY, 1 + max(row.tokens[-1] for row in rows))
    assert {row.tokens[-1] for row in rows}.isdisjoint(previous)


def test_lengths_signs_clipped_tokens_and_rows_without_gradient_are_all_there():
    (truth, _) = make_truths()
    rows = truth.rows
    assert len({len(row.tokens) for row in rows}) > 6
    assert (truth.coefficient > 0).any()
    assert (truth.coefficient < 0).any()
    active = active_rows(rows)
    assert 0 < len(active) < len(rows)
    trained = torch.isin(truth.row, torch.tensor(active))
    assert (truth.coefficient[~trained] == 0).all()
    # In rows that are trained on, the clip drops tokens of both signs of advantage.
    rewards = torch.tensor([rows[index].reward for index in truth.row])
    dropped = trained & (truth.coefficient == 0)
    assert set(rewards[dropped].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("case", CASES)
def test_every_case_divides_the_rows_as_it_says(case, ranks):
    plan = schedule(case, ranks)
    counts = [layout_of(rows, active_rows(rows), plan.budget, ranks).counts for rows in plan.steps]
    if case != "ragged":
        assert counts == [(int(case),) * ranks] * 2
    elif ranks == 1:
        assert counts == [(3,), (3,), (1,)]
    else:
        assert len(set(counts[0])) > 1
        assert sorted(counts[2]) == [0] * (ranks - 1) + [1]


def test_a_case_wants_its_number_of_micro_batches_on_every_rank():
    # Two rows and one: the second rank never has two micro-batches.
    rows = audit_rows(1)
    assert find_budget(rows, [0, 2, 3], "2", 2) is None
    assert find_budget(rows, [0, 2, 3], "1", 2) is not None


def test_a_lone_row_leaves_one_row_with_a_gradient():
    rows = lone_rows(audit_rows(1))
    (index,) = active_rows(rows)
    assert rows[index].is_demonstration


def test_rows_are_in_one_micro_batch_each_or_have_no_gradient():
    (truth, _) = make_truths("4", 2)
    placed = [row for place in truth.places for row in truth.layout.rows(place)]
    assert sorted(placed) == active_rows(truth.rows)
