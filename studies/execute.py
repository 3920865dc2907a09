"""One run from beginning to end: where training, evaluation and algorithms meet."""

from __future__ import annotations

import atexit
import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from evaluation.config import EvalConfig
from evaluation.grading import Grader, GraderConfig
from evaluation.language_model import Generated, Policy
from evaluation.records import write_eval
from evaluation.runner import evaluate
from studies.catalog import PROJECT
from studies.configuring.parts import build_algorithm
from studies.directories import write_failed
from studies.provenance import provenance
from studies.record import RunConfig, to_json
from training.answers import Verdict, response_text
from training.config import TrainConfig
from training.critic import load_critic
from training.data import load_questions
from training.engine import Engine
from training.learner import Learner
from training.loop import Trainer, TrainJob
from training.policy import ScoringPolicy, load_model, load_reference, load_tokenizer
from training.prompts import CausalLM, Tokenizer, encode, render_prompt
from training.providers import needed
from training.rollout import Sampling, TransformersSampler
from training.run_dir import RunDirectory


@cache
def grader() -> Grader:
    """Return this process's grader, the same for rewards and scores; its algebra runs in one worker."""
    shared = Grader(GraderConfig(workers=1))
    atexit.register(shared.close)
    return shared


def reward(pairs: Sequence[tuple[str, str | tuple[str, ...]]]) -> list[Verdict]:
    """Return 1 for correct responses and 0 for all others, whose outcome says why."""
    return [Verdict(float(grade.correct), grade.outcome) for grade in grader().grade_all(pairs)]


@dataclass(frozen=True)
class PolicyUnderTest:
    """A policy in memory, as evaluation asks it."""

    sampler: TransformersSampler
    tokenizer: Tokenizer
    template: str | None

    def render(self, problem: str) -> str:
        """Return the prompt of a problem, made as in training."""
        return render_prompt(self.tokenizer, [{"role": "user", "content": problem}], self.template)

    def generate(self, prompts: Sequence[str], settings: EvalConfig, seed: int) -> list[Generated]:
        """Return one answer to each prompt."""
        sampling = Sampling(
            settings.temperature, settings.top_p, settings.max_response_tokens, settings.batch_size
        )
        ids = [encode(self.tokenizer, prompt) for prompt in prompts]
        return [
            Generated(response_text(self.tokenizer, sampled.tokens), len(sampled.tokens), sampled.truncated)
            for sampled in self.sampler.sample(ids, sampling, seed)
        ]


def local_path(source: str) -> str:
    """Return where a file of the project lies; names on the hub and absolute paths stay as they are."""
    return str(PROJECT / source) if (PROJECT / source).exists() else source


def execute(run: RunConfig, directory: Path) -> None:
    """Train and evaluate one run in this process, going on from its last checkpoint if it has one.

    Args:
        run: What to run.
        directory: Its run directory, with config.json, metrics.jsonl, eval.json and status.json.

    Raises:
        Exception: Whatever ended the run; status.json then says "failed" and why.
    """
    records = RunDirectory(directory)
    records.write_config(to_json(run), provenance())
    steps = run.train.steps if run.algorithm is not None else 0
    try:
        if run.threads is not None:
            torch.set_num_threads(run.threads)
        _execute(run, records, steps)
    except Exception as error:
        write_failed(directory, f"{type(error).__name__}: {error}")
        raise
    records.write_status("finished", "evaluate", steps, steps)


def _execute(run: RunConfig, records: RunDirectory, steps: int) -> None:
    policy = local_path(run.policy)
    tokenizer = load_tokenizer(policy)
    engine_config = run.train.engine
    model = load_model(
        policy, engine_config.precision, gradient_checkpointing=engine_config.gradient_checkpointing
    )
    sampler = TransformersSampler(model, tokenizer)
    if run.algorithm is not None:
        _train(run, model, sampler, records)
    records.write_status("running", "evaluate", steps, steps)
    asked = PolicyUnderTest(sampler, tokenizer, run.train.prompt_template)
    result = evaluate(
        Policy(asked.generate, asked.render),
        run.evaluation,
        grader(),
        seed=run.seed,
        data=Path(local_path(run.suite_data)) if run.suite_data else None,
    )
    write_eval(records.path / "eval.json", result)


def _train(run: RunConfig, model: CausalLM, sampler: TransformersSampler, records: RunDirectory) -> None:
    assert run.algorithm is not None
    job = TrainJob(
        questions=load_questions(local_path(run.train_data), sampler.tokenizer, run.train),
        algorithm=build_algorithm(run.algorithm),
        reward=reward,
        config=run.train,
        seed=run.seed,
    )
    with ExitStack() as engines:
        learner = _learner(run, model, needed(job.algorithm), engines)
        Trainer(job, learner, sampler, sampler.tokenizer, records).run()


def _learner(run: RunConfig, model: CausalLM, needs: frozenset[str], engines: ExitStack) -> Learner:
    """Return what learns, with a critic and a reference policy only where they are needed."""
    config, path = _with_local_critic(run.train), local_path(run.policy)
    policy = ScoringPolicy(model, config.rollout.temperature)
    engine = Engine(policy, config.engine, config.optimizer)
    engines.callback(engine.close)
    critic = reference = None
    if "value" in needs:
        critic = load_critic(path, config)
        engines.callback(critic.close)
    if "reference_logp" in needs:
        reference = load_reference(path, config.engine.precision, config.rollout.temperature)
    return Learner(engine, config, critic=critic, reference=reference)


def _with_local_critic(config: TrainConfig) -> TrainConfig:
    if config.critic.model is None:
        return config
    critic = dataclasses.replace(config.critic, model=local_path(config.critic.model))
    return dataclasses.replace(config, critic=critic)
