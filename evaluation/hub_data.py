"""Benchmarks as the Hugging Face hub has them: each data set's own columns, read as questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import datasets

from evaluation.suite_data import LETTERS, Question

Row = Mapping[str, Any]
Reader = Callable[[Row, int], Question]


class HubDataError(ValueError):
    """A data set of the hub cannot be had, or is not what its reader expects."""


def read_hub(reader: str, path: str, split: str, name: str | None = None) -> list[Question]:
    """Return the questions of a data set.

    Args:
        reader: A name in `READERS`.
        path: Name on the hub, or a folder with a copy of the data set.
        split: Of its rows.
        name: Of its configuration.

    Raises:
        HubDataError: It cannot be downloaded, or a row is not as expected; the message says what to do.
    """
    try:
        rows = datasets.load_dataset(path, name, split=split)
    except Exception as error:
        raise HubDataError(
            f"{path} cannot be loaded from the Hugging Face hub ({type(error).__name__}: {error}); go online "
            "and, for gated data, log in with `hf auth login`, or give a folder of local files (--data)"
        ) from error
    questions = []
    for number, row in enumerate(rows):
        try:
            questions.append(READERS[reader](row, number))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HubDataError(
                f"{path}, {split}, row {number}: not {reader!r} as it was ({type(error).__name__}: {error}), "
                f"it has {', '.join(row)}"
            ) from error
    return questions


def _math500(row: Row, number: int) -> Question:  # noqa: ARG001
    name = f"math500/{row['unique_id'].removesuffix('.json')}"
    return Question(name, row["problem"], (row["answer"],), None, row["subject"], str(row["level"]))


def _plain(task: str, problem: str = "problem", answer: str = "answer") -> Reader:
    def read(row: Row, number: int) -> Question:
        return Question(f"{task}/{number:03}", row[problem], (_number(row[answer]),))

    return read


def _number(value: object) -> str:
    """Return an answer as text; whole numbers that are stored as floats lose their ".0"."""
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _olympiadbench(row: Row, number: int) -> Question:  # noqa: ARG001
    golds = ", ".join(answer.strip() for answer in row["final_answer"])
    return Question(f"olympiadbench/{row['id']}", row["question"], (golds,), None, row.get("subfield"))


def _arc_challenge(row: Row, number: int) -> Question:
    # Some options are labelled 1 to 4.
    labels, texts = row["choices"]["label"], row["choices"]["text"]
    answer = LETTERS[list(labels).index(row["answerKey"])]
    return Question(f"arc_challenge/{number:04}", row["question"], (answer,), tuple(texts))


def _gpqa_diamond(row: Row, number: int) -> Question:
    wrong = [row[f"Incorrect Answer {index}"] for index in (1, 2, 3)]
    choices = tuple(option.strip() for option in [row["Correct Answer"], *wrong])
    return Question(
        f"gpqa_diamond/{number:03}", row["Question"].strip(), ("A",), choices, row.get("High-level domain")
    )


READERS: dict[str, Reader] = {
    "aime24": _plain("aime24", "Problem", "Answer"),
    "aime25": _plain("aime25"),
    "amc23": _plain("amc23", "question"),
    "amc83": _plain("amc83"),
    "math500": _math500,
    "minerva_math": _plain("minerva", "question"),
    "olympiadbench": _olympiadbench,
    "arc_challenge": _arc_challenge,
    "gpqa_diamond": _gpqa_diamond,
}
