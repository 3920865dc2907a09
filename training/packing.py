"""How the rows of a step are divided: among ranks, and into micro-batches on each."""

from __future__ import annotations

from collections.abc import Sequence

from training.ranks import Ranks
from training.responses import Response


def micro_batches(rows: Sequence[Response], budget: int) -> list[list[int]]:
    """Return row indices packed so that rows × (longest prompt + longest response) is at most `budget`.

    Rows of like length share a micro-batch. A row longer than the budget gets one of its own.
    """
    packed: list[list[int]] = []
    prompt = response = 0
    for index in _longest_first(rows):
        prompt, response = max(prompt, len(rows[index].prompt)), max(response, len(rows[index].tokens))
        if packed and (len(packed[-1]) + 1) * (prompt + response) <= budget:
            packed[-1].append(index)
        else:
            packed.append([index])
            prompt, response = len(rows[index].prompt), len(rows[index].tokens)
    return packed


def own_micro_batches(rows: Sequence[Response], budget: int, ranks: Ranks) -> list[list[int]]:
    """Return the micro-batches of this rank, as many as on every other one: at the end some may be empty.

    Each row is on one rank; ranks have about the same number of tokens. Shards of a model are gathered, and
    gradients reduced, with every micro-batch, so that ranks must not take different numbers of them.
    """
    shares = _shares(rows, ranks.size)
    packed = [micro_batches([rows[index] for index in share], budget) for share in shares]
    most = max(len(batches) for batches in packed)
    share = shares[ranks.rank]
    mine = [[share[index] for index in batch] for batch in packed[ranks.rank]]
    return mine + [[] for _ in range(most - len(mine))]


def shortest(rows: Sequence[Response]) -> int:
    """Return the index of the row that is cheapest to score, for forwards that only keep ranks in step."""
    return min(range(len(rows)), key=lambda index: (len(rows[index]), index))


def _longest_first(rows: Sequence[Response]) -> list[int]:
    return sorted(range(len(rows)), key=lambda index: (-len(rows[index]), index))


def _shares(rows: Sequence[Response], size: int) -> list[list[int]]:
    """Return each rank's rows: the longest first, each to the rank that has the fewest tokens so far."""
    shares: list[list[int]] = [[] for _ in range(size)]
    tokens = [0] * size
    for index in _longest_first(rows):
        rank = tokens.index(min(tokens))
        shares[rank].append(index)
        tokens[rank] += len(rows[index])
    return [sorted(share) for share in shares]
