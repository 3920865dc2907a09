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

from core.prompts import Tokenizer
from evaluation.config import EvalConfig
from evaluation.grading import Grader, GraderConfig
from evaluation.policy import Policy
from evaluation.runner import Request, evaluate
from studies.catalog import PROJECT
from studies.configuring.parts import build_algorithm
from studies.directories import write_failed
from studies.planning.architecture import read_architecture
from studies.planning.step_flops import StepFlops
from studies.provenance import provenance
from studies.record import RunConfig, to_json
from studies.sampling import PolicyUnderTest, make_sampler
from studies.validation import validation_directory
from training.answers import Verdict
from training.config import TrainConfig
from training.critic import load_critic
from training.data import load_questions
from training.engine import Engine
from training.leading import Samples, on_first
from training.learner import Learner
from training.live_policy import FixedPolicy, TrainedPolicy
from training.loop import Trainer, TrainJob
from training.memory import free_memory
from training.policy import ScoringPolicy, TokenScores, load_model, load_reference, load_tokenizer
from training.providers import needed
from training.ranks import Ranks, join_ranks
from training.rollout import Sampler
from training.run_dir import RunDirectory
from training.tokens import CausalLM


@cache
def grader() -> Grader:
    """Return this process's grader, the same for rewards and scores; its algebra runs in one worker."""
    shared = Grader(GraderConfig(workers=1))
    atexit.register(shared.close)
    return shared


def reward(pairs: Sequence[tuple[str, str | tuple[str, ...]]]) -> list[Verdict]:
    """Return 1 for correct responses and 0 for all others, whose outcome says why."""
    return [Verdict(float(grade.correct), grade.outcome) for grade in grader().grade_all(pairs)]


def local_path(source: str) -> str:
    """Return where a file of the project lies; names on the hub and absolute paths stay as they are."""
    return str(PROJECT / source) if (PROJECT / source).exists() else source


def execute(run: RunConfig, directory: Path) -> None:
    """Train and evaluate one run, going on from its last checkpoint if it has one.

    A launcher that started this process with others has all of them work on the run; each of them calls this.

    Args:
        run: What to run.
        directory: Its run directory, with config.json, metrics.jsonl, eval.json, samples.jsonl, status.json.

    Raises:
        Exception: Whatever ended the run; status.json then says "failed" and why.
    """
    ranks = join_ranks()
    records = RunDirectory(directory, writes=ranks.first)
    records.write_config(to_json(run), provenance() | {"ranks": ranks.size})
    try:
        if run.threads is not None:
            torch.set_num_threads(run.threads)
        steps = _execute(run, records, ranks)
    except Exception as error:
        ranks.outlast_others()
        write_failed(directory, f"{type(error).__name__}: {error}")
        raise
    finally:
        # Engines are held by circles of references; the next run needs their memory.
        free_memory()
    records.write_status("finished", "evaluate", steps, steps)


def _execute(run: RunConfig, records: RunDirectory, ranks: Ranks) -> int:
    """Train and evaluate; return the steps that were taken."""
    policy, engine = local_path(run.policy), run.train.engine
    tokenizer = load_tokenizer(policy)
    checkpointing = engine.gradient_checkpointing
    model = load_model(
        policy, engine.precision, overrides=run.policy_config, gradient_checkpointing=checkpointing
    )
    sampler = make_sampler(run, policy, model, tokenizer, ranks)
    test = _Test(run, sampler, tokenizer, ranks)
    # Engines stay until evaluation is done: at ZeRO 3 nobody else can put the policy's shards together.
    with ExitStack() as engines:
        if run.algorithm is None:
            steps = 0
            sampler.follow(FixedPolicy(ScoringPolicy(model, run.train.rollout.temperature)))
        else:
            steps = _train(test, model, records, engines)
        records.write_status("running", "evaluate", steps, steps)
        test.take(run.evaluation, records.path)
        sampler.follow(None)
    return steps


@dataclass(frozen=True)
class _Test:
    """Evaluates a run's policy, as it is at the time; all ranks call it."""

    run: RunConfig
    sampler: Sampler
    tokenizer: Tokenizer
    ranks: Ranks

    def take(self, protocol: EvalConfig, directory: Path) -> None:
        on_first(self.ranks, self.sampler, lambda led: self._ask(protocol, directory, led))

    def validate(self, step: int, directory: Path) -> None:
        validation = self.run.validation
        if validation.due(step):
            self.take(validation.protocol(self.run.evaluation), validation_directory(directory, step))

    def _ask(self, protocol: EvalConfig, directory: Path, sampler: Samples) -> None:
        run, template = self.run, self.run.train.prompt_template
        asked = PolicyUnderTest(sampler, self.tokenizer, template)
        policy = Policy(asked.generate, asked.render, {"arm": run.arm, "prompt_template": template})
        data = Path(local_path(run.suite_data)) if run.suite_data else None
        evaluate(policy, Request(protocol, run.seed, data), grader(), directory)


def _train(test: _Test, model: CausalLM, records: RunDirectory, engines: ExitStack) -> int:
    """Train, with engines that `engines` closes; the sampler follows the policy. Return the steps taken."""
    run, sampler, tokenizer = test.run, test.sampler, test.tokenizer
    assert run.algorithm is not None
    job = TrainJob(
        questions=load_questions(local_path(run.train_data), tokenizer, run.train),
        algorithm=build_algorithm(run.algorithm),
        reward=reward,
        config=run.train,
        seed=run.seed,
        flops=StepFlops(read_architecture(run.policy, run.policy_config), run.train),
        after_step=lambda step: test.validate(step, records.path),
    )
    engine = Engine(
        ScoringPolicy(model, run.train.rollout.temperature), run.train.engine, run.train.optimizer
    )
    engines.callback(engine.close)
    learner = _learner(run, engine, needed(job.algorithm), engines)
    sampler.follow(TrainedPolicy(engine))
    return Trainer(job, learner, sampler, tokenizer, records).run()


def _learner(
    run: RunConfig, engine: Engine[TokenScores], needs: frozenset[str], engines: ExitStack
) -> Learner:
    """Return what learns, with a critic and a reference policy only where they are needed."""
    config, path = _with_local_critic(run.train), local_path(run.policy)
    critic = reference = None
    if "value" in needs:
        # A critic of its own model has that model's configuration.
        overrides = run.policy_config if config.critic.model is None else {}
        critic = load_critic(path, config, overrides)
        engines.callback(critic.close)
    if "reference_logp" in needs:
        reference = load_reference(
            path, config.engine.precision, config.rollout.temperature, run.policy_config
        )
    return Learner(engine, config, critic=critic, reference=reference)


def _with_local_critic(config: TrainConfig) -> TrainConfig:
    if config.critic.model is None:
        return config
    critic = dataclasses.replace(config.critic, model=local_path(config.critic.model))
    return dataclasses.replace(config, critic=critic)
