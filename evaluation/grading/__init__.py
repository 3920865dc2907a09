"""The grader: from a response and its gold answers to one outcome, the same for reward and score."""

from evaluation.grading.grader import Grader
from evaluation.grading.independent import IndependentGrader
from evaluation.grading.outcomes import OUTCOMES, AnswerGrader, Gold, Grade, GraderConfig, Outcome
from evaluation.grading.version import grader_version

__all__ = [
    "OUTCOMES",
    "AnswerGrader",
    "Gold",
    "Grade",
    "Grader",
    "GraderConfig",
    "IndependentGrader",
    "Outcome",
    "grader_version",
]
