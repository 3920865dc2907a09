import pytest
import torch

from core import ClipMask, KeepAll, PolicyTokens, TokenBatch

BOUNDS = ClipMask(low=0.25, high=0.5)


def stable(mask, ratio, advantage):
    """Return the mask's weight of single tokens with these ratios and advantages."""
    ratio, advantage = (torch.tensor([values], dtype=torch.float64) for values in (ratio, advantage))
    kept = torch.ones(ratio.shape, dtype=torch.bool)
    batch = TokenBatch(kept, torch.zeros(1, dtype=torch.long), torch.tensor([False]), torch.ones(1))
    return mask(ratio, advantage, PolicyTokens(ratio.log()), batch)[0].tolist()


@pytest.mark.parametrize(
    ("ratio", "advantage", "kept"),
    [
        (1.5, 1.0, 1), (1.5000001, 1.0, 0), (1.5000001, -1.0, 1), (9.0, 1e-9, 0), (0.1, 1.0, 1),
        (0.75, -1.0, 1), (0.7499999, -1.0, 0), (0.7499999, 1.0, 1), (0.0, -1e-9, 0), (9.0, -1.0, 1),
        (9.0, 0.0, 1), (0.1, 0.0, 1), (1.0, 1.0, 1), (1.0, -1.0, 1),
    ],
)  # fmt: skip
def test_a_token_is_dropped_only_beyond_the_bound_its_advantage_pushes_to(ratio, advantage, kept):
    assert stable(BOUNDS, [ratio], [advantage]) == [kept]


def test_keep_all_keeps_every_ratio():
    assert stable(KeepAll(), [0.0, 1.0, 1e9], [1.0, -1.0, 1.0]) == [1, 1, 1]


def test_each_bound_is_its_own():
    assert stable(ClipMask(low=0.5, high=0.1), [1.2, 0.6, 0.4], [1.0, -1.0, -1.0]) == [0, 1, 0]
