import dataclasses

import torch

from core import EveryToken, PrefixTokens, Rollouts, SampledTokens, TokenMean
from core.aggregations import token_weight
from core.needs import needs_of
from tests.core.batches import batch

STEP = dataclasses.replace(
    batch([1.0, 0.0, 1.0], lengths=[3, 2, 0]),
    prefix_mask=torch.tensor([[True, True, False], [False, False, False], [True, True, True]]),
)


def test_tokens_of_the_response_are_given_or_sampled():
    assert EveryToken()(STEP).tolist() == [[True, True, True], [True, True, False], [False] * 3]
    assert PrefixTokens()(STEP).tolist() == [[True, True, False], [False] * 3, [False] * 3]
    assert SampledTokens()(STEP).tolist() == [[False, False, True], [True, True, False], [False] * 3]
    assert torch.equal(PrefixTokens()(STEP) ^ SampledTokens()(STEP), EveryToken()(STEP))


def test_without_prefixes_every_token_was_sampled():
    plain = dataclasses.replace(STEP, prefix_mask=None)
    assert not PrefixTokens()(plain).any()
    assert torch.equal(SampledTokens()(plain), plain.response_mask)


def test_only_the_prefix_must_be_told_apart():
    assert needs_of(PrefixTokens()) == {"prefixes"}
    assert needs_of(EveryToken(), SampledTokens()) == frozenset()


def test_the_normaliser_counts_the_chosen_tokens_alone():
    for tokens, count in ((EveryToken(), 5), (PrefixTokens(), 2), (SampledTokens(), 3)):
        weight = token_weight(Rollouts(), tokens, TokenMean(), STEP)
        assert torch.equal(weight != 0, tokens(STEP))
        torch.testing.assert_close(weight[weight != 0], torch.full((count,), 1 / count).double())
