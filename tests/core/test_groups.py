import statistics

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.groups import group_moments, group_sum

ROWS = st.lists(
    st.tuples(st.floats(-4, 4), st.sampled_from([-5, 0, 7, 10**12]), st.booleans()), min_size=1, max_size=12
)


def columns(rows):
    values, groups, members = zip(*rows, strict=True)
    return torch.tensor(values, dtype=torch.float64), torch.tensor(groups), torch.tensor(members)


@given(ROWS)
def test_moments_are_those_of_the_members_of_each_group(rows):
    values, group, members = columns(rows)
    found = group_moments(values, members, group)
    for i, (_, question, _) in enumerate(rows):
        inside = [value for value, other, member in rows if member and other == question]
        assert found.size[i] == len(inside)
        assert abs(found.mean[i] - (statistics.fmean(inside) if inside else 0.0)) < 1e-12
        assert abs(found.std[i] - (statistics.stdev(inside) if len(inside) > 1 else 0.0)) < 1e-7


@given(ROWS, st.randoms())
def test_sums_follow_their_rows(rows, random):
    values, group, _ = columns(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    torch.testing.assert_close(group_sum(values[order], group[order]), group_sum(values, group)[order])
