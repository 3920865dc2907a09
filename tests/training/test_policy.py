"""Scores of response tokens, against a plain forward of every row alone."""

from types import SimpleNamespace

import pytest
import torch

from tests.studies.planning.storages import PeakMemory
from tests.training.rows import ragged_rows, row_logits, row_logp
from training.policy import ScoringPolicy, load_model, load_tokenizer
from training.responses import Response, collate

ROWS = ragged_rows()
CPU = torch.device("cpu")


@pytest.fixture
def model(policy_path):
    return load_model(policy_path, "fp32")


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_do_not_depend_on_padding(model, temperature):
    scores = ScoringPolicy(model, temperature)(collate(ROWS, CPU))
    for index, row in enumerate(ROWS):
        expected = row_logp(model, row, temperature)
        assert torch.allclose(scores.logp[index, : len(row.tokens)], expected, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_entropies_are_those_of_the_distributions_tokens_are_drawn_from(model, temperature):
    scores = ScoringPolicy(model, temperature)(collate(ROWS, CPU))
    for index, row in enumerate(ROWS):
        probs = (row_logits(model, row) / temperature).softmax(dim=-1)
        expected = -(probs * probs.log()).sum(dim=-1)
        assert torch.allclose(scores.entropy[index, : len(row.tokens)], expected, atol=1e-5)


def test_entropies_carry_a_gradient_only_on_request(model):
    policy = ScoringPolicy(model)
    assert not policy(collate(ROWS, CPU)).entropy.requires_grad
    assert policy(collate(ROWS, CPU), entropy_gradient=True).entropy.requires_grad
    with torch.no_grad():
        assert not policy(collate(ROWS, CPU), entropy_gradient=True).entropy.requires_grad


def test_the_entropy_gradient_is_that_of_its_definition(model):
    parameters = list(model.parameters())
    scores = ScoringPolicy(model, 0.7)(collate(ROWS[:1], CPU), entropy_gradient=True)
    found = torch.autograd.grad(scores.entropy.sum(), parameters)
    log_softmax = (row_logits(model, ROWS[0]) / 0.7).log_softmax(dim=-1)
    expected = torch.autograd.grad(-(log_softmax.exp() * log_softmax).sum(), parameters)
    flat = [torch.cat([part.flatten() for part in parts]) for parts in (found, expected)]
    assert float((flat[0] - flat[1]).norm() / flat[1].norm()) < 1e-5


def gradient(model):
    inputs = collate(ROWS, CPU)
    logp = ScoringPolicy(model)(inputs).logp
    torch.where(inputs.response_mask, logp, 0.0).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def test_gradient_checkpointing_recomputes_layers_and_changes_no_gradient(policy_path):
    calls = []
    gradients = []
    for checkpointing in (False, True):
        model = load_model(policy_path, "fp32", gradient_checkpointing=checkpointing)
        seen = []
        model.model.layers[0].register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        gradients.append(gradient(model))
        calls.append(len(seen))
    assert calls == [1, 2]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("entropy_gradient", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scoring_in_parts_changes_nothing_but_memory(policy_path, precision, entropy_gradient, monkeypatch):
    inputs = collate(ROWS, CPU)
    weights = torch.linspace(-1, 1, inputs.response_mask.numel()).reshape(inputs.response_mask.shape)
    found = []
    for most in (2**26, 1):  # all positions at once; one at a time
        monkeypatch.setattr("training.policy.PART_LOGITS", most)
        model = load_model(policy_path, precision)
        scores = ScoringPolicy(model, 0.7)(inputs, entropy_gradient=entropy_gradient)
        loss = (scores.logp * weights).sum()
        (loss + (scores.entropy * weights.flip(0)).sum() if entropy_gradient else loss).backward()
        gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        found.append((scores, gradients))
    (whole, expected), (parts, gradients) = found
    assert torch.equal(whole.logp, parts.logp)
    assert torch.equal(whole.entropy, parts.entropy)
    assert parts.entropy.requires_grad == entropy_gradient
    assert torch.equal(gradients, expected)


def test_scoring_in_parts_keeps_logits_as_the_model_gave_them_alone(policy_path, monkeypatch):
    row = Response(0, (1, 2), (3, 4) * 40, is_demonstration=False, reward=1.0)
    inputs = collate([row] * 8, CPU)
    peaks = []
    for most in (2**26, 1):
        monkeypatch.setattr("training.policy.PART_LOGITS", most)
        policy = ScoringPolicy(load_model(policy_path, "fp32"))
        policy.model = _OnlyLogits(policy.model.config.vocab_size)
        with PeakMemory() as memory:
            loss = policy(inputs).logp.sum()
            memory.peak = memory.now
            loss.backward()
        peaks.append(memory.peak / (4 * inputs.response_mask.numel() * policy.model.vocabulary))
    # In copies of the logits, all in fp32: five and the gradient's way to the weights, and two with it.
    assert peaks[0] > 5
    assert peaks[1] < 4


class _OnlyLogits(torch.nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary = vocabulary
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, input_ids, logits_to_keep, **_):
        logits = self.scale * torch.ones(len(input_ids), logits_to_keep, self.vocabulary)
        return SimpleNamespace(logits=logits)


def test_bf16_logits_are_scored_in_fp32(policy_path):
    model = load_model(policy_path, "bf16")
    assert model.dtype == torch.bfloat16
    row = ROWS[0]
    scores = ScoringPolicy(model)(collate([row], CPU))
    assert scores.logp.dtype == scores.entropy.dtype == torch.float32
    log_softmax = row_logits(model, row).float().log_softmax(dim=-1)
    expected = log_softmax[torch.arange(len(row.tokens)), torch.tensor(row.tokens)]
    assert torch.allclose(scores.logp[0], expected, atol=1e-6)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_policy_is_trained_without_dropout(model, tmp_path, checkpointing):
    model.config.attention_dropout = 0.5
    model.save_pretrained(tmp_path)
    policy = ScoringPolicy(load_model(str(tmp_path), "fp32", gradient_checkpointing=checkpointing))
    inputs = collate(ROWS, CPU)
    assert policy.model.config.attention_dropout == 0.5
    assert torch.equal(policy(inputs).logp, policy(inputs).logp)


def test_a_tokenizer_without_padding_pads_with_end_of_sequence(policy_path, tokenizer, tmp_path):
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).pad_token_id == tokenizer.eos_token_id


def test_a_tokenizer_without_end_of_sequence_is_refused(tokenizer, tmp_path):
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no end-of-sequence token"):
        load_tokenizer(str(tmp_path))
