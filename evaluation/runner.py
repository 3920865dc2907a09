"""Ask a policy in memory every question of the suites, and grade what it answers."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lm_eval.evaluator import evaluate as run_tasks

from evaluation.config import EvalConfig
from evaluation.grading import Grade, Grader
from evaluation.language_model import Policy, PolicyModel
from evaluation.records import EvalResult, Sample, SuiteInfo
from evaluation.suites import Suite, contained, load_suites

logger = logging.getLogger(__name__)

# As lm-eval names it: metric, then filter of evaluation/tasks/_base.yaml.
AVG_AT_K = "avg_at_k"
AVG_AT_K_KEY = f"{AVG_AT_K},all"

Grades = dict[tuple[str, str], list[Grade]]


def evaluate(
    policy: Policy,
    config: EvalConfig,
    grader: Grader,
    *,
    seed: int,
    data: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvalResult:
    """Return every answer of a policy, graded.

    The result depends on the policy, the protocol and the seed; a suite's part of it does not
    depend on the other suites. Global random states are not touched.

    Args:
        policy: What is evaluated; an exception in it fails the evaluation.
        config: The protocol.
        grader: An exception in it is the outcome "error" of one answer.
        seed: Of the sampling.
        data: Folder of the suites' files.
        on_progress: Called with (answers sampled, answers to sample) after each batch.
    """
    suites = load_suites(config.suites, data)
    model = PolicyModel(policy, config, seed, on_progress)
    grades: Grades = {}
    for suite in suites:
        suite.task.set_config("repeats", config.samples)
        suite.task.set_config("process_results", _scorer(grader, grades, suite.name))
    with contained():
        # Not simple_evaluate: it seeds every global generator and lists the machine's packages.
        output = run_tasks(
            model,
            {"tasks": {suite.name: suite.task for suite in suites}},
            limit=config.limit,
            bootstrap_iters=0,
            apply_chat_template=True,
            fewshot_as_multiturn=True,
        )
    samples: list[Sample] = []
    for suite in suites:
        samples += _samples(suite, output["samples"][suite.name], model, grades)
    infos = {suite.name: _info(suite, output) for suite in suites}
    return EvalResult(seed, config, infos, tuple(samples))


def _scorer(grader: Grader, grades: Grades, suite: str) -> Callable[..., dict[str, float]]:
    """Return lm-eval's `process_results` of one suite; a closure, as lm-eval deep-copies the rest."""

    def score(doc: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
        (responses,) = results
        graded = grades[suite, doc["id"]] = grade_responses(grader, responses, doc["gold"])
        verdicts = [grade.correct for grade in graded if grade.outcome != "error"]
        return {AVG_AT_K: sum(verdicts) / len(verdicts)} if verdicts else {}

    return score


def grade_responses(grader: Grader, responses: Sequence[str], gold: str | Sequence[str]) -> list[Grade]:
    """Return one grade a response; an answer that breaks the grader costs no other its grade."""
    try:
        return grader.grade_all([(response, gold) for response in responses])
    except Exception:  # noqa: BLE001
        return [_grade_alone(grader, response, gold) for response in responses]


def _grade_alone(grader: Grader, response: str, gold: str | Sequence[str]) -> Grade:
    try:
        return grader.grade(response, gold)
    except Exception as error:
        logger.exception("grading failed; the answer's outcome is 'error'")
        return Grade("error", None, f"raised:{type(error).__name__}", 0.0)


def _samples(
    suite: Suite, logged: Sequence[dict[str, Any]], model: PolicyModel, grades: Grades
) -> list[Sample]:
    samples = []
    for entry in logged:
        question = entry["doc"]["id"]
        prompt = hashlib.sha256(entry["arguments"][0][0].encode()).hexdigest()
        generations = model.generations[suite.name, entry["doc_id"]]
        pairs = zip(generations, grades[suite.name, question], strict=True)
        samples += [
            Sample(
                suite=suite.name,
                question=question,
                sample=index,
                prompt_sha256=prompt,
                response=generated.text,
                extracted=grade.answer,
                outcome=grade.outcome,
                tokens=generated.tokens,
                truncated=generated.truncated,
                seconds=grade.seconds,
            )
            for index, (generated, grade) in enumerate(pairs)
        ]
    return samples


def _info(suite: Suite, output: dict[str, Any]) -> SuiteInfo:
    return SuiteInfo(
        version=suite.version,
        questions=len(output["samples"][suite.name]),
        split=suite.split,
        sha256=suite.sha256,
        avg_at_k=output["results"][suite.name].get(AVG_AT_K_KEY),
    )
