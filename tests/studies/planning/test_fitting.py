"""The smallest change with which a run fits, and how long runs take."""

import pytest

from studies.configuring.parts import build_algorithm
from studies.planning.architecture import Architecture
from studies.planning.fitting import Room, _tries, smallest_change
from studies.planning.hours import Decoder, Device
from studies.planning.memory import GIB, Needs, bill, with_engine
from studies.planning.work import Lengths, policy_passes
from studies.record import AlgorithmRecord
from studies.scales.paper import QWEN_MATH_7B

MODEL = Architecture(
    parameters=7_615_616_512,
    body=6_525_288_448,
    head=544_997_376,
    largest=544_997_376,
    layers=28,
    hidden=3584,
    attention=3584,
    heads=28,
    cache=512,
    intermediate=18_944,
    vocabulary=152_064,
    source="a test",
)
TRAIN = QWEN_MATH_7B.train
A100 = Device(312e12, 2039e9, 0.4, 0.5)


def change(train, gpus, memory):
    return smallest_change(Room(MODEL, Needs(), memory * GIB), train, gpus)


@pytest.mark.parametrize(
    ("settings", "gpus", "memory", "found"),
    [
        ({"zero_stage": 1}, 8, 80, "--set train.engine.zero_stage=3"),
        ({"zero_stage": 3}, 8, 70, "--set train.engine.offload=True"),
        ({"zero_stage": 3, "offload": True}, 8, 50, "--set train.engine.micro_batch_tokens=16384"),
        (
            {"zero_stage": 3, "offload": True, "gradient_checkpointing": False, "micro_batch_tokens": 9216},
            8,
            60,
            "--set train.engine.gradient_checkpointing=True",
        ),
        ({"zero_stage": 3, "offload": True, "micro_batch_tokens": 9216}, 8, 20, None),
    ],
)
def test_the_smallest_change_is_the_first_in_order_of_preference(settings, gpus, memory, found):
    assert change(with_engine(TRAIN, **settings), gpus, memory) == found


def test_single_changes_are_tried_before_more_gpus_and_few_gpus_before_many():
    train = with_engine(TRAIN, zero_stage=3, micro_batch_tokens=9216)
    order = [(dict(changes), gpus) for changes, gpus in _tries(train, 4) if len(changes) + (gpus != 4) == 1]
    assert order == [({"offload": True}, 4), *(({}, 4 * 2**power) for power in range(1, 9))]


def test_memory_falls_with_every_stage_and_with_every_gpu():
    def total(stage, ranks):
        return bill(MODEL, with_engine(TRAIN, zero_stage=stage), ranks, Needs()).total

    assert total(1, 8) > total(2, 8) > total(3, 8) > total(3, 64)


def record(name):
    return build_algorithm(AlgorithmRecord(name, {}))


@pytest.mark.parametrize(
    ("name", "updates", "passes"), [("sft", 2, 0.0), ("grpo", 1, 0.0), ("grpo", 2, 0.5), ("grpo", 4, 0.75)]
)
def test_rows_are_scored_as_often_as_training_does(name, updates, passes):
    assert policy_passes(record(name), updates) == passes


def test_sampling_is_bound_by_reading_weights_until_there_are_many_responses():
    needs = bill(MODEL, TRAIN, 8, Needs(), 80 * GIB)
    decoder = Decoder(MODEL, TRAIN, A100, needs)
    lengths = Lengths(100, 1000)
    one, many = decoder.hours(1, lengths, 128), decoder.hours(64, lengths, 128)
    weights = 2 * (MODEL.body + MODEL.head) / (2039e9 * 0.5) * 1000 / 3600
    assert one == pytest.approx(weights, rel=0.05)
    assert many < 2 * one
    # The cache holds so many keys and values, and no more.
    cache = needs.engine - 2 * MODEL.parameters
    assert decoder.at_once(1000, lengths, 1000) == pytest.approx(cache / (2 * 28 * 512 * 2 * 600))
    assert decoder.at_once(8, lengths, 1000) == 8
