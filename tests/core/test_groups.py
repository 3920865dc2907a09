import statistics

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.groups import group_mean, group_moments, group_sum, moments

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


@given(ROWS, st.lists(st.integers(0, 5), min_size=12, max_size=12))
def test_weighted_means_are_those_of_each_group(rows, weights):
    values, group, _ = columns(rows)
    weights = weights[: len(rows)]
    found = group_mean(values, torch.tensor(weights, dtype=torch.float64), group)
    for i, (_, question, _) in enumerate(rows):
        inside = [j for j, (_, other, _) in enumerate(rows) if other == question]
        total = sum(weights[j] for j in inside)
        expected = sum(weights[j] * rows[j][0] for j in inside) / total if total else 0.0
        assert abs(found[i] - expected) < 1e-12


@given(ROWS)
def test_moments_of_the_step_are_those_of_all_its_members(rows):
    values, _, members = columns(rows)
    inside = [value for value, _, member in rows if member]
    for shape in ((-1,), (1, -1), (-1, 1)):
        found = moments(values.reshape(shape), members.reshape(shape))
        assert abs(found.mean - (statistics.fmean(inside) if inside else 0.0)) < 1e-12
        assert abs(found.variance - (statistics.variance(inside) if len(inside) > 1 else 0.0)) < 1e-12


def test_what_is_no_member_may_be_anything():
    values = torch.tensor([0.1, torch.nan, torch.inf, 0.1, 0.1], dtype=torch.float64)
    members = values.isfinite()
    assert moments(values, members) == (0.1, 0.0)
    group = torch.zeros(5, dtype=torch.long)
    assert group_mean(values, members.double(), group).tolist() == [0.1] * 5


def test_moments_of_nothing_are_zero():
    for shape in ((0,), (3, 0)):
        assert moments(torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)) == (0.0, 0.0)
