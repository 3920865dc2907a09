"""How long a run takes on GPUs of a stated speed."""

from __future__ import annotations

from dataclasses import dataclass

from studies.planning.architecture import Architecture
from studies.planning.memory import Bill, cache_bytes
from studies.planning.states import width
from studies.planning.work import Lengths, Work
from training.config import TrainConfig

HOUR = 3600.0


@dataclass(frozen=True)
class Device:
    """A GPU, as it is taken to be.

    Args:
        flops: Peak, in FLOP/s.
        bandwidth: Of its memory, in bytes a second.
        utilization: Share of the peak that is reached.
        decode_utilization: Share of the bandwidth that sampling reaches.
    """

    flops: float
    bandwidth: float
    utilization: float
    decode_utilization: float


@dataclass(frozen=True)
class Hours:
    """Hours of a run from beginning to end, on all its GPUs at once."""

    train: float = 0.0
    score: float = 0.0
    sample: float = 0.0
    evaluate: float = 0.0

    @property
    def total(self) -> float:
        """Hours of the run."""
        return self.train + self.score + self.sample + self.evaluate


@dataclass(frozen=True)
class Decoder:
    """What samples on one GPU.

    Args:
        model: The policy's sizes.
        train: Settings.
        device: The GPU.
        bill: Its memory; the cache of keys and values is what vLLM's share leaves beside the weights.
    """

    model: Architecture
    train: TrainConfig
    device: Device
    bill: Bill

    def at_once(self, rows: float, lengths: Lengths, batch: int) -> float:
        """Return how many responses are sampled at the same time, of so many."""
        most = min(rows, float(batch))
        if self.bill.engine is None or self.train.rollout.backend != "vllm":
            return most
        b = width(self.train.engine.precision)
        cache = self.bill.engine - b * self.model.parameters
        context = lengths.prompt + lengths.response / 2
        return max(1.0, min(most, cache / (cache_bytes(self.model, b) * context)))

    def hours(self, rows: float, lengths: Lengths, batch: int) -> float:
        """Return the hours of so many responses on this GPU.

        Each token of all responses that are sampled at once reads the weights once, and every response's
        keys and values; or it takes its FLOPs, if that is longer (the roofline of Pope et al., 2022,
        https://arxiv.org/abs/2211.05102, §2). No response is waited for: the true number is larger where
        lengths differ.
        """
        if not rows:
            return 0.0
        b, together = width(self.train.engine.precision), self.at_once(rows, lengths, batch)
        context = lengths.prompt + lengths.response / 2
        read: float = b * (self.model.body + self.model.head)
        read += together * cache_bytes(self.model, b) * context
        flops = together * 2 * (self.model.body + self.model.head)
        seconds = max(
            read / (self.device.bandwidth * self.device.decode_utilization),
            flops / (self.device.flops * self.device.utilization),
        )
        prompts = rows / self.train.rollout.samples * 2 * self.model.body * lengths.prompt
        prefill = prompts / (self.device.flops * self.device.utilization)
        return (seconds * rows * lengths.response / together + prefill) / HOUR


def run_hours(decoder: Decoder, work: Work, ranks: int, lengths: Lengths, answers: int, batch: int) -> Hours:
    """Return the hours of a run.

    Args:
        decoder: What samples on each GPU.
        work: Of the run.
        ranks: GPUs.
        lengths: Of prompts and responses.
        answers: Of the evaluation.
        batch: Most answers that evaluation samples at once.
    """
    device, train = decoder.device, decoder.train
    speed = device.flops * device.utilization * ranks * HOUR
    rows, together = work.sampled / lengths.response, train.questions_per_step * train.rollout.samples
    return Hours(
        train=work.train / speed,
        score=work.score / speed,
        sample=rows / together * decoder.hours(together / ranks, lengths, train.rollout.batch_size),
        evaluate=decoder.hours(answers / ranks, lengths, batch),
    )
