"""On two ranks a learner does what it does on one: the same metrics, the same weights but for rounding."""

import json

import pytest
import torch

from tests.training import learnt_ranks, many_ranks
from training.packing import own_micro_batches
from training.ranks import Ranks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learnt(policy_path, tmp_path_factory):
    folders = {}
    for ranks in (1, 2):
        folders[ranks] = tmp_path_factory.mktemp(f"ranks-{ranks}")
        many_ranks.run(ranks, "tests.training.learnt_ranks", policy_path, folders[ranks])
    return folders


def test_the_uneven_rows_are_uneven():
    packed = [own_micro_batches(learnt_ranks.uneven_rows(), 64, Ranks(rank, 2)) for rank in range(2)]
    assert sorted(sum(map(bool, share)) for share in packed) == [1, 2]


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("name", learnt_ranks.ALGORITHMS)
def test_two_ranks_learn_what_one_does(learnt, name, stage):
    alone = torch.load(learnt[1] / f"{name}-{stage}-0.pt")
    first, second = (torch.load(learnt[2] / f"{name}-{stage}-{rank}.pt") for rank in range(2))
    assert torch.equal(first, second)
    assert (first - alone).norm() < 2e-5 * alone.norm()
    expected = json.loads((learnt[1] / f"{name}-{stage}-0.json").read_text())
    for rank in range(2):
        found = json.loads((learnt[2] / f"{name}-{stage}-{rank}.json").read_text())
        for here, there in zip(found, expected, strict=True):
            assert here.keys() == there.keys()
            assert here == pytest.approx(there, rel=1e-3, abs=1e-5)
