"""Grade responses: one grader for the training reward and the evaluation score."""

import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from evaluation.grading.choices import chosen, gold_choice, option_named
from evaluation.grading.extraction import Stated, find_answer, gold_answer
from evaluation.grading.limits import MAX_CHARACTERS, MAX_SCANNED, exceeded_limit, is_code
from evaluation.grading.notation import comparable, rewrite, unwrap
from evaluation.grading.numbers import plain_number, same_number
from evaluation.grading.outcomes import Gold, Grade, Verdict
from evaluation.grading.pool_grader import PoolGrader

_NUMBER_LIST = re.compile(r"([({[]?)(-?\d+(?:,-?\d+)+)[])}]?")


class _Question(NamedTuple):
    """An answer and its golds as they were given; hashable, so it is the cache key."""

    answer: str
    whole: bool
    golds: tuple[str, ...]


class Grader(PoolGrader):
    """Grade responses; cheap decisions here, algebra in killable workers."""

    engine = "evaluation.grading.comparison"

    def grade(self, response: str, gold: Gold) -> Grade:
        """Return the grade of one response against one gold answer or several accepted forms."""
        started = time.perf_counter()
        golds = (gold,) if isinstance(gold, str) else tuple(gold)
        if not golds:
            raise ValueError("a response needs at least one gold answer to be graded against")
        stated = find_answer(response, boxed_required=self.config.boxed_required)
        verdict = self._grade_stated(stated, golds)
        answer = verdict.answer or (stated.answer if stated.whole and stated.answer else None)
        return Grade(verdict.outcome, answer, verdict.how, time.perf_counter() - started)

    def check_golds(self, golds: Iterable[str]) -> list[str]:
        """Return the golds that math-verify cannot read, which only an equal text answers.

        An option's letter is not among them: nothing reads it as mathematics.
        """
        rewritten = ((gold, rewrite(gold_answer(gold))) for gold in golds)
        asked = [(gold, text) for gold, text in rewritten if not gold_choice(text)]
        with ThreadPoolExecutor(self.config.workers) as pool:
            verdicts = pool.map(lambda pair: self._pool.ask({"check": pair[1]}), asked)
            return [
                gold
                for (gold, _), verdict in zip(asked, verdicts, strict=True)
                if verdict.outcome != "correct"
            ]

    def _grade_stated(self, stated: Stated, golds: tuple[str, ...]) -> Verdict:
        """Return the verdict on the last box, else on the boxes that are joined to it as one list."""
        verdict = self._decide(_Question(stated.answer, stated.whole, golds))
        if stated.joint and verdict.outcome != "correct":
            joint = self._decide(_Question(stated.joint, True, golds))
            if joint.outcome == "correct":
                return joint._replace(answer=stated.joint)
        return verdict

    def _decide(self, question: _Question) -> Verdict:
        if not question.answer:
            return Verdict("unparseable", None, "no_answer")
        if question.answer in question.golds:
            return Verdict("correct", None, "exact")
        verdict = self._cache.get(question)
        if verdict is None:
            verdict = self._decide_anew(question)
            self._cache.put(question, verdict)
        return verdict

    def _decide_anew(self, question: _Question) -> Verdict:
        golds = [gold_answer(gold) for gold in question.golds]
        answer = question.answer
        if question.whole and is_code(answer[:MAX_SCANNED]):
            return Verdict("unparseable", None, "limit:code")
        if question.whole and len(answer) > MAX_CHARACTERS:
            answer = unwrap(re.sub(r"\\(?:left|right)(?![a-zA-Z])|\s", "", answer[:MAX_SCANNED]))
            if len(answer) > MAX_CHARACTERS:
                return _decide_long(answer, golds)
        golds = [rewrite(gold) for gold in golds]
        answer = rewrite(answer) if question.whole else answer
        verdict = _decide_by_text(answer, golds, whole=question.whole)
        if verdict is not None:
            return verdict
        return self._pool.ask({"answer": answer, "whole": question.whole, "golds": golds})


def _decide_long(answer: str, golds: Sequence[str]) -> Verdict:
    """Return the verdict on an answer too long for anything but the comparison of integers."""
    items = _integers(answer)
    if items is not None and items in map(_integers, golds):
        return Verdict("correct", None, "items")
    return Verdict("unparseable", None, "limit:length")


def _integers(text: str) -> tuple[str, list[str]] | None:
    """Return the bracket before a list of integers, and these in order where that is free."""
    text = re.sub(r"\s|\\(?=[{}])", "", text)
    match = _NUMBER_LIST.fullmatch(text)
    if match is None:
        return None
    bracket, items = match[1].strip("{"), match[2].split(",")
    return bracket, items if bracket else sorted(items)


def _decide_by_text(answer: str, golds: Sequence[str], *, whole: bool) -> Verdict | None:
    """Return the verdict that needs no algebra, if there is one."""
    form = comparable(answer)
    if form and form in map(comparable, golds):
        return Verdict("correct", None, "exact")
    by_letter = _decide_by_letter(answer, golds, whole=whole)
    if by_letter is not None or not whole:
        return by_letter
    number = plain_number(answer)
    numbers = [plain_number(gold) for gold in golds]
    if number and all(numbers):
        right = any(other and same_number(number, other) for other in numbers)
        return Verdict("correct" if right else "wrong", None, "number")
    limit = exceeded_limit(answer)
    return None if limit is None else Verdict("unparseable", None, f"limit:{limit}")


def _decide_by_letter(answer: str, golds: Sequence[str], *, whole: bool) -> Verdict | None:
    """Return the verdict where every gold is an option's letter, or a lone letter is the answer to words."""
    letters = [gold_choice(gold) for gold in golds]
    letter = chosen(answer, whole=whole)
    if all(letters):
        if letter is not None:
            return Verdict("correct" if letter in letters else "wrong", letter, "choice")
        upper = all(not gold.islower() for gold in golds)
        return Verdict("wrong", None, "choice") if upper and whole else None
    if letter and re.fullmatch(r"\(?[A-J]\)?", answer.strip()) and letter in map(option_named, golds):
        return Verdict("correct", letter, "choice")
    return None
