"""Run directories as finished runs leave them: every kind of record, and the digests of all of them."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from studies.record import AlgorithmRecord, RunConfig, to_json
from studies.validation import ValidationConfig, validation_directory
from tests.evaluation.rows import row
from tests.studies.synthetic import SIDES, Planted, solved
from training.config import TrainConfig
from training.run_dir import RunDirectory

PROVENANCE = {
    "versions": {"python": "3.11.7", "torch": "2.13.0", "pandas": "3.1.1"},
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "modified": [],
    "machine": "Linux-test",
    "started": "2026-01-02T03:04:05Z",
    "ranks": 1,
}
STEP_SECONDS = 2.0


@dataclass
class Recorded(Planted):
    """`Planted` with rollouts, validations, provenance and digests.

    Args:
        every: Steps between validations.
        provenance: (arm, seed) → what config.json's differs from the default in.
        response: (suite, question number, sample) → text.
    """

    outcome: object = solved
    every: int = 2
    provenance: object = lambda arm, seed: {}
    response: object = lambda suite, question, sample: "r"
    scale: str = "toy"
    algorithm: AlgorithmRecord = field(default_factory=lambda: AlgorithmRecord("grpo", {"clip_low": 0.2}))

    def config(self, arm, seed) -> RunConfig:
        return dataclasses.replace(
            super().config(arm, seed),
            scale=self.scale,
            algorithm=None if arm == "base" else self.algorithm,
            train=TrainConfig(steps=self.steps, record_questions=2),
            validation=ValidationConfig(every=self.every, limit=2),
        )

    def write_run(self, arm, seed, directory=None) -> None:
        directory = directory or self.run(arm, seed)
        super().write_run(arm, seed, directory)
        config, records = self.config(arm, seed), RunDirectory(directory)
        records.write_config(to_json(config), PROVENANCE | self.provenance(arm, seed))
        steps = 0 if config.algorithm is None else self.steps
        asked = [(step, question) for step in range(1, steps + 1) for question in (4, 7)]
        records.append_rollouts([self._rollout(step, question) for step, question in asked])
        for step in range(1, steps + 1):
            if config.validation.due(step):
                protocol = config.validation.protocol(config.evaluation)
                self._write_answers(arm, seed, protocol, validation_directory(directory, step))
        records.write_status("finished", "evaluate", steps, steps)

    def _step(self, arm, seed, step) -> dict:
        spent = {
            "spent/generated_tokens": 80 * step,
            "spent/demonstration_tokens": 0,
            "spent/flops": 1e9 * step,
        }
        times = {"time/total": STEP_SECONDS * step, "time/step": STEP_SECONDS}
        return super()._step(arm, seed, step) | {"train/loss": 1 / step} | spent | times

    def _rollout(self, step, question) -> dict:
        response = {"text": "6", "reward": 1.0, "outcome": "correct", "trained": True, "terms": ["reinforce"]}
        return {
            "step": step,
            "question": question,
            "prompt": "3+3",
            "answer": "6",
            "responses": [response] * 2,
        }

    def _write_samples(self, arm, seed, protocol, directory) -> None:
        self._write_answers(arm, seed, protocol, directory)

    def _write_answers(self, arm, seed, protocol: EvalConfig, directory: Path) -> None:
        samples, suites = [], {}
        for suite in protocol.suites:
            count = min(self.questions[suite], protocol.limit or self.questions[suite])
            samples += [
                self._answer(arm, seed, suite, number, sample)
                for number in range(count)
                for sample in range(protocol.samples)
            ]
            suites[suite] = SuiteInfo("1", count, protocol.samples, SIDES.get(suite), "f" * 64)
        directory.mkdir(parents=True, exist_ok=True)
        header = Evaluation(seed, protocol, suites, {"arm": arm}, "rules 2, math-verify 0.9.0")
        write_evaluation(directory, header, samples)

    def _answer(self, arm, seed, suite, number, sample):
        return row(
            suite,
            f"{suite}-{number}",
            sample,
            self.outcome(arm, seed, suite, number, sample),
            prompt_sha256=hashlib.sha256(f"{suite} {number}".encode()).hexdigest(),
            response=self.response(suite, number, sample),
        )


def edit_json(path: Path, change) -> None:
    """Write a JSON file again as `change` leaves its object."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=1))
