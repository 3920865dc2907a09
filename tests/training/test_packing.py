"""How the rows of a step are divided among ranks."""

from hypothesis import given
from hypothesis import strategies as st

from training.packing import micro_batches, own_micro_batches, shortest
from training.ranks import Ranks
from training.responses import Response

shapes = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 30)), min_size=1, max_size=40)


def made(shapes):
    return [Response(0, (1,) * p, (1,) * t, is_demonstration=False, reward=0.0) for p, t in shapes]


def divided(rows, budget, size):
    return [own_micro_batches(rows, budget, Ranks(rank, size)) for rank in range(size)]


@given(shapes, st.integers(1, 200), st.integers(1, 5))
def test_every_row_is_on_one_rank_and_all_ranks_take_as_many_micro_batches(shapes, budget, size):
    rows = made(shapes)
    shares = divided(rows, budget, size)
    held = [index for share in shares for batch in share for index in batch]
    assert sorted(held) == list(range(len(rows)))
    assert len({len(share) for share in shares}) == 1
    assert any(share[-1] for share in shares), "no micro-batch is empty on all ranks"


@given(shapes, st.integers(1, 5))
def test_no_rank_has_more_tokens_than_another_beyond_one_row(shapes, size):
    rows = made(shapes)
    tokens = [
        sum(len(rows[index]) for batch in share for index in batch) for share in divided(rows, 10**6, size)
    ]
    assert max(tokens) - min(tokens) <= max(len(row) for row in rows)


@given(shapes, st.integers(1, 200))
def test_one_rank_packs_the_rows_as_they_come(shapes, budget):
    rows = made(shapes)
    assert own_micro_batches(rows, budget, Ranks()) == micro_batches(rows, budget)


def test_ranks_without_rows_wait_with_empty_micro_batches():
    shares = divided(made([(2, 3)]), 100, 3)
    assert sorted(shares) == [[[]], [[]], [[0]]]


def test_the_shortest_row_counts_its_prompt():
    assert shortest(made([(1, 9), (8, 1), (9, 1)])) == 1
