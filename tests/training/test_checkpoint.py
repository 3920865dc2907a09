"""Checkpoints are whole or not there."""

import json
import logging

import pytest

from training.checkpoint import newest_checkpoint, save_checkpoint


def write(path):
    (path / "engine").mkdir()
    (path / "engine" / "weights.pt").write_bytes(b"weights")
    (path / "state.json").write_text("{}")


@pytest.fixture
def folder(tmp_path):
    """A folder with the checkpoints of steps 2 and 4."""
    for step in (2, 4):
        save_checkpoint(tmp_path / "checkpoints", step, write, keep=2)
    return tmp_path / "checkpoints"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_checkpoint_is_found(folder):
    assert newest_checkpoint(folder) == (4, folder / "step-000004")
    assert (folder / "step-000004" / "engine" / "weights.pt").read_bytes() == b"weights"


def test_a_run_without_checkpoints_has_none(tmp_path):
    assert newest_checkpoint(tmp_path / "nowhere") is None
    assert newest_checkpoint(tmp_path) is None


def test_only_the_newest_stay(folder):
    save_checkpoint(folder, 6, write, keep=2)
    assert names(folder) == ["step-000004", "step-000006"]
    save_checkpoint(folder, 8, write, keep=1)
    assert names(folder) == ["step-000008"]


def test_a_writer_that_fails_leaves_no_complete_checkpoint(folder):
    def fail(path):
        write(path)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(folder, 6, fail, keep=2)
    assert newest_checkpoint(folder) == (4, folder / "step-000004")
    save_checkpoint(folder, 6, write, keep=2)
    assert names(folder) == ["step-000004", "step-000006"]


def test_what_an_unfinished_writer_left_is_not_part_of_the_next_checkpoint(folder):
    stale = folder / "step-000006.partial"
    stale.mkdir()
    (stale / "stale.pt").write_text("old")
    assert newest_checkpoint(folder)[0] == 4
    save_checkpoint(folder, 6, write, keep=3)
    assert not (folder / "step-000006" / "stale.pt").exists()


def remove_file(path):
    (path / "engine" / "weights.pt").unlink()


def change_byte(path):
    (path / "engine" / "weights.pt").write_bytes(b"weightz")


def truncate_file(path):
    (path / "engine" / "weights.pt").write_bytes(b"weigh")


def truncate_manifest(path):
    text = (path / "checksums.json").read_text()
    (path / "checksums.json").write_text(text[: len(text) // 2])


def empty_manifest(path):
    (path / "checksums.json").write_text("")


def remove_manifest(path):
    (path / "checksums.json").unlink()


DAMAGES = {
    remove_file: "weights.pt is missing",
    change_byte: "weights.pt does not match",
    truncate_file: "weights.pt does not match",
    truncate_manifest: "checksums.json",
    empty_manifest: "checksums.json",
    remove_manifest: "checksums.json",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(folder, caplog, damage):
    damage(folder / "step-000004")
    with caplog.at_level(logging.WARNING):
        assert newest_checkpoint(folder) == (2, folder / "step-000002")
    assert str(folder / "step-000004") in caplog.text
    assert DAMAGES[damage] in caplog.text


def test_where_all_are_damaged_there_is_none(folder):
    for step in (2, 4):
        change_byte(folder / f"step-{step:06d}")
    assert newest_checkpoint(folder) is None


def test_a_damaged_later_checkpoint_never_pushes_out_a_new_one(folder):
    change_byte(folder / "step-000002")
    change_byte(folder / "step-000004")
    save_checkpoint(folder, 1, write, keep=1)
    assert newest_checkpoint(folder) == (1, folder / "step-000001")
    assert names(folder) == ["step-000001"]


def test_a_damaged_checkpoint_is_replaced_by_a_new_one_of_its_step(folder):
    change_byte(folder / "step-000004")
    save_checkpoint(folder, 4, write, keep=2)
    assert newest_checkpoint(folder) == (4, folder / "step-000004")


def test_every_file_is_listed_with_its_checksum(folder):
    manifest = json.loads((folder / "step-000004" / "checksums.json").read_text())
    assert sorted(manifest) == ["engine/weights.pt", "state.json"]
