"""Sampling: the distribution is the policy's own, whatever the model's files say."""

import math

import pytest
import torch

from tests.training.rows import make_row
from training.policy import ScoringPolicy, load_model
from training.responses import Response, collate
from training.rollout import Sampling
from training.transformers_rollout import TransformersSampler

PROMPTS = [make_row(q, length, 1).prompt for q, length in ((1, 4), (2, 9), (3, 3), (4, 6))]
EOS = 1


@pytest.fixture
def model(policy_path):
    """A policy whose distributions are far from uniform, so that warping them would show."""
    model = load_model(policy_path, "fp32")
    with torch.no_grad():
        model.model.norm.weight.mul_(20.0)
        for parameter in model.model.layers.parameters():
            parameter.mul_(10.0 if parameter.dim() == 2 else 1.0)
    return model


@pytest.fixture
def sampler(model, tokenizer):
    return TransformersSampler(model, tokenizer)


def sampling(temperature=1.0, top_p=1.0, max_tokens=10, batch_size=3):
    return Sampling(temperature, top_p, max_tokens, batch_size)


def next_probs(model, prompt, temperature=1.0):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1]
    return (logits / temperature).softmax(dim=-1)


def test_greedy_decoding_takes_the_likeliest_token_at_every_step(model, sampler):
    for prompt, sampled in zip(PROMPTS, sampler.sample(PROMPTS, sampling(temperature=0.0), 0), strict=True):
        expected = []
        while len(expected) < 10 and EOS not in expected:
            expected.append(int(next_probs(model, (*prompt, *expected)).argmax()))
        assert list(sampled.tokens) == expected


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.5])
def test_log_probs_equal_those_the_trainer_computes(model, sampler, temperature):
    found = sampler.sample(PROMPTS * 3, sampling(temperature), 5)
    rows = [Response(0, p, s.tokens, False, 0.0) for p, s in zip(PROMPTS * 3, found, strict=True)]
    with torch.no_grad():
        scores = ScoringPolicy(model, temperature)(collate(rows, torch.device("cpu")))
    for row, sampled in enumerate(found):
        assert len(sampled.logp) == len(sampled.tokens)
        expected = scores.logp[row, : len(sampled.tokens)]
        assert torch.allclose(torch.tensor(sampled.logp), expected, atol=1e-5)


def chi_square(observed, probs):
    """Return Pearson's statistic in standard deviations of its distribution; rare tokens are pooled."""
    expected = probs * observed.sum()
    common = expected >= 5
    pooled = [torch.cat([x[common], x[~common].sum()[None]]) for x in (observed, expected)]
    if pooled[1][-1] == 0:
        pooled = [x[:-1] for x in pooled]
    statistic = ((pooled[0] - pooled[1]) ** 2 / pooled[1]).sum()
    freedom = len(pooled[1]) - 1
    return float((statistic - freedom) / math.sqrt(2 * freedom))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_first_tokens_are_drawn_with_the_policys_probabilities(model, sampler, temperature):
    count = 4000
    found = sampler.sample([PROMPTS[1]] * count, sampling(temperature, max_tokens=1, batch_size=1000), 3)
    probs = next_probs(model, PROMPTS[1], temperature)
    observed = torch.bincount(torch.tensor([s.tokens[0] for s in found]), minlength=len(probs)).double()
    assert chi_square(observed, probs.double()) < 4.0
    other = next_probs(model, PROMPTS[1], 1.6 - temperature).double()
    assert chi_square(observed, other) > 10.0, "the test must tell the two temperatures apart"


OWN_SETTINGS = {
    "top_k": 1,
    "top_p": 0.1,
    "temperature": 0.2,
    "do_sample": False,
    "repetition_penalty": 3.0,
    "min_p": 0.9,
    "typical_p": 0.1,
    "no_repeat_ngram_size": 1,
    "suppress_tokens": list(range(2, 20)),
    "min_new_tokens": 9,
    "eos_token_id": [1, 5, 6, 7, 8, 9],
    "num_beams": 2,
}


@pytest.mark.parametrize("name", OWN_SETTINGS)
def test_a_models_own_generation_settings_change_nothing(model, sampler, name):
    expected = sampler.sample(PROMPTS * 2, sampling(), 7)
    greedy = sampler.sample(PROMPTS, sampling(temperature=0.0), 7)
    setattr(model.generation_config, name, OWN_SETTINGS[name])
    assert sampler.sample(PROMPTS * 2, sampling(), 7) == expected
    assert sampler.sample(PROMPTS, sampling(temperature=0.0), 7) == greedy
    assert getattr(model.generation_config, name) == OWN_SETTINGS[name], "the model keeps what it says"


