"""Run directories with planted results, valid by the contract of studies/reporting/records.py."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from studies.directories import run_directory
from studies.record import AlgorithmRecord, RunConfig, to_json
from tests.evaluation.rows import row
from training.config import TrainConfig

SIDES = {"add": "in_distribution", "sub": "out_of_distribution"}


def solved(arm, seed, suite, question, sample):
    """Base: the first of 4 additions. Others: the first 2, and of the third one sample of two."""
    known = 1 if arm == "base" else 2
    if question == known and arm != "base":
        return "correct" if sample == 0 else "wrong"
    return "correct" if question < known else "wrong"


@dataclass
class Planted:
    """A study of arms × seeds whose every sample is decided by the test.

    Args:
        folder: results/<study>.
        arms: Names, in order; "base" is untrained.
        outcome: (arm, seed, suite, question number, sample) → outcome.
        metrics: (arm, seed, step) → metrics that differ from the defaults.
        baselines: Each arm's own, where they are not all the same.
        changed: (arm, configuration) → the arm's configuration.
        level: (suite, question number) → difficulty; None: untold.
        sides: For each suite the side of the training distribution that it is on.
        presented: What study.json says otherwise of how the study is reported.
    """

    folder: Path
    arms: tuple = ("base", "grpo")
    seeds: tuple = (0, 1, 2)
    questions: dict = field(default_factory=lambda: {"add": 4, "sub": 2})
    samples: int = 2
    steps: int = 3
    baseline: str | None = "base"
    outcome: object = lambda arm, seed, suite, question, sample: "correct"
    metrics: object = lambda arm, seed, step: {}
    baselines: dict | None = None
    changed: object = lambda arm, config: config
    level: object = lambda suite, question: None
    sides: dict = field(default_factory=lambda: SIDES)
    presented: dict = field(default_factory=dict)

    def config(self, arm, seed) -> RunConfig:
        return self.changed(arm, self.plain_config(arm, seed))

    def plain_config(self, arm, seed) -> RunConfig:
        return RunConfig(
            study=self.folder.name,
            arm=arm,
            seed=seed,
            scale="toy",
            policy="policies/toy",
            train_data="train.parquet",
            algorithm=None if arm == "base" else AlgorithmRecord("grpo", {"clip": 0.2}),
            train=TrainConfig(steps=self.steps),
            evaluation=EvalConfig(suites=tuple(self.questions), samples=self.samples),
        )

    def write(self) -> Path:
        """Write study.json and every run, all finished."""
        runs = {arm: to_json(self.config(arm, 0)) for arm in self.arms}
        for run in runs.values():
            for key in ("study", "arm", "seed"):
                del run[key]
        described = {"study": self.folder.name, "title": "A toy study", "baseline": self.baseline}
        described |= {"arms": list(self.arms), "seeds": list(self.seeds), "runs": runs}
        described |= {} if self.baselines is None else {"baselines": self.baselines}
        described |= self.presented
        self.folder.mkdir(parents=True)
        (self.folder / "study.json").write_text(json.dumps(described))
        for arm in self.arms:
            for seed in self.seeds:
                self.write_run(arm, seed)
        return self.folder

    def run(self, arm, seed) -> Path:
        return run_directory(self.folder, arm, seed)

    def write_run(self, arm, seed, directory=None) -> None:
        directory = directory or self.run(arm, seed)
        directory.mkdir(parents=True)
        config = self.config(arm, seed)
        (directory / "config.json").write_text(json.dumps({"run": to_json(config), "provenance": {}}))
        steps = 0 if config.algorithm is None else self.steps
        self.write_status(arm, seed, "finished", None, steps, directory)
        self._write_samples(arm, seed, config.evaluation, directory)
        lines = [json.dumps(self._step(arm, seed, step)) for step in range(1, steps + 1)]
        if lines:
            (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")

    def write_status(self, arm, seed, state, reason, steps=3, directory=None) -> None:
        status = {"state": state, "phase": "train", "step": steps, "steps": steps, "reason": reason, "pid": 1}
        ((directory or self.run(arm, seed)) / "status.json").write_text(json.dumps(status))

    def _step(self, arm, seed, step) -> dict:
        return {
            "step": step,
            "data/tokens": 100,
            "data/rows": 10,
            "data/offline_row_share": 0.0,
            "data/offline_token_share": 0.0,
            "rollout/solve_rate": 0.5,
            "rollout/solve_rates": [[0, 0.5]],
            "rollout/response_tokens": 20.0,
            "rollout/outcomes": {"correct": 1},
            "rollout/entropy": 0.5,
        } | self.metrics(arm, seed, step)

    def _write_samples(self, arm, seed, protocol, directory) -> None:
        samples, suites = [], {}
        for suite in protocol.suites:
            count = self.questions[suite]
            for number in range(count):
                question = f"{suite}-{number}"
                prompt = hashlib.sha256(question.encode()).hexdigest()
                for sample in range(protocol.samples_of(suite)):
                    outcome = self.outcome(arm, seed, suite, number, sample)
                    cut = outcome == "wrong"
                    told = {"prompt_sha256": prompt, "truncated": cut, "level": self.level(suite, number)}
                    samples.append(row(suite, question, sample, outcome, **told))
            asked = protocol.samples_of(suite)
            suites[suite] = SuiteInfo("1", count, asked, self.sides.get(suite), "f" * 64)
        write_evaluation(directory, Evaluation(seed, protocol, suites), samples)
