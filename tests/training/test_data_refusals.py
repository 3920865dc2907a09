"""Training files that are refused, naming file, row and column, before anything else happens."""

from pathlib import Path

import pytest

from tests.training.parquet import row, turn
from training.data import check_train_file

SAMPLE = Path(__file__).parents[3] / "shared/training/train_sample_10.parquet"


BAD_ROWS = {
    "null answer": (row(5, answer=None), r"row 1, column 'reward_model\.ground_truth' is null or empty"),
    "empty answer": (row(5, answer=" "), r"row 1, column 'reward_model\.ground_truth' is null or empty"),
    "empty prompt": (row(5, question=" "), r"row 1, column 'prompt' is empty"),
    "no user turn": ({**row(5), "prompt": [turn("system", "abc")]}, r"row 1, column 'prompt' is empty"),
    "null prompt": ({**row(5), "prompt": None}, r"row 1, column 'prompt' is empty"),
    "null reward_model": ({**row(5), "reward_model": None}, r"row 1, column 'reward_model"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_naming_file_row_and_column(write, name):
    bad, message = BAD_ROWS[name]
    source = write(row(4), bad)
    with pytest.raises(ValueError, match=message) as caught:
        check_train_file(source)
    assert str(caught.value).startswith(source)


def test_an_answer_that_is_not_a_number_is_refused(write):
    with pytest.raises(ValueError, match=r"row 0, column 'reward_model\.ground_truth'"):
        check_train_file(write(row(0, answer=float("nan"))))


@pytest.mark.parametrize("column", ["prompt", "target", "reward_model", "extra_info"])
def test_a_missing_column_is_named(write, column):
    source = write(row(0), columns=[name for name in row(0) if name != column])
    with pytest.raises(ValueError, match=rf"train\.parquet: column '{column}' is missing"):
        check_train_file(source)


def test_files_that_hold_nothing_are_refused_by_name(write, tmp_path):
    with pytest.raises(ValueError, match=r"train\.parquet: holds no rows"):
        check_train_file(write())
    with pytest.raises(FileNotFoundError, match=r"nowhere\.parquet does not exist"):
        check_train_file(str(tmp_path / "nowhere.parquet"))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"torn\.parquet"):
        check_train_file(str(tmp_path / "torn.parquet"))


def test_a_file_is_checked_to_its_last_row(write):
    assert check_train_file(write(*[row(index) for index in range(7)])) == 7


def test_the_sample_of_the_published_schema_is_read():
    if not SAMPLE.is_file():
        pytest.skip(f"{SAMPLE} is not here")
    assert check_train_file(str(SAMPLE)) == 10
