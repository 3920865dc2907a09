"""Reads mirrors back as trackers do."""

import json
import struct

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

BLOCK = 32768


def scalars(folder, run, tag):
    """Return (step, value) of every point of a curve in a run's event files."""
    events = EventAccumulator(
        str(folder / "mirrors/tensorboard" / run), size_guidance={"scalars": 0}
    ).Reload()
    if tag not in events.Tags()["scalars"]:
        return []
    return [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]


def tags(folder, run):
    return EventAccumulator(str(folder / "mirrors/tensorboard" / run)).Reload().Tags()["scalars"]


def history(path):
    """Return the logged rows of an offline run of Weights & Biases: a log of records in blocks of 32 KiB."""
    rows = []
    for record in _parsed(path):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            rows.append({name: value for name, value in row.items() if not name.startswith("_")})
    return rows


def is_whole(path):
    """Return whether an offline run's file has its last record."""
    return any(record.WhichOneof("record_type") == "exit" for record in _parsed(path))


def _parsed(path):
    from wandb.proto.wandb_internal_pb2 import Record

    for data in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        yield record


def _records(data):
    at, part = 7, b""  # after the file's own header
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield part
            part = b""
