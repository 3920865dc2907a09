"""A second grader that shares no comparison with the first: a check on its verdicts."""

import time

from evaluation.grading.extraction import find_answer, gold_answer
from evaluation.grading.limits import MAX_CHARACTERS, exceeded_limit
from evaluation.grading.outcomes import Gold, Grade, Verdict
from evaluation.grading.pool_grader import PoolGrader


class IndependentGrader(PoolGrader):
    """Grade by lm-eval's normalisation of MATH answers, then by sympy's own LaTeX grammar.

    It finds the answer as the first grader does and keeps the same limits; nothing else is shared, and
    math-verify is not used. It is stricter: it knows no lists, units, labels or intervals.
    """

    engine = "evaluation.grading.independent_rules"

    def grade(self, response: str, gold: Gold) -> Grade:
        """Return the grade of one response against one gold answer or several accepted forms."""
        started = time.perf_counter()
        golds = (gold,) if isinstance(gold, str) else tuple(gold)
        if not golds:
            raise ValueError("a response needs at least one gold answer to be graded against")
        stated = find_answer(response, boxed_required=self.config.boxed_required)
        verdict = self._decide(stated.answer, golds)
        return Grade(verdict.outcome, stated.answer or None, verdict.how, time.perf_counter() - started)

    def _decide(self, answer: str, golds: tuple[str, ...]) -> Verdict:
        if not answer:
            return Verdict("unparseable", None, "no_answer")
        if answer in golds:
            return Verdict("correct", None, "exact")
        limit = "length" if len(answer) > MAX_CHARACTERS else exceeded_limit(answer)
        if limit:
            return Verdict("unparseable", None, f"limit:{limit}")
        verdict = self._cache.get((answer, golds))
        if verdict is None:
            forms = [gold_answer(gold).strip("$ ") for gold in golds]
            verdict = self._pool.ask({"answer": answer.strip("$ "), "golds": forms})
            self._cache.put((answer, golds), verdict)
        return verdict
