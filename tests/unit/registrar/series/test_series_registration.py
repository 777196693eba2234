"""From the messages of receivers to a registered series, in a played time."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from lapidicom.common.headers import HEADER_EXPECTED
from lapidicom.common.lonk import DONE, failure_of, subject_of
from lapidicom.registrar.series import gateway
from tests.support.cube.faults import Failure
from tests.support.series_world import START, UID, SeriesWorld


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "LONGEST_JITTER", 0.0)


def association(
    world: SeriesWorld,
    name: str,
    begins: float,
    *files: int,
    ends: float,
    messages: bool = True,
    expected: int | None = None,
) -> None:
    """An association that brings these files, one each 0.1 s, and ends; the PACS has so many."""
    world.at(begins, lambda: world.open(name))

    def send(file: int) -> None:
        message = world.store(file)
        if messages:
            world.publish(message)

    for number, file in enumerate(files):
        world.at(begins + number / 10, partial(send, file))

    def end() -> None:
        world.close(name)
        world.publish(world.received(), headers={} if expected is None else {HEADER_EXPECTED: expected})

    world.at(ends, end)


def told(world: SeriesWorld) -> bytes | None:
    """What those who watch the series come were told last."""
    world.outbox.close()
    return dict(asyncio.run(world.outbox.take())).get(subject_of("CT", UID))


def test_a_series_is_registered_ten_seconds_after_its_association_with_one_request(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, 3, ends=2)
    world.run()
    assert (world.registered(), world.created, world.posts, world.dead) == (3, 1, 1, [])
    assert world.kept[-1][0] - START <= 22
    assert told(world) == DONE


def test_a_series_that_is_all_that_the_pacs_has_is_registered_at_once(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, 3, ends=2, expected=3)
    when: list[int | None] = []
    world.at(2.01, lambda: when.append(world.registered()))
    world.run()
    assert (when, world.created, world.posts, world.dead) == ([3], 1, 1, [])


def test_the_rest_of_what_the_pacs_has_is_waited_for(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1, expected=3)
    association(world, "b", 300, 3, ends=301, expected=3)
    world.run()
    assert (world.registered(), world.created, world.dead) == (3, 1, [])


def test_what_never_comes_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1, expected=3)
    before: list[int | None] = []
    world.at(600, lambda: before.append(world.registered()))
    world.run()
    assert (before, world.registered(), world.dead) == ([None], 2, [])


def test_many_associations_end_in_one_request(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    for number in range(4):
        association(world, f"a{number}", number, *range(number * 5, number * 5 + 5), ends=4 + number * 3)
    world.run()
    assert (world.registered(), world.created, world.posts, world.dead) == (20, 1, 1, [])


def test_instances_alone_lead_to_a_registration(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)

    def send(number: int) -> None:
        world.publish(world.store(number))

    for number in range(3):
        world.at(number, partial(send, number))
    world.run()
    assert (world.registered(), world.created, world.dead) == (3, 1, [])


def test_a_resend_that_adds_no_file_begins_the_settle_time_anew(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    association(world, "b", 7, 1, 2, ends=8, messages=False)
    association(world, "c", 16, 3, ends=17)
    world.run()
    assert (world.registered(), world.created, world.dead) == (3, 1, [])


def test_what_comes_after_the_registration_is_a_dead_letter_that_says_so(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    association(world, "b", 60, 3, ends=61)
    world.run()
    assert (world.registered(), world.created) == (2, 1)
    assert set(world.reasons) == {"late-instances"}
    assert {letter.type for letter in world.dead} == {"SeriesSettling"}
    assert told(world) == failure_of("late-instances")


def test_a_resend_of_a_registered_series_is_a_success(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    association(world, "b", 600, 1, 2, ends=601)
    world.run()
    assert told(world) == DONE
    assert (world.registered(), world.created, world.dead) == (2, 1, [])


def test_files_that_have_gone_are_a_dead_letter_and_nothing_is_registered(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    world.at(2, lambda: world.remove(1))
    world.run()
    assert (world.registered(), world.posts) == (None, 0)
    assert set(world.reasons) == {"files-missing"}


def test_an_instance_that_has_waited_is_no_success_without_its_file(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)

    def store_and_lose() -> None:
        world.publish(world.store(1))
        world.publish(world.store(2), lag=3600)

    world.at(0, store_and_lose)
    world.at(1, lambda: world.remove(2))
    world.run()
    assert world.registered() == 1
    assert world.reasons == ["file-missing"]


def test_cube_counts_once_more_where_it_sees_another_folder(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)

    def gone(is_gone: bool) -> None:
        world.cube.faults.volume_gone = is_gone

    world.at(5, lambda: gone(True))
    world.at(100, lambda: gone(False))
    world.run()
    assert (world.registered(), world.created, world.dead) == (2, 1, [])


def test_an_outage_spends_no_attempt_however_long(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)

    def down(is_down: bool) -> None:
        world.cube.faults.database_down = is_down

    world.at(5, lambda: down(True))
    world.at(10_000, lambda: down(False))
    world.run()
    assert (world.registered(), world.created, world.dead) == (2, 1, [])


@pytest.mark.parametrize("stored", [False, True])
def test_a_failed_registration_is_tried_again(tmp_path: Path, stored: bool) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    world.cube.faults.failures.append(Failure(count=1, path_contains="ndicom", stored=stored))
    world.run()
    assert (world.registered(), world.dead) == (2, [])


def test_a_half_registered_series_is_a_dead_letter(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)
    world.cube.faults.breaking_off = True
    world.run()
    assert world.registered() is None
    assert set(world.reasons) == {"half-registered"}
    assert told(world) == failure_of("half-registered")


def test_a_pending_deletion_is_waited_for(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    association(world, "a", 0, 1, 2, ends=1)

    def delete(worker_stopped: bool) -> None:
        world.cube.faults.worker_stopped = worker_stopped
        for series in world.cube.registrations.series:  # type: ignore[union-attr]
            world.cube.registrations.mark_pending(series)  # type: ignore[union-attr]

    world.at(60, lambda: delete(True))
    association(world, "b", 100, 1, 2, ends=101)
    world.at(10_000, lambda: delete(False))
    association(world, "c", 10_100, 1, 2, ends=10_101)
    world.run()
    assert (world.registered(), world.created, world.dead) == (2, 2, [])
