"""Editions of benchmarks: a digest of every question, so that changed data is found, and in which line.

`python -m evaluation.editions FILE.jsonl` prints the edition of a file, for tasks/*/editions. Digests tell
nothing of a question's text.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evaluation.suite_data import LETTERS, Question, read_questions

GOLD_COLUMNS = ("answer_latex", "answer")
"""Columns of a benchmark file's answers: the one to be parsed where it differs, then the published one."""
_DIGITS = 12


class Digest(NamedTuple):
    """Digests of what is asked and answered, options in any order, and of all accepted forms."""

    question: str
    golds: str


def digest(question: Question) -> Digest:
    """Return a question's digests; white space and the order of options do not matter."""
    answer, choices = question.golds[-1], sorted(question.choices or ())
    if question.choices is not None:
        answer = question.choices[LETTERS.index(answer)]
    return Digest(_hash([question.problem, answer, *choices]), _hash([answer, *question.golds[:-1]]))


def content_sha256(questions: Iterable[Question]) -> str:
    """Return the digest of questions as they are asked, their order included."""
    return hashlib.sha256("\n".join(map(repr, questions)).encode()).hexdigest()


def read_edition(path: Path) -> dict[str, Digest]:
    """Return the digests in an edition's file, by the question's id."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: Digest(question, golds) for name, question, golds in lines}


def check_lines(path: Path, questions: Sequence[tuple[int, Question]], edition: Mapping[str, Digest]) -> None:
    """Refuse a file with a question that is not the edition's.

    Args:
        path: The file.
        questions: Its questions with their lines; it may lack some.
        edition: What they must be.

    Raises:
        ValueError: A question is another; the message names its line.
    """
    for line, question in questions:
        known = edition.get(question.id)
        if known == digest(question):
            continue
        what = "is none of" if known is None else "differs from that in"
        raise ValueError(
            f"{path}, line {line}: wrong checksum: question {question.id!r} {what} the edition this task was "
            "written for; get the file again, or set changed_data, which the records then say"
        )


def unlisted(questions: Iterable[Question], edition: Mapping[str, Digest]) -> int:
    """Return how many questions the edition does not have, under whatever id."""
    known = {each.question for each in edition.values()}
    return sum(digest(question).question not in known for question in questions)


def _hash(parts: Sequence[str]) -> str:
    text = "\0".join("".join(part.split()) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def main(arguments: Sequence[str]) -> None:
    """Print the edition of each file."""
    for path in map(Path, arguments):
        for question in read_questions(path, GOLD_COLUMNS):
            sys.stdout.write("\t".join([question.id, *digest(question)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
