"""CHRIS_LISTENER_PROCESSES=auto: a listener for each core that the receiver may use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.receiver import Receiver

CORES = sorted(os.sched_getaffinity(0))


@contextmanager
def only_on(cores: set[int]) -> Iterator[None]:
    """What is started here may use these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("count", [1, 2])
def test_auto_starts_a_listener_for_each_core_of_its_affinity(tmp_path: Path, count: int) -> None:
    if len(CORES) < count:
        pytest.skip(f"this machine has {len(CORES)} core")
    with only_on(set(CORES[:count])), Receiver(tmp_path, CHRIS_LISTENER_PROCESSES="auto") as receiver:
        assert receiver.wait_for("listeners_counted")["listeners"] == count
        receiver.wait_for("child_started", role="listener", count=count)
        receiver.wait_for("child_started", role="relay")
        assert len(receiver.children("listener")) == count
