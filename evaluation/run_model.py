"""What `python -m evaluation.run` does."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evaluation import runner
from evaluation.answers import by_suite
from evaluation.backends.model import ModelConfig, find_model, model_sha256
from evaluation.config import EvalConfig
from evaluation.grading import Grader, GraderConfig
from evaluation.policy import Policy
from evaluation.protocols import PROTOCOLS, named_suites
from evaluation.records import answers
from evaluation.score_table import score_table
from evaluation.suites import suites_of

if TYPE_CHECKING:
    from evaluation.run_command import Command

RESULTS = Path("results/evaluations")
BATCHES = {"hf": 32, "vllm": 1024}
OVERRIDES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_response_tokens",
}
_PLAIN_SECONDS = 30.0


def carry_out(command: Command) -> str:
    """Evaluate a model and return its table.

    Raises:
        ValueError: The command cannot be carried out as given.
    """
    backend = command.backend or _usual_backend()
    protocol = make_protocol(command, backend)
    # What is wrong with the data is told before a model is loaded.
    suites_of(protocol, command.data)
    path = find_model(command.model)
    directory = command.output or _output(command, path)
    policy = _policy(command, path, backend, protocol)
    request = runner.Request(protocol, command.seed, command.data)
    with Grader(GraderConfig()) as grader, _shown() as on_progress:
        evaluation = runner.evaluate(policy, request, grader, directory, on_progress)
    table = score_table(evaluation, by_suite(answers(directory)))
    text = f"# {command.model}\n\n{table}\n## Reproduce\n\n```\n{command.again()}\n```\n"
    (directory / "table.md").write_text(text, encoding="utf-8")
    return text


def make_protocol(command: Command, backend: str) -> EvalConfig:
    """Return the protocol that a command names, with what the command changes of it."""
    protocol = PROTOCOLS[command.protocol]
    changes: dict[str, Any] = {
        field: value for option, field in OVERRIDES.items() if (value := getattr(command, option)) is not None
    }
    if command.samples is not None:
        changes |= {"samples": command.samples, "suite_samples": {}}
    if command.limit is not None:
        changes["limit"] = command.limit or None
    suites = named_suites(command.suite)
    asked = changes.get("suite_samples", protocol.suite_samples)
    return dataclasses.replace(
        protocol,
        **changes
        | {
            "suites": suites,
            "suite_samples": {suite: count for suite, count in asked.items() if suite in suites},
            "option_seed": None if command.option_seed < 0 else command.option_seed,
            "changed_data": command.changed_data,
            "batch_size": command.batch_size or BATCHES[backend],
        },
    )


def _usual_backend() -> str:
    return "vllm" if torch.cuda.is_available() and importlib.util.find_spec("vllm") else "hf"


def _output(command: Command, path: Path) -> Path:
    name = path.name if Path(command.model).is_dir() else command.model.replace("/", "--")
    return RESULTS / name / f"{command.protocol}-seed{command.seed}"


def _policy(command: Command, path: Path, backend: str, protocol: EvalConfig) -> Policy:
    config = ModelConfig(path, command.template, command.dtype, command.device, command.gpus)
    model: Any
    if backend == "vllm":
        from evaluation.backends.vllm import VllmModel

        model = VllmModel(config, protocol)
    else:
        from evaluation.backends.hf import HfModel

        model = HfModel(config)
    identity = {
        "model": command.model,
        "sha256": model_sha256(path),
        "backend": backend,
        "template": command.template,
        "dtype": command.dtype,
    }
    return Policy(model.generate, model.render, identity)


@contextmanager
def _shown() -> Iterator[Callable[[runner.Progress], None]]:
    """Show how far an evaluation is on stderr: a bar on a terminal, a line now and then in a log."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("answers, {task.fields[questions]} questions, {task.fields[correct]:.1%} correct"),
        TimeRemainingColumn(),
    )
    last = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, questions=0, correct=0.0)

        def show(progress: runner.Progress) -> None:
            nonlocal last
            bar.update(
                task,
                description=progress.suite,
                completed=progress.samples,
                total=progress.of,
                questions=progress.questions,
                correct=progress.correct,
            )
            due = time.monotonic() - last > _PLAIN_SECONDS or progress.samples == progress.of
            if due and not console.is_terminal:
                last = time.monotonic()
                console.print(
                    f"{progress.suite}: {progress.samples:,} of {progress.of:,} answers, "
                    f"{progress.questions:,} questions, {progress.correct:.1%} correct"
                )

        yield show
