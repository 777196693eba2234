"""Records of an ended life behind its mark: one is passed over only if its file is really missing."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.journal_owner import Owner, paths, received
from tests.support.journal_records import FakePublisher, instance_path
from tests.support.relay_rig import Clock, RelayRig

CACHE = 60.0


@pytest.fixture
def network(tmp_path: Path, clock: Clock) -> Any:
    rig = RelayRig(tmp_path, FakePublisher(), clock, directory_cache=CACHE)
    yield rig
    rig.end()


def hidden(owner: Owner, number: int) -> Path:
    """Take the file of an instance away, and the mark too."""
    owner.lose_mark()
    file = owner.root / instance_path(number)
    return file.rename(owner.root / f"hidden-{number}")


@pytest.mark.parametrize("size", [0, 9, 11, 100_000])
def test_a_file_of_another_size_was_kept_or_replaced_and_is_registered(
    make_owner: Any, rig: RelayRig, tmp_path: Path, size: int
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    owner.lose_mark()
    (tmp_path / instance_path(1)).write_bytes(b"x" * size)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]


def test_on_a_local_file_system_one_look_is_enough(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, 2, first=True)
    hidden(owner, 1)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(2), received(1, "broken off")]


def test_on_a_network_file_system_a_file_may_come_to_sight_later(
    make_owner: Any, network: RelayRig, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(1, 2, 3, first=True)
    away = hidden(owner, 2)
    network.journals.owner_ended(owner.name)
    network.work()
    assert network.publisher.subjects == paths(1)
    away.rename(owner.root / instance_path(2))
    clock.now += CACHE - 1
    network.work()
    assert network.publisher.subjects == paths(1), "it was looked for too early"
    clock.now += 3
    network.work()
    assert network.publisher.subjects == [*paths(1, 2, 3), received(3, "broken off")]
    assert network.counts.never_answered == 0


def test_what_is_missing_at_two_looks_further_apart_than_the_cache_is_passed_over(
    make_owner: Any, network: RelayRig, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(*range(6), first=True)
    for number in (1, 2, 4):
        hidden(owner, number)
    network.journals.owner_ended(owner.name)
    network.work()
    clock.now += CACHE + 2
    network.work()
    assert network.publisher.subjects == [*paths(0, 3, 5), received(3, "broken off")]
    assert network.counts.never_answered == 3


def test_other_journals_go_on_meanwhile(make_owner: Any, network: RelayRig, clock: Clock) -> None:
    owner, other = make_owner(), make_owner()
    owner.store(1, first=True)
    hidden(owner, 1)
    network.journals.owner_ended(owner.name)
    network.work()
    other.store(2, first=True)
    network.work()
    assert network.publisher.subjects == paths(2)
    clock.now += CACHE + 2
    network.work()
    assert network.counts.never_answered == 1


def test_an_owner_that_lives_after_all_ends_the_wait(
    make_owner: Any, network: RelayRig, clock: Clock
) -> None:
    owner = make_owner(parent="supervisor-2")
    owner.store(1, 2, first=True)
    mark = (owner.folder / "committed").read_bytes()
    away = hidden(owner, 1)
    network.work()
    clock.now += 121
    network.work()
    assert network.publisher.subjects == []
    away.rename(owner.root / instance_path(1))
    (owner.folder / "committed").write_bytes(mark)
    owner.beat()
    network.work()
    assert network.publisher.subjects == paths(1, 2)
