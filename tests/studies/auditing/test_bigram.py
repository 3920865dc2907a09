"""The fingerprint: one step of AdamW gives away what coefficient each token was trained with."""

import dataclasses

import pytest
import torch

from core import PolicyTokens, surrogate
from studies.auditing.batch import token_ids
from studies.auditing.bigram import (
    Bigram,
    chunk_rows,
    gradient_of,
    initial_table,
    reveal,
    revealing_optimizer,
)
from studies.auditing.probe import schedule
from studies.auditing.truth import Truth, audited_algorithm
from tests.studies.auditing.synthetic import make_truths
from training.policy import ScoringPolicy
from training.responses import collate, token_batch


def plain_step(truth, norm=1.0):
    """Return the change of the table after one step of PyTorch's AdamW on the whole step's loss, in fp32."""
    policy = ScoringPolicy(Bigram(truth.table.float()))
    optimizer = revealing_optimizer(norm)
    adamw = torch.optim.AdamW(
        policy.parameters(),
        lr=optimizer.learning_rate,
        betas=optimizer.betas,
        eps=optimizer.epsilon,
        weight_decay=0.0,
    )
    inputs = collate(truth.rows, torch.device("cpu"))
    spoken = PolicyTokens(policy(inputs).logp)
    step = dataclasses.replace(
        token_batch(truth.rows, torch.device("cpu")), behavior_logp=truth.step.behavior_logp.float()
    )
    surrogate(truth.algorithm.plan(step).coefficients(spoken, step), spoken, step).backward()
    adamw.step()
    table = torch.cat([parameter.detach() for parameter in policy.model.parameters()]).double()
    return gradient_of(table - truth.table, optimizer)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_coefficients_are_recovered_to_1e6_whatever_the_gradients_size(size):
    (truth, _) = make_truths(clip=None)
    plain = Truth(truth.rows, truth.table, audited_algorithm(), truth.layout, None)
    scale = size / plain.norm(plain.coefficient)
    scaled = Truth(truth.rows, truth.table, audited_algorithm(scale), truth.layout, None)
    found = reveal(plain_step(scaled, size), scaled.previous, scaled.direction)
    largest = scaled.coefficient.abs().max()
    assert float((found.coefficient - scaled.coefficient).abs().max() / largest) < 1e-6
    assert found.residual < 1e-6 * largest
    assert found.stray == 0.0


def test_the_gradient_of_the_table_is_what_the_truth_says():
    (truth, _) = make_truths(clip=None)
    table = truth.table.clone().requires_grad_()
    logp = table[truth.previous].log_softmax(dim=1)
    tokens = torch.tensor([token for row in truth.rows for token in row.tokens])
    loss = -(truth.coefficient * logp.gather(1, tokens[:, None]).squeeze(1)).sum()
    (gradient,) = torch.autograd.grad(loss, table)
    torch.testing.assert_close(truth.gradient(truth.coefficient), gradient, rtol=1e-12, atol=1e-15)
    assert truth.norm(truth.coefficient) == pytest.approx(float(gradient.norm()), rel=1e-12)


def test_a_gradient_beside_the_coefficients_is_seen_in_tokens_rows_and_elsewhere():
    (truth, _) = make_truths(clip=None)
    gradient = truth.gradient(truth.coefficient)
    gradient[truth.previous[0], 0] += 0.5
    gradient[0, 3] += 0.25
    found = reveal(gradient, truth.previous, truth.direction)
    assert 0.25 < found.residual <= 0.5
    assert found.stray == 0.25


def test_the_change_of_an_adamw_step_is_inverted():
    gradient = torch.tensor([-3.0, -1e-3, 0.0, 0.2, 7.0], dtype=torch.float64)
    weights = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = revealing_optimizer(2.0)
    adamw = torch.optim.AdamW(
        [weights], lr=optimizer.learning_rate, betas=(0.0, 0.0), eps=optimizer.epsilon, weight_decay=0.0
    )
    weights.grad = gradient.clone()
    adamw.step()
    torch.testing.assert_close(gradient_of(weights.detach(), optimizer), gradient, rtol=1e-10, atol=1e-15)


def test_the_table_is_exact_in_bf16_and_cut_into_uneven_parameters():
    size = token_ids(schedule("1", 1).steps[0])
    table = initial_table(size)
    assert torch.equal(table, table.to(torch.bfloat16).double())
    assert len(set(chunk_rows(size))) == 3
    module = Bigram(table)
    assert [len(module.get_parameter(name)) for name in module.names()] == chunk_rows(size)
    assert torch.equal(torch.cat(list(module.parameters())), table)