def test_equal_prompts_get_draws_of_their_own(sampler):
    found = sampler.sample([PROMPTS[0]] * 8, sampling(), 1)
    assert len({sampled.tokens for sampled in found}) >= 7


def test_results_come_in_the_order_of_the_prompts(sampler):
    greedy = sampling(temperature=0.0, batch_size=2)
    alone = [sampler.sample([prompt], greedy, 0)[0].tokens for prompt in PROMPTS]
    assert [sampled.tokens for sampled in sampler.sample(PROMPTS, greedy, 0)] == alone
    assert len(set(alone)) > 1


def test_draws_follow_the_seed_alone(sampler):
    first = sampler.sample(PROMPTS, sampling(), 11)
    torch.manual_seed(99)
    assert sampler.sample(PROMPTS, sampling(), 11) == first
    assert sampler.sample(PROMPTS, sampling(), 12) != first


def test_the_global_random_state_is_left_alone(sampler):
    before = torch.random.get_rng_state()
    sampler.sample(PROMPTS, sampling(), 11)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_response_ends_at_its_first_end_of_sequence(sampler):
    found = sampler.sample(PROMPTS * 40, sampling(temperature=3.0, max_tokens=20, batch_size=50), 2)
    ended = [sampled for sampled in found if not sampled.truncated]
    cut = [sampled for sampled in found if sampled.truncated]
    assert len(ended) > 10
    assert len(cut) > 10
    assert all(sampled.tokens.index(EOS) == len(sampled.tokens) - 1 for sampled in ended)
    assert all(EOS not in sampled.tokens and len(sampled.tokens) == 20 for sampled in cut)


def test_a_response_that_ends_at_the_limit_is_not_truncated(sampler):
    found = sampler.sample(PROMPTS * 60, sampling(temperature=3.0, max_tokens=1, batch_size=240), 2)
    assert {sampled.truncated for sampled in found if sampled.tokens == (EOS,)} == {False}
    assert {sampled.truncated for sampled in found if sampled.tokens != (EOS,)} == {True}


LIMITS = (3, 9, 1, 6, 10, 2, 4, 8)


@pytest.mark.parametrize("temperature", [0.0, 3.0])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_every_response_ends_at_its_own_limit(sampler, temperature, batch_size):
    prompts = PROMPTS * 2
    free = sampler.sample(prompts, sampling(temperature, max_tokens=10, batch_size=batch_size), 6)
    found = sampler.sample(prompts, sampling(temperature, max_tokens=LIMITS, batch_size=batch_size), 6)
    for limit, bounded, whole in zip(LIMITS, found, free, strict=True):
        # A batch stops with its longest response, so that the same draws are made up to there.
        assert bounded.tokens == whole.tokens[:limit]
        assert bounded.logp == whole.logp[:limit]
        assert bounded.truncated == (EOS not in whole.tokens[:limit])
    assert {len(bounded.tokens) for bounded in found} != {10}


def test_equal_limits_are_one_limit(sampler):
    one = sampler.sample(PROMPTS, sampling(max_tokens=7), 6)
    assert sampler.sample(PROMPTS, sampling(max_tokens=(7,) * len(PROMPTS)), 6) == one


def test_a_missing_limit_is_refused(sampler):
    with pytest.raises(ValueError, match="holds 3 limits for 4 prompts"):
        sampler.sample(PROMPTS, sampling(max_tokens=(5, 5, 5)), 0)


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_restored(model, sampler, training):
    model.train(training)
    sampler.sample(PROMPTS[:1], sampling(max_tokens=2), 0)
    assert model.training is training


def test_a_nucleus_keeps_the_likeliest_tokens(model, sampler):
    found = sampler.sample([PROMPTS[1]] * 500, sampling(top_p=0.5, max_tokens=1, batch_size=500), 4)
    probs, order = next_probs(model, PROMPTS[1]).sort(descending=True)
    nucleus = set(order[: int((probs.cumsum(0) < 0.5).sum()) + 1].tolist())
    assert {sampled.tokens[0] for sampled in found} == nucleus


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_policy_that_is_not_a_number_is_refused(model, sampler, temperature):
    with torch.no_grad():
        model.model.norm.weight[3] = math.nan
    with pytest.raises(ArithmeticError, match="logits are not numbers"):
        sampler.sample(PROMPTS, sampling(temperature), 0)
    assert model.generation_config.eos_token_id == EOS, "the model is put back as it was"
