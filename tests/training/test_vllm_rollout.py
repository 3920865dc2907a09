"""vLLM samples from the very policy that is trained, before and after it has changed."""

import math

import pytest
import torch

from tests.training.vllm_worlds import (
    BUILDERS,
    TEMPERATURE,
    ChangingPolicy,
    build,
    load,
    make_sampler,
    needs_vllm,
    prompts,
    sampling,
    worst_gap,
)
from training.policy import load_tokenizer
from training.transformers_rollout import TransformersSampler

pytestmark = [pytest.mark.slow, needs_vllm]
CLOSE = 1e-4


@pytest.fixture(scope="module", params=list(BUILDERS))
def path(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def sampler(path):
    sampler = make_sampler(path)
    yield sampler
    sampler.close()


@pytest.fixture
def policy(path, sampler):
    """A policy that the module's engine follows."""
    policy = ChangingPolicy(load(path))
    sampler.follow(policy)
    return policy


@pytest.fixture
def eos(sampler):
    return sampler.tokenizer.eos_token_id


@pytest.mark.parametrize("temperature", [1.0, TEMPERATURE, 1.5])
def test_log_probs_are_the_trainers_before_and_after_every_change(sampler, policy, temperature):
    asked = prompts(16)
    seen = set()
    for change in range(3):
        found = sampler.sample(asked, sampling(temperature), seed=1)
        assert worst_gap(policy, asked, found, temperature) < CLOSE
        seen.add(tuple(found))
        policy.change(change, scale=0.2)
    assert len(seen) == 3, "the changes must be large enough to show"


def test_greedy_responses_are_those_of_transformers(sampler, policy, path):
    greedy = sampling(temperature=0.0, max_tokens=20)
    expected = TransformersSampler(policy.model, load_tokenizer(path)).sample(prompts(), greedy, 0)
    found = sampler.sample(prompts(), greedy, 0)
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    assert [each.truncated for each in found] == [each.truncated for each in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.logp == pytest.approx(theirs.logp, abs=CLOSE)


def test_draws_follow_the_seed_alone(sampler, policy):
    first = sampler.sample(prompts(), sampling(), seed=11)
    torch.manual_seed(99)
    assert [each.tokens for each in sampler.sample(prompts(), sampling(), 11)] == [
        each.tokens for each in first
    ]
    assert [each.tokens for each in sampler.sample(prompts(), sampling(), 12)] != [
        each.tokens for each in first
    ]


def test_draws_do_not_depend_on_what_else_is_sampled(sampler, policy):
    few, many = sampler.sample(prompts(5), sampling(), 3), sampler.sample(prompts(60), sampling(), 3)
    assert [each.tokens for each in many[:5]] == [each.tokens for each in few]


def test_equal_prompts_get_draws_of_their_own(sampler, policy):
    found = sampler.sample([prompts()[3]] * 8, sampling(), 1)
    assert len({each.tokens for each in found}) >= 7


def test_a_response_ends_at_its_first_end_of_sequence(sampler, policy, eos):
    found = sampler.sample(prompts(120), sampling(temperature=2.0, max_tokens=60), seed=2)
    ended = [each for each in found if not each.truncated]
    cut = [each for each in found if each.truncated]
    assert len(ended) > 5
    assert len(cut) > 5
    assert all(each.tokens.index(eos) == len(each.tokens) - 1 for each in ended)
    assert all(eos not in each.tokens and len(each.tokens) == 60 for each in cut)


def test_a_response_that_ends_at_the_limit_is_not_truncated(sampler, policy, eos):
    with torch.no_grad():
        weight = policy.model.get_output_embeddings().weight
        weight[eos] = 3 * weight[45]
    found = sampler.sample([(index % 250,) for index in range(200)], sampling(max_tokens=1), seed=2)
    assert {each.truncated for each in found if each.tokens == (eos,)} == {False}
    assert {each.truncated for each in found if each.tokens != (eos,)} == {True}


def test_every_response_ends_at_its_own_limit(sampler, policy):
    limits = tuple(1 + 5 * index % 13 for index in range(12))
    free = sampler.sample(prompts(), sampling(max_tokens=13), 6)
    found = sampler.sample(prompts(), sampling(max_tokens=limits), 6)
    for limit, bounded, whole in zip(limits, found, free, strict=True):
        assert bounded.tokens == whole.tokens[:limit]
    assert len({len(each.tokens) for each in found}) > 6


def test_a_nucleus_keeps_the_likeliest_tokens_and_their_shares(sampler, policy):
    prompt = prompts()[5]
    found = sampler.sample([prompt] * 400, sampling(top_p=0.5, max_tokens=1), 4)
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([prompt])).logits[0, -1]
    probs, order = (logits / TEMPERATURE).softmax(dim=-1).sort(descending=True)
    nucleus = set(order[: int((probs.cumsum(0) < 0.5).sum()) + 1].tolist())
    assert len(nucleus) > 1
    assert {each.tokens[0] for each in found} == nucleus
    assert sum(math.exp(logp) for logp in {each.logp[0] for each in found}) == pytest.approx(1.0, abs=1e-4)


def test_weights_are_handed_over_once_for_each_change(sampler, policy):
    for change in range(2):
        sampler.sample(prompts(2), sampling(), 0)
        sampler.refresh()
        sampler.sample(prompts(2), sampling(), 0)
        assert policy.pushes == change + 1
        policy.change()


def test_another_policy_of_the_same_version_takes_the_engine_over(sampler, policy, path):
    sampler.sample(prompts(2), sampling(), 0)
    engine, other = sampler._engine, ChangingPolicy(load(path))
    other.change(seed=8, scale=0.3)
    other.version = policy.version
    sampler.follow(other)
    found = sampler.sample(prompts(), sampling(), 0)
    assert sampler._engine is engine
    assert worst_gap(other, prompts(), found) < CLOSE
    assert worst_gap(policy, prompts(), found) > 0.1
    sampler.follow(other)
    sampler.refresh()
    assert other.pushes == 1


def test_the_engine_holds_weights_of_its_own(sampler, policy):
    first = sampler.sample(prompts(), sampling(), 0)
    version = policy.version
    policy.change(scale=0.5)
    policy.version = version
    again = sampler.sample(prompts(), sampling(), 0)
    assert again == first


def test_what_does_not_fit_is_refused_and_the_engine_kept(sampler, policy):
    sampler.refresh()
    engine = sampler._engine
    with pytest.raises(ValueError, match=r"90 tokens and a response of up to 71 are more than the 160"):
        sampler.sample([tuple(range(90))], sampling(max_tokens=71), 0)
    with pytest.raises(ValueError, match="holds 3 limits for 12 prompts"):
        sampler.sample(prompts(), sampling(max_tokens=(5, 5, 5)), 0)
    with pytest.raises(ValueError, match=r"temperature=0\.005 is none of vLLM's"):
        sampler.sample(prompts(), sampling(temperature=0.005), 0)
    assert sampler._engine is engine
    (longest,) = sampler.sample([tuple(range(90))], sampling(max_tokens=70), 0)
    assert worst_gap(policy, [tuple(range(90))], [longest]) < CLOSE
    assert sampler.sample([], sampling(), 0) == []


@pytest.mark.parametrize("temperature", [0.0, TEMPERATURE])
def test_a_policy_that_is_not_a_number_is_refused(sampler, policy, temperature):
    with torch.no_grad():
        policy.model.model.norm.weight[3] = math.nan
    with pytest.raises(ArithmeticError, match="logits are not numbers"):
        sampler.sample(prompts(), sampling(temperature), 0)


def test_numbers_that_go_astray_after_one_prompt_alone_are_refused(sampler, policy, path):
    if policy.model.config.tie_word_embeddings:
        pytest.skip("a tied embedding that is not a number spoils every prompt")
    with torch.no_grad():
        policy.model.model.embed_tokens.weight[7] = math.nan
    sampler.sample([(3, 4)], sampling(), 0)
    with pytest.raises(ArithmeticError, match="logits are not numbers"):
        sampler.sample([(3, 4), (3, 7)], sampling(), 0)
