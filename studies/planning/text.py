"""A plan as markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studies.planning.fitting import gib
from studies.planning.memory import CONTEXT, FRAGMENTATION, GIB, bill, largest_micro_batch, with_engine
from studies.planning.study_plan import ArmPlan, StudyPlan
from studies.planning.work import Work

PARTS = (
    "parameters", "gradients", "optimizer", "buffers", "activations", "logits", "step", "reference", "critic",
    "margin",
)  # fmt: skip

WORK = (
    "one run of", "sampled, M tokens", "trained, M", "evaluated, M", "train, PFLOP", "score", "sample",
    "hours: train", "score", "sample", "evaluate", "all", "GPU hours",
)  # fmt: skip

LEFT_OUT = (
    "Left out: loading (each process first holds the whole model on its GPU), grading, new weights for the "
    "sampler, communication between GPUs, waiting for the longest response, checkpoints, failures; rounds of "
    "dynamic sampling beyond the first. Every row of every term is counted as trained: gates make it less. "
    "Pinned memory may be rounded up to the next power of two."
)


def as_text(plan: StudyPlan) -> str:
    """Return a plan as text."""
    return "\n".join(
        [*_head(plan), *_memory(plan), *_work(plan), *_disk(plan), "", LEFT_OUT, *_verdict(plan)]
    )


def _head(plan: StudyPlan) -> Iterator[str]:
    first, device, resolved = plan.arms[0], plan.means.device, plan.resolved
    yield f"# {resolved.study.title}: plan at scale {', '.join(resolved.scales)}"
    yield ""
    yield (
        f"{len(resolved.study.arms)} arms x {len(resolved.seeds)} seeds = {len(resolved.runs)} runs, each on "
        f"{_gpus(first.ranks)}. All numbers are estimates, but for the number of parameters."
    )
    yield ""
    for model in dict.fromkeys(arm.model for arm in plan.arms):
        yield f"- Model: {model.parameters:,} parameters ({model.source})."
    lengths = plan.lengths[0]
    yield (
        f"- Lengths: prompts of {lengths.prompt:,.0f} tokens and responses of {lengths.response:,.0f}, the "
        "longest that the settings allow" + _means(plan)
    )
    yield (
        f"- Speed of a GPU: {device.flops / 1e12:,.0f} TFLOP/s at {device.utilization:.0%} for training, "
        f"scoring and reading prompts; {device.bandwidth / 1e9:,.0f} GB/s at "
        f"{device.decode_utilization:.0%} for sampling."
    )
    yield f"- Margin: {gib(CONTEXT)} of CUDA and NCCL, and {FRAGMENTATION:.0%} of the rest that is lost."
    yield f"- Questions: {', '.join(f'{name} {count}' for name, count in plan.questions.items())}."


def _means(plan: StudyPlan) -> str:
    if len(plan.lengths) == 1:
        return "; --response-tokens gives a mean."
    mean = plan.lengths[1]
    return f"; where it says mean, {mean.prompt:,.0f} and {mean.response:,.0f}."


def _memory(plan: StudyPlan) -> Iterator[str]:
    groups: dict[str, list[ArmPlan]] = {}
    for arm in plan.arms:
        if arm.trained:
            groups.setdefault(f"{arm.run.train} {arm.needs} {arm.model}", []).append(arm)
    for arms in groups.values():
        yield from _memory_of(plan, arms)


def _memory_of(plan: StudyPlan, arms: Sequence[ArmPlan]) -> Iterator[str]:
    arm = arms[0]
    train = arm.run.train
    batch = largest_micro_batch(train, arm.ranks)
    beside = [name for name in ("critic", "reference") if getattr(arm.needs, name)]
    yield ""
    yield f"## Memory: {', '.join(each.run.arm for each in arms)}"
    yield ""
    yield (
        f"GiB of each process, {train.engine.precision}, micro-batches of {batch.tokens:,} tokens, gradient "
        f"checkpointing {'on' if train.engine.gradient_checkpointing else 'off'}"
        f"{', with a ' + ' and a '.join(beside) if beside else ''}. Parts that are not there at the same "
        "time are not added."
    )
    yield ""
    sampler = ["vLLM"] if train.rollout.backend == "vllm" else []
    yield from _table(
        ["ZeRO", "offload", *PARTS, *sampler, "all", "CPU", ""], list(_memory_rows(plan, arm, bool(sampler)))
    )
    if sampler and plan.means.gpu_bytes is None:
        yield ""
        yield (
            "vLLM takes rollout.vllm.gpu_memory_share="
            f"{train.rollout.vllm.gpu_memory_share} of a GPU; without --gpu-memory the least is counted: its "
            "weights and one longest response."
        )


def _memory_rows(plan: StudyPlan, arm: ArmPlan, sampler: bool) -> Iterator[list[str]]:
    train, ranks = arm.run.train, arm.ranks
    for stage in range(4):
        for offload in (False, True):
            mark = "configured" if (stage, offload) == _configured(arm) else ""
            try:
                changed = with_engine(train, zero_stage=stage, offload=offload)
            except ValueError:
                yield [
                    str(stage),
                    _yes(offload),
                    *["-"] * (len(PARTS) + sampler + 2),
                    "refused by the engine",
                ]
                continue
            needs = bill(arm.model, changed, ranks, arm.needs, plan.means.gpu_bytes)
            engine = [needs.least_engine if needs.engine is None else needs.engine] if sampler else []
            numbers = [*(needs.parts[part] for part in PARTS), *engine, needs.total, needs.cpu]
            if plan.means.gpu_bytes is not None and needs.total > plan.means.gpu_bytes:
                mark = f"{mark}, does not fit".removeprefix(", ")
            yield [str(stage), _yes(offload), *(_short(number / GIB) for number in numbers), mark]


def _configured(arm: ArmPlan) -> tuple[int, bool]:
    return arm.run.train.engine.zero_stage, arm.run.train.engine.offload


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _work(plan: StudyPlan) -> Iterator[str]:
    for index, lengths in enumerate(plan.lengths):
        yield ""
        which = "mean" if index else "longest"
        yield f"## Work and time, {which} responses of {lengths.response:,.0f} tokens"
        yield ""
        rows = [_work_row(arm, index) for arm in plan.arms]
        seeds = len(plan.resolved.seeds)
        total = sum((arm.work[index].scaled(seeds) for arm in plan.arms), Work())
        gpu_hours = sum(arm.hours[index].total * arm.ranks * seeds for arm in plan.arms)
        rows.append(["all runs", *_numbers(total), "", "", "", "", "", _short(gpu_hours)])
        yield from _table(WORK, rows)


def _work_row(arm: ArmPlan, index: int) -> list[str]:
    hours = arm.hours[index]
    spent = (hours.train, hours.score, hours.sample, hours.evaluate, hours.total)
    return [arm.run.arm, *_numbers(arm.work[index]), *map(_short, spent), _short(hours.total * arm.ranks)]


def _numbers(work: Work) -> list[str]:
    tokens = (work.sampled, work.trained, work.evaluated)
    flops = (work.train, work.score, work.sample)
    return [*(_short(each / 1e6) for each in tokens), *(_short(each / 1e15) for each in flops)]


def _short(number: float) -> str:
    """Return a number with one decimal, or with two digits where it is small."""
    return f"{number:,.1f}" if number >= 1 or not number else f"{number:.2g}"


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' if count > 1 else ''}"


def _disk(plan: StudyPlan) -> Iterator[str]:
    total = sum(arm.checkpoints for arm in plan.arms) * len(plan.resolved.seeds)
    most = max(arm.checkpoints for arm in plan.arms)
    yield ""
    yield (
        f"Disk for checkpoints: {gib(most)} a run at most (those kept, and one that is being written), "
        f"{gib(total)} for all {len(plan.resolved.runs)} runs."
    )


def _verdict(plan: StudyPlan) -> Iterator[str]:
    if plan.means.gpu_bytes is None:
        return
    refused = [f"{arm.run.arm}: {arm.refusal}" for arm in plan.arms if arm.refusal is not None]
    yield ""
    if refused:
        yield f"Does not fit {_gpus(plan.arms[0].ranks)} of {gib(plan.means.gpu_bytes)}:"
        yield from (f"- {line}" for line in refused)
    else:
        yield f"Fits {_gpus(plan.arms[0].ranks)} of {gib(plan.means.gpu_bytes)}, by this estimate."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
