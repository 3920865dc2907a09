"""Rows made by hand for the tests of the trainer: ragged responses of questions of every kind."""

import random

import torch

from training.responses import Response

LETTERS = range(5, 25)


def make_row(question, prompt_length, length, reward=1.0, is_demonstration=False):
    """Return a response of the given lengths whose tokens depend on all arguments."""
    draw = random.Random(f"{question} {prompt_length} {length} {reward} {is_demonstration}")
    prompt = (2, *draw.choices(LETTERS, k=prompt_length - 2), 3)
    return Response(question, prompt, (*draw.choices(LETTERS, k=length - 1), 1), is_demonstration, reward)


def ragged_rows():
    """Return mixed, solved, failed and lone questions, their rows interleaved, demonstrations among them."""
    return [
        make_row(7, 6, 5, 1.0), make_row(3, 9, 2, 0.0), make_row(7, 6, 9, 0.0), make_row(4, 4, 7, 1.0),
        make_row(7, 6, 4, 1.0, True), make_row(3, 9, 12, 0.0), make_row(5, 12, 3, 0.0),
        make_row(7, 6, 1, 0.0), make_row(3, 9, 6, 1.0, True), make_row(4, 4, 3, 1.0),
        make_row(4, 4, 10, 1.0, True),
        make_row(5, 12, 8, 1.0), make_row(5, 12, 11, 1.0, True), make_row(5, 12, 5, 1.0),
    ]  # fmt: skip


def row_logits(model, row):
    """Return the logits of a row's response positions from a forward of that row alone, without padding."""
    ids = torch.tensor([[*row.prompt, *row.tokens]])
    return model(input_ids=ids, use_cache=False).logits[0, len(row.prompt) - 1 : -1]


def row_logp(model, row, temperature=1.0):
    """Return the log-probs of a row's response tokens."""
    log_softmax = (row_logits(model, row) / temperature).log_softmax(dim=-1)
    return log_softmax[torch.arange(len(row.tokens)), torch.tensor(row.tokens)]
