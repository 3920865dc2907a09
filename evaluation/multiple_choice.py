"""Multiple choice asked in words: options in an order of their own, and a letter to answer with."""

from __future__ import annotations

import dataclasses
import random

from evaluation.suite_data import LETTERS, Question

INSTRUCTION = "Answer with the letter of the correct option, and put it within \\boxed{}."


def shuffled(question: Question, seed: int | None) -> Question:
    """Return a question with its options in another order, and the letter that the answer then has.

    The order depends on the seed and the question's id alone: not on other questions, nor on the order of
    the file. None keeps the data's own order.
    """
    if question.choices is None or seed is None:
        return question
    order = list(range(len(question.choices)))
    random.Random(f"{seed}/{question.id}").shuffle(order)
    gold = order.index(LETTERS.index(question.golds[0]))
    choices = tuple(question.choices[index] for index in order)
    return dataclasses.replace(question, choices=choices, golds=(LETTERS[gold],))


def with_options(question: Question) -> str:
    """Return the text that a policy is asked: the problem, then its options and how to answer."""
    if question.choices is None:
        return question.problem
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
    return "\n".join([question.problem.rstrip(), "", *options, "", INSTRUCTION])
