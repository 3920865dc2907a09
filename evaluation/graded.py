"""From sampled answers to graded rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evaluation.asking import Batch
from evaluation.grading import AnswerGrader, Grade, grader_version
from evaluation.policy import Generated
from evaluation.samples import Sample

logger = logging.getLogger(__name__)


def graded(
    grader: AnswerGrader, batch: Batch, generated: Sequence[Generated], seconds: float
) -> list[Sample]:
    """Return a batch's answers with their grades."""
    pairs = [
        (answer.text, prompt.question.golds)
        for (prompt, _), answer in zip(batch.draws, generated, strict=True)
    ]
    rows = []
    for (prompt, number), answer, grade in zip(
        batch.draws, generated, grade_responses(grader, pairs), strict=True
    ):
        rows.append(
            Sample(
                suite=batch.suite.name,
                question=prompt.question.id,
                sample=number,
                outcome=grade.outcome,
                extracted=grade.answer,
                how=grade.how,
                tokens=answer.tokens,
                truncated=answer.truncated,
                response=answer.text,
                golds=prompt.question.golds,
                prompt_sha256=prompt.sha256,
                seed=batch.seed,
                seconds=seconds,
                grading_seconds=grade.seconds,
                level=prompt.question.level,
                subject=prompt.question.subject,
                task_version=batch.suite.version,
                grader_version=grader_version(),
            )
        )
    return rows


def grade_responses(grader: AnswerGrader, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Grade]:
    """Return one grade a response; an answer that breaks the grader costs no other its grade."""
    try:
        return grader.grade_all(pairs)
    except Exception:  # noqa: BLE001
        return [_grade_alone(grader, response, golds) for response, golds in pairs]


def _grade_alone(grader: AnswerGrader, response: str, golds: Sequence[str]) -> Grade:
    try:
        return grader.grade(response, golds)
    except Exception as error:
        logger.exception("grading failed; the answer's outcome is 'error'")
        return Grade("error", None, f"raised:{type(error).__name__}", 0.0)
