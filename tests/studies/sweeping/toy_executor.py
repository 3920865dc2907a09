"""Stands in for `studies.execute` in sweeps: as in other studies, with validations.

A run's chance to answer rightly is a function of its learning rate, clip range and step alone, so that its
scores depend on nothing else. TOY_GATE names a file that all trials but the first ones wait for.
"""

import os
import time

from studies.validation import validation_directory
from tests.studies.toy_executor import Toy, share

QUESTIONS = 24
UNGATED = 4


def execute(run, directory):
    Swept(run, directory).execute()


class Swept(Toy):
    split = "in_distribution"

    def begin(self):
        gate = os.environ.get("TOY_GATE")
        while gate and int(self.run.arm.removeprefix("trial-")) >= UNGATED and not os.path.exists(gate):
            time.sleep(0.02)

    def after_step(self, step):
        if self.run.validation.due(step):
            protocol = self.run.validation.protocol(self.run.evaluation)
            self.evaluate(protocol, step, validation_directory(self.directory, step))

    def questions(self, protocol):
        return min(protocol.limit or QUESTIONS, QUESTIONS)

    def solve_rate(self, step):
        return 0.5

    def solves(self, step, suite, question, sample):
        return share(f"{self.run.seed} {suite} {question} {sample}") < self.chance(step)

    def chance(self, step):
        """Return how likely an answer is right: best at a rate of 1e-3 and a low clip of 0.3."""
        arguments = self.run.algorithm.arguments if self.run.algorithm else {}
        rate, low = self.run.train.optimizer.learning_rate, arguments.get("clip_low", 0.2)
        return max(0.05, 0.9 - 400 * abs(rate - 1e-3) - abs(low - 0.3)) * step / self.run.train.steps
