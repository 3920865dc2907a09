"""The address of a database, whose password goes nowhere but to the database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from studies.catalog import UsageError

MASK = "***"
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_FORM = "give postgresql://user:password@host/database, mysql://…, or env:NAME of a variable that holds it"


@dataclass(frozen=True, repr=False)
class Address:
    """A database's address, which keeps its password to itself.

    Args:
        url: With the password.
        said: As the command line named it, without a password.
    """

    url: str
    said: str

    def __repr__(self) -> str:
        return self.said

    def masked(self, text: str) -> str:
        """Return a text without the address's password, however it is written."""
        password = urlsplit(self.url).password
        secrets = {password, unquote(password), quote(unquote(password), safe="")} if password else set()
        for secret in sorted(secrets - {""}, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def read_address(text: str) -> Address:
    """Return the address of `--storage`, read from the environment where it says `env:NAME`.

    Raises:
        UsageError: It is none; the message has no password in it.
    """
    kind, _, name = text.partition(":")
    # Taken out of the environment, so that what this process starts does not have it.
    url = os.environ.pop(name, "") if kind == "env" else text
    if not url:
        raise UsageError(f"--storage {text}: the environment has no {name}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        raise UsageError(f"--storage: no address; {_FORM}") from None
    scheme = parts.scheme.partition("+")[0]
    if scheme not in _DRIVERS or not parts.path.strip("/"):
        known = scheme if scheme in _DRIVERS else f"{scheme or 'this'} is neither postgresql nor mysql"
        raise UsageError(f"--storage: {known}: {_FORM}; without it a journal file is used")
    user = f"{parts.username}:{MASK}@" if parts.username else ""
    said = text if kind == "env" else f"{scheme}://{user}{host}{port}{parts.path}"
    plain = parts.scheme == scheme
    return Address(url.replace(f"{scheme}://", f"{_DRIVERS[scheme]}://", 1) if plain else url, said)
