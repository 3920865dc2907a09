"""Records of the project's own studies at any scale, without training: every run scores what a test says."""

import dataclasses
from dataclasses import dataclass, field

from studies.configuring.requested import request
from tests.studies.synthetic import Planted

OUT = ("arc_challenge", "gpqa_diamond", "tiny_subtract2", "tiny_subtract3")
SINGLE, MANY = 200, 10
"""Questions of suites with one answer to each and of those with many: steps of half a point, and finer."""


@dataclass
class OfStudy(Planted):
    """Runs of a study as a command line asks for it.

    Args:
        scales: As `--scale` has them; none: the study's own.
        target: (arm, seed, suite) → score in percent, to be met as nearly as the number of answers allows.
        counts: Questions of suites that have another number of them.
    """

    scales: tuple = ()
    target: object = lambda arm, seed, suite: 50.0
    counts: dict = field(default_factory=dict)
    outcome: object = None

    def __post_init__(self):
        asked = request(self.folder.name, self.scales, len(self.seeds))
        self.planned = {run.arm: run for run in asked.resolved.runs if run.seed == 0}
        self.arms = tuple(arm.name for arm in asked.study.arms)
        self.presented = asked.view | self.presented
        self.outcome = self.outcome or self._outcome
        protocols = [run.evaluation for run in self.planned.values()]
        of = {suite: each.samples_of(suite) for each in protocols for suite in each.suites}
        counts = {suite: SINGLE if samples == 1 else MANY for suite, samples in of.items()} | self.counts
        self.questions = {suite: counts[suite] for suite in of}
        self.sides = {s: "out_of_distribution" if s in OUT else "in_distribution" for s in of}

    def plain_config(self, arm, seed):
        return dataclasses.replace(self.planned[arm], study=self.folder.name, seed=seed)

    def _outcome(self, arm, seed, suite, question, sample):
        count = self.planned[arm].evaluation.samples_of(suite)
        cells, here = self.questions[suite] * count, question * count + sample
        return "correct" if here < round(self.target(arm, seed, suite) / 100 * cells) else "wrong"
