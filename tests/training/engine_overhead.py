"""What DeepSpeed adds to an optimizer step of the tiny policy: `python -m tests.training.engine_overhead`.

Bare PyTorch and each ZeRO stage take turns, step by step, so that a machine whose speed drifts is as fast for
one as for the other; the table holds medians and the median of the paired differences.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.policy import ScoringPolicy, load_model
from training.responses import Response, collate

POLICY = str(Path(__file__).parents[2] / "studies/scales/tiny/base_policy")
ROUNDS, WARM_UP, ROWS = 60, 5, 64


def fresh_policy():
    return ScoringPolicy(load_model(POLICY, "fp32"))


def bare_step(inputs):
    policy = fresh_policy()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        (-policy(inputs).logp.mean()).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()

    return step


def engine_step(inputs, stage):
    engine = Engine(fresh_policy(), EngineConfig(zero_stage=stage), OptimizerConfig())

    def step():
        engine.backward(-engine.score(inputs).logp.mean(), last=True)
        engine.step(1e-4)

    return step


def seconds(step):
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def main():
    torch.set_num_threads(1)
    rows = [Response(i, (2, 5, 6, 14, 7, 8, 3), (5, 14, 6, 16, 7) * 6, True, 1.0) for i in range(ROWS)]
    inputs = collate(rows, torch.device("cpu"))
    steps = {"bare PyTorch": bare_step(inputs)}
    steps |= {f"ZeRO {stage}": engine_step(inputs, stage) for stage in range(4)}
    times = {name: [] for name in steps}
    for _ in range(WARM_UP + ROUNDS):
        for name, step in steps.items():
            times[name].append(seconds(step))
    bare = times["bare PyTorch"][WARM_UP:]
    lines = ["| step | median ms | added ms |", "| --- | ---: | ---: |"]
    for name, found in times.items():
        added = [1e3 * (mine - other) for mine, other in zip(found[WARM_UP:], bare, strict=True)]
        median = 1e3 * statistics.median(found[WARM_UP:])
        lines.append(f"| {name} | {median:.1f} | {statistics.median(added):+.1f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
