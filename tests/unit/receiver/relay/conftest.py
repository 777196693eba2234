"""Owners of journals, and a relay that is driven step by step."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.journal_owner import Owner
from tests.support.journal_records import FakePublisher
from tests.support.relay_rig import Clock, RelayRig


@pytest.fixture
def owners() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def make_owner(tmp_path: Path, owners: contextlib.ExitStack):  # type: ignore[no-untyped-def]
    def make(**options):  # type: ignore[no-untyped-def]
        owner = Owner(tmp_path, **options)
        owners.callback(owner.journal.close)
        return owner

    return make


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rig(tmp_path: Path, clock: Clock) -> Iterator[RelayRig]:
    relay = RelayRig(tmp_path, FakePublisher(), clock)
    yield relay
    relay.end()
