"""Rollouts that begin with tokens of a demonstration."""

import pytest
import torch

from core import BinomialChunks, DemonstrationPrefix, Fixed, Linear, RolloutPlan, UniformShare
from tests.training.scripted import ScriptedSampler, digit, last_digit, scripted_sources
from training.answers import response_text
from training.collect import Request, collect, rollout_metrics, wish_metrics
from training.data import Question
from training.policy import ScoringPolicy, load_model
from training.prefixes import opening, prefix_share
from training.responses import collate
from training.rollout import Sampled
from training.transformers_rollout import TransformersSampler

LETTERS = (14, 6, 15, 7, 16, 8, 17)
"""What the demonstration below says: 7 tokens before its end."""


class Silent:
    """Ends every response at once."""

    def sample(self, prompts, sampling, seed):
        return [Sampled((1,), (-0.5,), truncated=False) for _ in prompts]


PLAIN = Request(frozenset({"rollouts", "demonstrations"}), seed=8)


class ShareOf:
    """The same share of every demonstration."""

    def __init__(self, share):
        self.share = share

    def __call__(self, draw, progress):
        return draw * 0.0 + self.share


def asking(share, rollouts=None, demonstration=(*LETTERS, 1)):
    """Return a request for prefixes, and one question with a demonstration and one without."""
    plan = RolloutPlan(prefix=DemonstrationPrefix(ShareOf(share), rollouts))
    needs = frozenset({"rollouts", "prefixes", "demonstrations"})
    questions = [Question(4, (2, 5, 3), demonstration, "5"), Question(9, (2, 8, 3), None, "6")]
    return questions, Request(needs, 8, plan)


@pytest.fixture
def sampler():
    return ScriptedSampler()


def test_a_rollout_with_a_prefix_is_prefix_and_continuation(sampler, tokenizer):
    questions, request = asking(0.43, rollouts=1)
    batch = collect(questions, request, scripted_sources(sampler, tokenizer))
    ((prompts, sampling, _),) = sampler.asked
    # 0.43 of 7 tokens are 3.01.
    assert prompts == [(2, 5, 3, *LETTERS[:3]), (2, 5, 3), (2, 8, 3), (2, 8, 3)]
    assert sampling.max_tokens == (9 - 3, 9, 9, 9)
    first, second, *others, demonstration = batch.responses
    assert first.prompt == (2, 5, 3)
    assert first.tokens == (*LETTERS[:3], 5, 1)
    assert first.prefix_tokens == 3
    assert first.sampler_logp == (0.0, 0.0, 0.0, -0.5, -0.5)
    assert (second.tokens, second.prefix_tokens, second.sampler_logp) == ((5, 5), 0, (-0.5, -0.5))
    assert [row.prefix_tokens for row in others] == [0, 0]
    assert demonstration.prefix_tokens == 0
    assert demonstration.tokens == (*LETTERS, 1)


def test_the_grader_reads_prefix_and_continuation(sampler, tokenizer):
    seen = []

    def recording(pairs):
        seen.extend(pairs)
        return last_digit(pairs)

    questions, request = asking(3 / 7)
    collect(questions, request, scripted_sources(sampler, tokenizer, recording))
    begun = response_text(tokenizer, LETTERS[:3])
    assert seen[:2] == [(f"{begun}0", "5"), (f"{begun}00", "5")]
    assert seen[2:] == [("333", "6"), ("3333", "6")]


def test_rollouts_of_a_question_without_demonstration_have_no_prefix(sampler, tokenizer):
    questions, request = asking(1.0)
    batch = collect(questions, request, scripted_sources(sampler, tokenizer))
    assert [row.prefix_tokens for row in batch.responses] == [7, 7, 0, 0, 0]


def test_a_share_of_zero_is_a_plain_rollout(sampler, tokenizer):
    questions, request = asking(0.0)
    sources = scripted_sources(sampler, tokenizer)
    begun, plain = collect(questions, request, sources), collect(questions, PLAIN, sources)
    assert begun.responses == plain.responses
    assert sampler.asked[0] == sampler.asked[1]


def test_no_more_rollouts_have_a_prefix_than_there_are(sampler, tokenizer):
    questions, request = asking(1.0, rollouts=5)
    assert [
        row.prefix_tokens
        for row in collect(questions, request, scripted_sources(sampler, tokenizer)).responses
    ] == [7, 7, 0, 0, 0]


def test_metrics_tell_what_was_given_from_what_was_sampled(sampler, tokenizer):
    questions, request = asking(3 / 7, rollouts=1)
    batch = collect(questions, request, scripted_sources(sampler, tokenizer))
    metrics = rollout_metrics(batch)
    assert metrics["rollout/tokens"] == 2 + 2 + 4 + 4
    assert metrics["rollout/response_tokens"] == (3 + 2 + 2 + 4 + 4) / 4
    assert metrics["rollout/entropy"] == 0.5
    assert wish_metrics(batch, request) == {
        "rollout/prefix_share": 3 / 15,
        "rollout/prefix_rows": 1,
        "rollout/plain_solve_rate": 0.0,
    }


def test_what_is_solved_without_a_prefix_is_told_apart(tokenizer):
    # The prefix ends in 1, and the end follows: solved without saying anything.
    questions, request = asking(0.3, rollouts=1, demonstration=(14, 6, 6, 6, 6, 6, 1))
    silent = Silent()
    batch = collect(questions, request, scripted_sources(silent, tokenizer, samples=4))
    assert rollout_metrics(batch)["rollout/solve_rates"] == [[4, 0.25], [9, 0.0]]
    assert wish_metrics(batch, request)["rollout/plain_solve_rate"] == 0.0
    questions, request = asking(1.0, demonstration=(14, 6, 1))
    batch = collect(questions[:1], request, scripted_sources(silent, tokenizer))
    assert wish_metrics(batch, request)["rollout/plain_solve_rate"] is None


