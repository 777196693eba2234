"""A series that comes over several associations, receivers and crashes, in any order.

It is registered once and whole, or a dead letter says what is missing.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapidicom.registrar.series import gateway
from tests.support.cube.faults import Failure
from tests.support.seeds import is_large
from tests.support.series_world import SETTLE, SeriesWorld

HISTORIES = 10_000 if is_large() else 40

SAID = {"late-instances", "half-registered", "files-missing", "count-differs", "http_500"}
"""Reasons that say what is wrong with a series."""


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "LONGEST_JITTER", 0.0)


@dataclass(frozen=True)
class Association:
    """One association of a history.

    Attributes:
        begins: seconds after the start.
        files: numbers, one each `every` seconds.
        every: seconds between two.
        lag: of its messages in the work queue, seconds.
        takeover: its receiver is killed, and another one ends it so many seconds later; 0: it ends in order.
        early: its message leaves before its marker is removed, so many seconds.
        counts: the receiver says how many files it counted.
        quiet: its InstanceStored are lost to us: another registrar, of before an upgrade, acknowledged them.
    """

    begins: float
    files: tuple[int, ...]
    every: float
    lag: float
    takeover: float
    early: float
    counts: bool
    quiet: bool

    @property
    def ends(self) -> float:
        """When its marker is removed."""
        return self.begins + len(self.files) * self.every + self.takeover

    def play(self, world: SeriesWorld, name: str) -> None:
        """Let it happen."""

        def send(file: int) -> None:
            message = world.store(file)
            if not self.quiet:
                world.publish(message, self.lag)

        def end() -> None:
            world.publish(world.received(files=self.counts), self.lag)

        world.at(self.begins, partial(world.open, name))
        for number, file in enumerate(self.files):
            world.at(self.begins + number * self.every, partial(send, file))
        world.at(self.ends - self.early * self.every, end)
        world.at(self.ends, partial(world.close, name))


ASSOCIATIONS = st.builds(
    Association,
    begins=st.just(0.0),
    files=st.lists(st.integers(1, 12), min_size=1, max_size=6).map(tuple),
    every=st.sampled_from([0.01, 0.5, 4.0]),
    lag=st.sampled_from([0.0, 0.02, 3.0, 40.0, 700.0]),
    takeover=st.sampled_from([0.0, 0.0, 0.0, 130.0]),
    early=st.sampled_from([0.0, 0.5]),
    counts=st.booleans(),
    quiet=st.booleans(),
)
GAPS = st.sampled_from([-30.0, -5.0, -1.0, 0.0, 1.0, 5.0, 8.0, SETTLE - 0.5])
LONG_GAPS = st.one_of(GAPS, st.sampled_from([SETTLE + 1, SETTLE + 6, 60.0, 700.0]))
FAULTS = st.sampled_from(["", "500", "500 stored", "cut", "break off", "down", "volume gone"])


@st.composite
def histories(draw: Callable[..., object], gaps: st.SearchStrategy[float]) -> list[Association]:
    """Associations, each begun so long after the latest end before it; a negative gap overlaps."""
    found: list[Association] = []
    latest = 0.0
    for drawn in draw(st.lists(st.tuples(ASSOCIATIONS, gaps), min_size=1, max_size=5)):  # type: ignore[attr-defined]
        association, gap = drawn
        begins = max(0.0, latest + gap) if found else 0.0
        one = Association(**{**_values(association), "begins": begins})
        found.append(one)
        latest = max(latest, one.ends)
    return found


def _values(association: Association) -> dict[str, object]:
    return {name: getattr(association, name) for name in Association.__dataclass_fields__}


def _throw(world: SeriesWorld, fault: str) -> None:
    faults = world.cube.faults
    match fault:
        case "500":
            faults.failures.append(Failure(count=1, path_contains="ndicom"))
        case "500 stored":
            faults.failures.append(Failure(count=1, path_contains="ndicom", stored=True))
        case "cut":
            faults.failures.append(Failure(count=1, path_contains="ndicom", stored=True, cut=True))
        case "break off":
            faults.breaking_off = True
        case "down":
            faults.database_down = True
        case "volume gone":
            faults.volume_gone = True


def _heal(world: SeriesWorld) -> None:
    world.cube.faults.database_down = world.cube.faults.volume_gone = False


def play(
    history: list[Association], kills: frozenset[int], registrars: int, fault: str, when: float
) -> SeriesWorld:
    """Play a history; the fault begins at a time and ends 100 s later."""
    root = Path(
        tempfile.mkdtemp(prefix="lapidicom-series-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    )
    try:
        world = SeriesWorld(root, kills, registrars)
        for number, association in enumerate(history):
            association.play(world, f"a{number}")
        world.at(when, partial(_throw, world, fault))
        world.at(when + 100, partial(_heal, world))
        world.run()
        world.files_at_end = world.on_disk()
        return world
    finally:
        shutil.rmtree(root)


def never_wrong_and_never_nothing(world: SeriesWorld) -> None:
    """What holds for each history."""
    registered, on_disk = world.registered(), world.files_at_end
    assert world.database_created <= 1
    assert set(world.reasons) <= SAID
    assert registered is None or registered <= on_disk
    if registered != on_disk:
        assert world.dead


@settings(max_examples=HISTORIES, suppress_health_check=list(HealthCheck))
@given(
    histories(GAPS),
    st.frozensets(st.integers(1, 60), max_size=6),
    st.integers(1, 3),
    st.sampled_from(["", "500", "500 stored", "cut", "down", "volume gone"]),
    st.sampled_from([0.0, 5.0, 20.0, 150.0]),
)
def test_with_gaps_shorter_than_the_settle_time_a_series_is_registered_once_and_whole(
    history: list[Association], kills: frozenset[int], registrars: int, fault: str, when: float
) -> None:
    world = play(history, kills, registrars, fault, when)
    never_wrong_and_never_nothing(world)
    assert (world.registered(), world.database_created, world.dead) == (world.files_at_end, 1, [])


@settings(max_examples=HISTORIES, suppress_health_check=list(HealthCheck))
@given(
    histories(LONG_GAPS),
    st.frozensets(st.integers(1, 60), max_size=6),
    st.integers(1, 3),
    FAULTS,
    st.sampled_from([0.0, 5.0, 20.0, 150.0]),
)
def test_with_longer_ones_what_came_late_is_a_dead_letter(
    history: list[Association], kills: frozenset[int], registrars: int, fault: str, when: float
) -> None:
    world = play(history, kills, registrars, fault, when)
    never_wrong_and_never_nothing(world)
