import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import FixedLengthMean, FixedLengthSum, QuestionMean, SequenceMean, TokenMean
from tests.core.batches import batch

STEP = batch([1.0] * 5, groups=[0, 0, 1, 2, 0], lengths=[4, 2, 3, 1, 5])
SELECTED = torch.tensor([True, True, True, False, False])
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("part", "divisors"),
    [
        (TokenMean(), [9, 9, 9]),  # 4 + 2 + 3 tokens
        (SequenceMean(), [12, 6, 9]),  # 3 rows times each one's length
        (FixedLengthSum(7), [7, 7, 7]),
        (FixedLengthMean(7), [21, 21, 21]),  # 3 rows
        (QuestionMean("sum"), [6, 6, 3]),  # 3 questions, the last without rows; 2 and 1 rows
        (QuestionMean("mean"), [24, 12, 9]),
    ],
)
def test_factors_worked_by_hand(part, divisors):
    expected = torch.tensor([1 / divisor for divisor in divisors] + [0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(part(SELECTED, STEP), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("part", [TokenMean(), SequenceMean(), FixedLengthMean(3), QuestionMean()])
def test_selecting_nothing_gives_zeros(part):
    assert not part(torch.zeros(5, dtype=torch.bool), STEP).any()


@given(ROWS)
def test_a_mean_of_ones_is_one_and_selected_rows_share_it(rows):
    groups, lengths, chosen = (list(column) for column in zip(*rows, strict=True))
    step, selected = batch([0.0] * len(rows), groups, lengths=lengths), torch.tensor(chosen)
    tokens = step.response_mask.sum(dim=1).double()
    answered = selected & (tokens > 0)
    for part, whole in [
        (TokenMean(), float(answered.any())),
        (SequenceMean(), int(answered.sum()) / max(1, int(selected.sum()))),
        (FixedLengthSum(4), float(tokens[selected].sum() / 4)),
        (FixedLengthMean(4), float(tokens[selected].sum()) / 4 / max(1, int(selected.sum()))),
    ]:
        factors = part(selected, step)
        assert not factors[~selected].any()
        assert abs(float((factors * tokens).sum()) - whole) < 1e-12
