"""The command line that plans studies: `python -m studies.plan ablation_gate --scale qwen2.5-math-7b`.

The plan is on stdout as markdown. Exit codes: 0, 1 where a run does not fit the GPUs (why is on stderr too),
2 where the command cannot be carried out as given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from studies.planning.command import Command, read_command

# torch and transformers are imported once a command needs them: --help must not.

UNFIT, REFUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = read_command(arguments)
    from studies.catalog import UsageError

    try:
        return _carry_out(command)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED


def _carry_out(command: Command) -> int:
    from studies.configuring.requested import request

    resolved = request(command.study, command.scale, command.seeds, command.changes).resolved
    from studies.planning.hours import Device
    from studies.planning.study_plan import Means, gigabytes, plan_study
    from studies.planning.text import as_text

    device = Device(
        command.gpu_tflops * 1e12,
        command.gpu_bandwidth * 1e9,
        command.utilization,
        command.decode_utilization,
    )
    means = Means(
        command.gpus,
        gigabytes(command.gpu_memory),
        device,
        command.prompt_tokens,
        command.response_tokens,
    )
    plan = plan_study(resolved, means)
    sys.stdout.write(as_text(plan) + "\n")
    refused = {arm.run.arm: arm.refusal for arm in plan.arms if arm.refusal is not None}
    for arm, reason in refused.items():
        sys.stderr.write(f"does not fit: {arm}: {reason}\n")
    return UNFIT if refused else 0


if __name__ == "__main__":
    sys.exit(main())