def test_a_question_is_given_the_same_prefix_whatever_else_is_asked(tokenizer):
    class Draw:
        def __call__(self, draw, progress):
            return draw

    plan = RolloutPlan(prefix=DemonstrationPrefix(Draw()))
    request = Request(frozenset({"rollouts"}), 8, plan)
    questions = [Question(i, (2, digit(i), 3), (*range(5, 25), 1), str(i)) for i in range(4)]
    sources = scripted_sources(ScriptedSampler(), tokenizer, max_response_tokens=40)

    def lengths(questions, request):
        rows = collect(questions, request, sources).responses
        return {
            question.id: {r.prefix_tokens for r in rows if r.question == question.id}
            for question in questions
        }

    whole = lengths(questions, request)
    assert all(len(found) == 1 for found in whole.values()), "a group goes on from one place"
    assert len({min(found) for found in whole.values()}) > 1, "each question has a draw of its own"
    assert lengths(questions[:1:-1], request).items() <= whole.items()
    assert lengths(questions, Request(frozenset({"rollouts"}), 9, plan)) != whole


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_continuations_are_sampled_given_question_and_prefix(policy_path, tokenizer, temperature):
    model = load_model(policy_path, "fp32")
    with torch.no_grad():
        model.model.norm.weight.mul_(20.0)  # far from uniform, so that what stands before matters
    plan = RolloutPlan(prefix=DemonstrationPrefix(UniformShare(Fixed(0.1)), rollouts=3))
    questions = [Question(i, (2, digit(i), 3), (*LETTERS[i:], 1), str(i)) for i in range(4)]
    settings = {"samples": 4, "temperature": temperature, "max_response_tokens": 9}
    sources = scripted_sources(TransformersSampler(model, tokenizer), tokenizer, **settings)
    rows = collect(questions, Request(frozenset({"rollouts"}), 8, plan), sources).responses
    with torch.no_grad():
        scores = ScoringPolicy(model, temperature)(collate(rows, torch.device("cpu")))
    assert {row.prefix_tokens > 0 for row in rows} == {True, False}
    for row, logp in zip(rows, scores.logp, strict=True):
        given, length = row.prefix_tokens, len(row.tokens)
        assert row.tokens[:given] == LETTERS[row.question :][:given]
        assert given < length <= 9
        assert len(row.sampler_logp) == length
        assert torch.allclose(torch.tensor(row.sampler_logp[given:]), logp[given:length], atol=1e-4)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0), (0.07, 0), (0.08, 1), (0.5, 4), (0.92, 6), (0.93, 7), (1.0, 7)]
)
def test_a_prefix_is_the_rounded_share_of_what_is_said(share, expected):
    # n = 7: half a token is a share of 0.0714…; 3.5 tokens are rounded to the even 4.
    assert opening((*LETTERS, 1), share, end=1, limit=50) == LETTERS[:expected]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("said", [(), (9,), (9, 8), tuple(range(5, 25))])
@pytest.mark.parametrize("ended", [True, False])
def test_something_is_left_to_sample_and_the_end_is_never_given(share, said, ended):
    for limit in (1, 2, 20, 21):
        demonstration = (*said, 1)[:limit] if ended else said[:limit]
        found = opening(demonstration, share, end=1, limit=limit)
        assert found == demonstration[: len(found)]
        assert 1 not in found
        assert len(found) < limit


def test_nothing_is_given_beyond_the_first_end():
    assert opening((9, 8, 1, 7, 1), 1.0, end=1, limit=50) == (9, 8)


def test_a_demonstration_as_long_as_a_response_may_be_leaves_one_token(sampler, tokenizer):
    questions, request = asking(1.0, demonstration=tuple(range(5, 14)))
    batch = collect(questions, request, scripted_sources(sampler, tokenizer))
    assert sampler.asked[0][1].max_tokens == (1, 1, 9, 9)
    assert [row.prefix_tokens for row in batch.responses[:2]] == [8, 8]


def test_shares_follow_the_seed_the_law_and_the_progress():
    uniform = UniformShare(Linear(0.9, 0.0), 0.9)
    assert prefix_share(uniform, 0.0, seed=3) == pytest.approx(0.9)
    draws = torch.tensor([prefix_share(uniform, 1.0, seed) for seed in range(4000)])
    # The uniform distribution on [0, 0.9): mean 0.45 ± 0.26/√4000, and the deciles where they belong.
    assert abs(float(draws.mean()) - 0.45) < 0.017
    assert torch.allclose(draws.quantile(torch.arange(1, 10) / 10), torch.arange(1, 10) * 0.09, atol=0.03)
    assert prefix_share(uniform, 1.0, seed=7) == prefix_share(uniform, 1.0, seed=7)


def test_the_number_of_given_pieces_is_binomial():
    chunks = BinomialChunks(Fixed(0.3), 5)
    drawn = torch.tensor([round(5 * prefix_share(chunks, 0.5, seed)) for seed in range(4000)])
    found = torch.bincount(drawn, minlength=6) / 4000
    expected = torch.distributions.Binomial(5, torch.tensor(0.3)).log_prob(torch.arange(6.0)).exp()
    assert torch.allclose(found, expected, atol=0.025)


@pytest.mark.parametrize("share", [-0.1, 1.01, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=rf"returned {share} at progress 0.5; .* must be in \[0, 1\]"):
        prefix_share(ShareOf(share), 0.5, seed=1)
