"""How many answers a second, on what models really give, and how long the slowest takes.

The bounds leave room for a busy machine; `QUARTET_GRADING_SPEED=1` holds them to the published figures.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

from evaluation import grade as command
from evaluation.grading import Grader, GraderConfig

CLASSES = Path(__file__).parent / "data" / "grading_classes.jsonl"
CORPUS = Path(__file__).parents[3] / "shared" / "graders" / "grader.jsonl"
REPEATS = 32
STRICT = os.environ.get("QUARTET_GRADING_SPEED") == "1"
RATE, P99 = (2_000, 0.050) if STRICT else (400, 0.25)
STEP = r"We note that $x_1 = 3 + 4 = 7$ and \( y = \frac{a}{b} \), so \[ z = \boxed{2}. \] "


def answers():
    """Return each pair of a corpus as often as an average over 32 samples grades it, in any order."""
    file = CORPUS if CORPUS.exists() else CLASSES
    rows = [json.loads(line) for line in file.open()]
    pairs = [(command.response_of(row), row["gold"]) for row in rows] * REPEATS
    random.Random(0).shuffle(pairs)
    return pairs


def measure(name, pairs, known=()):
    """Return the rate and the 99th percentile of the time of pairs, graded after those that are known."""
    with Grader(GraderConfig(boxed_required=False)) as grader:
        grader.grade_all([*((rf"\boxed{{x+{n}}}", "y") for n in range(4)), *known])  # start the workers
        started = time.perf_counter()
        grades = grader.grade_all(pairs)
        rate = len(pairs) / (time.perf_counter() - started)
    seconds = sorted(grade.seconds for grade in grades)
    p99 = seconds[int(0.99 * len(seconds))]
    sys.stderr.write(f"\n{name}: {rate:.0f} a second, p99 {p99 * 1e3:.2f} ms, slowest {seconds[-1]:.2f} s\n")
    return rate, p99


def test_throughput_on_a_realistic_mix():
    rate, p99 = measure("mix", answers())
    assert rate >= RATE
    assert p99 < P99


def test_a_long_response_costs_little_more_than_its_answer():
    thoughts = STEP * (32_000 // len(STEP))  # about 8,000 tokens, a box in each step
    boxed = [(answer, gold) for answer, gold in answers() if answer.startswith("\\boxed")][:2000]
    pairs = [(f"<think>{thoughts}</think>{thoughts}{answer}", gold) for answer, gold in boxed]
    rate, p99 = measure("long", pairs, known=boxed)
    assert rate >= RATE
    assert p99 < P99
