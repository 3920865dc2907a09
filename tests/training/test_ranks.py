import pytest

from training.ranks import Ranks, join_ranks


def test_one_rank_hears_itself_alone():
    ranks = Ranks()
    assert ranks.first
    assert ranks.gather("mine") == ["mine"]
    assert ranks.from_first("mine") == "mine"
    assert ranks.spread([1, 2, 3], lambda items: [10 * item for item in items]) == [10, 20, 30]


class Told(Ranks):
    """A rank that is told what the others have, without any others."""

    def gather(self, value):
        return [value if rank == self.rank else self.others[rank] for rank in range(self.size)]


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_results_of_all_ranks_come_back_in_the_order_of_the_items(rank):
    ranks = Told(rank, 3)
    object.__setattr__(ranks, "others", [["a", "d"], ["b"], ["c"]])
    shares = {0: ["item a", "item d"], 1: ["item b"], 2: ["item c"]}

    def work(items):
        assert list(items) == shares[rank]
        return [item[-1] for item in items]

    assert ranks.spread(["item a", "item b", "item c", "item d"], work) == ["a", "b", "c", "d"]


def test_a_rank_without_items_is_not_asked_to_work():
    ranks = Told(2, 3)
    object.__setattr__(ranks, "others", [["a"], [], []])
    assert ranks.spread(["item a"], lambda items: pytest.fail("no items")) == ["a"]


def test_a_result_missing_is_refused():
    with pytest.raises(ValueError, match="2 results for 3 items"):
        Ranks().spread([1, 2, 3], lambda items: [1, 2])


def test_a_launcher_that_says_half_is_refused_with_what_is_missing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match="WORLD_SIZE=2 but RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT"):
        join_ranks()
