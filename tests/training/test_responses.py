"""From responses to tensors, and how rows are packed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.rows import make_row, ragged_rows
from training.packing import micro_batches
from training.responses import Response, collate, token_batch

CPU = torch.device("cpu")
SHAPES = st.lists(st.tuples(st.integers(2, 40), st.integers(1, 60)), min_size=1, max_size=30)


def test_prompts_end_and_responses_begin_in_one_column():
    rows = [
        Response(1, (5, 6, 7), (8, 9), False, 0.0),
        Response(2, (5,), (10, 11, 12), True, 1.0),
    ]
    inputs = collate(rows, CPU)
    assert inputs.input_ids.tolist() == [[5, 6, 7, 8, 9, 0], [0, 0, 5, 10, 11, 12]]
    assert inputs.attention_mask.tolist() == [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    assert [row[-4:] for row in inputs.position_ids.tolist()] == [[2, 3, 4, 4], [0, 1, 2, 3]]
    assert inputs.response_tokens.tolist() == [[8, 9, 0], [10, 11, 12]]
    assert inputs.response_mask.tolist() == [[True, True, False], [True, True, True]]


def test_the_plan_sees_every_row_with_its_question_source_and_reward():
    rows = [
        Response(7, (5,), (8, 9), False, 0.1, (-0.5, -0.25)),
        Response(3, (5,), (10,), True, 1.0),
    ]
    step = token_batch(rows, CPU)
    assert step.group.tolist() == [7, 3]
    assert step.is_demonstration.tolist() == [False, True]
    assert step.reward.tolist() == [0.1, 1.0], "in float64, so that 0.1 is 0.1"
    assert step.sampler_logp.tolist() == [[-0.5, -0.25], [0.0, 0.0]]
    assert step.behavior_logp is None


def test_the_plan_sees_which_tokens_were_given():
    rows = [
        Response(7, (5,), (8, 9, 10), False, 0.1, (0.0, 0.0, -0.25), prefix_tokens=2),
        Response(7, (5,), (8, 9), False, 0.1, (-0.5, -0.25)),
        Response(7, (5,), (8, 9), True, 1.0),
    ]
    step = token_batch(rows, CPU)
    assert step.prefix_mask.tolist() == [[True, True, False], [False] * 3, [False] * 3]
    assert step.sampler_logp.tolist() == [[0.0, 0.0, -0.25], [-0.5, -0.25, 0.0], [0.0, 0.0, 0.0]]


def test_greedy_rewards_are_there_where_every_row_has_one():
    rows = [
        Response(7, (5,), (8, 9), False, 0.5, greedy_reward=0.1),
        Response(3, (5,), (10,), True, 1.0, greedy_reward=0.0),
    ]
    assert token_batch(rows, CPU).greedy_reward.tolist() == [0.1, 0.0], "in float64, so that 0.1 is 0.1"
    rows[1] = Response(3, (5,), (10,), True, 1.0)
    assert token_batch(rows, CPU).greedy_reward is None


@settings(deadline=None)
@given(shapes=SHAPES, budget=st.integers(1, 400))
def test_micro_batches_hold_every_row_once_within_their_budget(shapes, budget):
    rows = [make_row(0, prompt, length) for prompt, length in shapes]
    packed = micro_batches(rows, budget)
    assert sorted(index for part in packed for index in part) == list(range(len(rows)))
    for part in packed:
        padded = collate([rows[index] for index in part], CPU).input_ids
        assert padded.numel() <= budget or len(part) == 1


def test_rows_share_a_micro_batch_where_they_fit():
    rows = ragged_rows()
    assert len(micro_batches(rows, 10_000)) == 1
    assert len(micro_batches(rows, 1)) == len(rows)
    same = [make_row(question, 4, 4) for question in range(6)]
    assert [len(part) for part in micro_batches(same, 24)] == [3, 3]


def test_a_responses_length_includes_its_prompt():
    assert len(make_row(0, 4, 3)) == 7


@pytest.mark.parametrize("rows", [[]])
def test_no_rows_make_no_micro_batches(rows):
    assert micro_batches(rows, 10) == []
