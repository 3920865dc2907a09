import os

import pytest

from studies.catalog import UsageError
from studies.sweeping.address import read_address

ADDRESS = "postgresql://ann:s3cret%21@db.example:5433/sweeps"


def test_an_address_is_told_without_its_password():
    address = read_address(ADDRESS)
    assert str(address) == address.said == "postgresql://ann:***@db.example:5433/sweeps"
    assert repr([address]) == "[postgresql://ann:***@db.example:5433/sweeps]"
    assert address.url.startswith("postgresql+psycopg://ann:")
    assert read_address("mysql://ann@h/d").url.startswith("mysql+pymysql://")


@pytest.mark.parametrize(
    "text", ["failed for s3cret!", "at postgresql+psycopg://ann:s3cret%21@h", "(s3cret%21)"]
)
def test_a_text_is_cleared_of_the_password_however_it_is_written(text):
    masked = read_address(ADDRESS).masked(text)
    assert "s3cret" not in masked
    assert "***" in masked


def test_an_address_from_the_environment_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("TOY_ADDRESS", ADDRESS)
    address = read_address("env:TOY_ADDRESS")
    assert address.said == "env:TOY_ADDRESS"
    assert "ann:s3cret" in address.url
    assert "TOY_ADDRESS" not in os.environ
    with pytest.raises(UsageError, match="the environment has no TOY_ADDRESS"):
        read_address("env:TOY_ADDRESS")


@pytest.mark.parametrize(
    "text",
    ["sqlite:///s3cret.db", "ann:s3cret@host", "postgresql://ann:s3cret@h", "postgresql://a:s3cret@h:x/d"],
)
def test_what_is_no_address_is_refused_without_being_repeated(text):
    with pytest.raises(UsageError) as refusal:
        read_address(text)
    assert "s3cret" not in str(refusal.value)
    assert "postgresql://user:password@host/database" in str(refusal.value)
