"""CUBE's users: tokens and basic authentication (section 2 of its contract)."""

import base64
import binascii
import hashlib
from collections.abc import Mapping

from tests.support.cube import contract
from tests.support.cube.request import Request, RequestRefused

USERS: Mapping[str, str] = {"chris": "chris1234", "somebody": "somebody1234", "reader": "reader1234"}
"""User names and passwords. CUBE lets only the user named `chris` register PACS files."""

PACS_USERS = frozenset({"reader"})
"""The members of CUBE v6's group `pacs_users`: they may read what is registered."""


class Accounts:
    """Knows who may ask."""

    def __init__(self) -> None:
        self._epoch = 0

    def invalidate_tokens(self) -> None:
        """Tokens given out so far are invalid."""
        self._epoch += 1

    def token(self, user: str) -> str:
        """The token of a user: always the same, until all are made invalid."""
        return hashlib.sha1(f"{user} {self._epoch}".encode()).hexdigest()

    def authenticate(self, request: Request, *, required: bool) -> str | None:
        """The user's name, None without credentials where none are required; else the request ends."""
        header = request.header("authorization")
        if not header:
            if required:
                raise RequestRefused(contract.NO_CREDENTIALS)
            return None
        scheme, _, credentials = header.partition(" ")
        match scheme.lower():
            case "token":
                user = next((name for name in USERS if self.token(name) == credentials.strip()), None)
                if user is None:
                    raise RequestRefused(contract.INVALID_TOKEN)
                return user
            case "basic":
                return _basic(credentials)
            case _:
                raise RequestRefused(contract.NO_CREDENTIALS)


def _basic(credentials: str) -> str:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, password = "", ""
    if USERS.get(name) != password:
        raise RequestRefused(contract.WRONG_PASSWORD)
    return name
