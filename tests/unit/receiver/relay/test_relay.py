"""The relay: in order, from the first unconfirmed record, only up to the mark while the owner lives."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.broker import BrokerError, ConnectionLost, Refused, UnknownOutcome, Unroutable
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.format import frame
from tests.support.journal_owner import paths, received
from tests.support.journal_records import (
    FakePublisher,
    instance,
    instance_path,
    key,
    series_folder,
)
from tests.support.relay_rig import Clock, RelayRig


def test_records_become_messages_in_their_order(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, 2, 3, first=True)
    owner.journal.append_quietly([b'instance_refused\t{"reason":"x"}'])
    owner.end_series(3)
    rig.work()
    assert rig.publisher.subjects == [*paths(1, 2, 3), received(3)]
    first = rig.publisher.stored[0]
    assert (first.exchange, first.routing_key, first.type, first.version) == (
        "lapidicom",
        "instance.stored",
        "InstanceStored",
        1,
    )
    assert first.lapidicom_id == f"{owner.life}.3"
    assert json.loads(first.body)["SOPInstanceUID"] == "1.2.3.1.1"
    rig.work()
    assert len(rig.publisher.stored) == 4


def test_the_trace_context_of_a_record_becomes_headers(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.append(instance(1) + records.trace({"traceparent": "00-1-2-01"}))
    rig.work()
    assert rig.publisher.stored[0].headers == {"traceparent": "00-1-2-01"}


def test_at_most_64_messages_are_in_flight_and_memory_stays_flat(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(*range(300), first=True)
    rig.work()
    assert rig.publisher.most_in_flight == 64
    assert rig.publisher.subjects == paths(*range(300))


def test_nothing_behind_the_mark_of_a_living_owner_is_published(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    mark = (owner.folder / "committed").read_bytes()
    owner.store(2)
    (owner.folder / "committed").write_bytes(mark)
    rig.work()
    assert rig.publisher.subjects == paths(1)


def test_a_torn_look_at_the_mark_changes_nothing(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    rig.work()
    owner.lose_mark()
    rig.work()
    owner.store(2)
    rig.work()
    assert rig.publisher.subjects == paths(1, 2)


@pytest.mark.parametrize("error", [Unroutable, Refused, UnknownOutcome, ConnectionLost])
@pytest.mark.parametrize("failing", [0, 5, 9])
def test_after_a_failure_all_from_the_first_unconfirmed_record_on_are_sent_again(
    make_owner: Any, rig: RelayRig, error: type[BrokerError], failing: int
) -> None:
    owner = make_owner()
    owner.store(*range(10), first=True)
    rig.publisher.fault = lambda number: error("no") if number == failing else None
    with pytest.raises(error):
        rig.try_once()
    assert rig.publisher.subjects == paths(*(number for number in range(10) if number != failing))
    rig.publisher.fault = lambda _: None
    rig.publisher.stored.clear()
    rig.work()
    assert rig.publisher.subjects == paths(*range(failing, 10))


def test_no_journal_waits_for_one_whose_messages_are_refused(make_owner: Any, rig: RelayRig) -> None:
    refused, other = make_owner(), make_owner()
    refused.store(1, first=True)
    other.store(*range(100, 400), first=True)

    async def publish(envelope) -> None:  # type: ignore[no-untyped-def]
        if envelope.lapidicom_id.startswith(refused.life):
            raise Refused("full")
        rig.publisher.stored.append(envelope)

    rig.publisher.publish = publish
    rig.journals.look()
    for _ in range(20):
        with contextlib.suppress(Refused):
            rig.try_once()
    assert rig.publisher.subjects == paths(*range(100, 400))


def test_each_journal_gets_its_turn(make_owner: Any, rig: RelayRig) -> None:
    many, few = make_owner(), make_owner()
    many.store(*range(1000), first=True)
    few.store(2000, first=True)
    rig.work()
    assert rig.publisher.subjects.index(instance_path(2000)) <= 128


def test_segments_are_relayed_one_after_the_other_and_renamed(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner(limit=3000)
    owner.store(*range(20), first=True)
    rig.work()
    assert rig.publisher.subjects == paths(*range(20))
    logs = sorted(file.name for file in owner.folder.glob("0*"))
    assert [name.endswith(".done") for name in logs] == [True] * (len(logs) - 1) + [False]
    assert len(logs) > 4


def test_a_relay_that_starts_again_goes_on_at_the_cursor(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(1, 2, first=True)
    rig.work()
    rig.end()
    owner.store(3)
    again = RelayRig(tmp_path, FakePublisher(), clock)
    again.work()
    assert again.publisher.subjects == paths(3)
    again.end()


@pytest.mark.parametrize("cursor", [None, b"", b"00000001 000000000999 00000000\n"])
def test_a_lost_cursor_costs_one_segment(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock, cursor: bytes | None
) -> None:
    owner = make_owner(limit=3000)
    owner.store(*range(20), first=True)
    rig.work()
    rig.end()
    if cursor is None:
        (owner.folder / "cursor").unlink()
    else:
        (owner.folder / "cursor").write_bytes(cursor)
    again = RelayRig(tmp_path, FakePublisher(), clock)
    again.work()
    assert 1 <= len(again.publisher.stored) < 7
    assert again.publisher.subjects == paths(*range(20 - len(again.publisher.stored), 20))
    again.end()


def test_a_failed_batch_in_an_earlier_segment_ends_that_segment_only(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    with (owner.folder / "00000001.log").open("ab") as segment:
        segment.write(frame(99, instance(2))[:40])
    owner.journal._group._segments.close_segment()
    owner.store(3)
    rig.work()
    assert rig.publisher.subjects == paths(1, 3)
    assert "journal_tail_torn" in rig.event_names
    assert "journal_line_bad" not in rig.event_names
    assert list(owner.folder.glob("*.bad")) == []


def test_the_bytes_that_were_written_are_the_bytes_that_are_sent(make_owner: Any, rig: RelayRig) -> None:
    """What cannot be decoded, or has fields that we do not know, is a matter for the registrar."""
    owner = make_owner()
    bodies = [b'{"path" : "x",\t"new":1}'.replace(b"\t", b" "), b"{}", b"no JSON", b""]
    for body in bodies:
        owner.append(records.instance_received(body))
    rig.work()
    assert [envelope.body for envelope in rig.publisher.stored] == bodies
    assert {envelope.type for envelope in rig.publisher.stored} == {"InstanceStored"}


def test_a_journal_of_another_supervisor_is_left_to_its_own_relay(
    make_owner: Any, rig: RelayRig, clock: Clock
) -> None:
    foreign = make_owner(parent="supervisor-2")  # the same receiver id
    foreign.store(1, first=True)
    for _ in range(5):
        rig.work()
        clock.now += 100
        foreign.beat()
    assert rig.publisher.subjects == []


def test_without_knowing_parents_the_receiver_id_decides(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    own = make_owner(parent="unknown:1")
    other = make_owner(parent="unknown:1", receiver="receiver-2")
    own.store(1, first=True)
    other.store(2, first=True)
    rig = RelayRig(tmp_path, FakePublisher(), clock, parent="unknown:1")
    rig.work()
    assert rig.publisher.subjects == paths(1)
    rig.end()


def test_a_foreign_journal_is_finished_when_its_heartbeat_stood_still(
    make_owner: Any, rig: RelayRig, clock: Clock, tmp_path: Path
) -> None:
    foreign = make_owner(parent="supervisor-2", receiver="receiver-2")
    foreign.store(1, 2, first=True)
    incoming = tmp_path / ".lapidicom" / "incoming" / foreign.name
    incoming.mkdir(parents=True)
    (incoming / "half an instance").write_bytes(b"x")
    rig.work()
    clock.now += 119
    rig.work()
    assert rig.publisher.subjects == []
    clock.now += 2
    rig.work()
    assert rig.publisher.subjects == [*paths(1, 2), received(2, "broken off")]
    # Its folder stays: an owner that was only paused goes on in it.
    assert list(incoming.iterdir()) == []


def test_a_life_that_the_supervisor_saw_end_is_finished_at_once(
    make_owner: Any, rig: RelayRig, tmp_path: Path
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    incoming = tmp_path / ".lapidicom" / "incoming" / owner.name
    incoming.mkdir(parents=True)
    (incoming / "half an instance").write_bytes(b"x")
    rig.work()
    assert rig.publisher.subjects == paths(1)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]
    assert not incoming.exists()


def test_the_end_of_an_owner_may_be_seen_before_its_folder(make_owner: Any, rig: RelayRig) -> None:
    rig.journals.owner_ended("receiver-1." + "0" * 32)
    rig.work()
    foreign = make_owner(parent="supervisor-2")
    foreign.store(1, first=True)
    rig.journals.owner_ended(foreign.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]


def test_a_series_that_has_ended_is_not_broken_off(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    owner.store(1, series=2, first=True)
    owner.end_series(1)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [
        *paths(1),
        *paths(1, series=2),
        received(1),
        received(1, "broken off", series=2),
    ]


def test_a_broken_off_series_counts_the_instances_of_all_segments(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner(limit=3000)
    owner.store(*range(20), first=True)
    refusal = json.dumps({"association_id": "association-1", "folder": series_folder()}).encode()
    owner.journal.append_quietly([b"instance_refused\t" + refusal], series=key())
    rig.journals.owner_ended(owner.name)
    rig.work()
    last = json.loads(rig.publisher.stored[-1].body)
    assert (last["received"], last["refused"], last["ok"]) == (20, 1, False)
    assert rig.publisher.stored[-1].lapidicom_id == f"{owner.life}.2.ended"


def test_a_finished_life_is_finished_for_every_relay(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    rig.journals.owner_ended(owner.name)
    rig.work()
    for parent in ("supervisor-1", "supervisor-2"):
        again = RelayRig(tmp_path, FakePublisher(), clock, parent=parent)
        again.work()
        clock.now += 1000
        again.work()
        assert again.publisher.subjects == []
        again.end()


def test_behind_the_mark_of_an_ended_life_only_instances_whose_file_is_there_are_published(
    make_owner: Any, rig: RelayRig, tmp_path: Path
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    mark = (owner.folder / "committed").read_bytes()
    owner.store(2, 3, 4)
    (tmp_path / instance_path(2)).unlink()
    (tmp_path / instance_path(3)).write_bytes(b"another size")  # replaced by another copy
    (owner.folder / "committed").write_bytes(mark)
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1, 3, 4), received(3, "broken off")]
    skipped = [fields for event, fields in rig.events if event == "record_never_answered"]
    assert [fields["SOPInstanceUID"] for fields in skipped] == ["1.2.3.1.2"]
    assert rig.counts.never_answered == 1


@pytest.mark.parametrize(
    "path", ["../outside.dcm", "/etc/hostname", ".", "SERVICES/../../x", "SERVICES", "x" * 5000]
)
def test_a_path_outside_or_of_no_file_is_no_stored_file(
    make_owner: Any, rig: RelayRig, tmp_path: Path, path: str
) -> None:
    owner = make_owner()
    body = records.parse(b"0\t" + instance(1)).fields() | {"path": path}
    (tmp_path / "SERVICES").mkdir()
    (tmp_path.parent / "outside.dcm").write_bytes(b"0123456789")
    owner.append(records.instance_received(json.dumps(body).encode()))
    owner.lose_mark()
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == []
    assert rig.event_names.count("record_never_answered") == 1


def test_files_behind_the_mark_are_durable_before_they_are_published(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    synced: list[str] = []

    class Noting(FileSystem):
        def fsync(self, fd: int) -> None:  # type: ignore[override]
            synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))

    owner = make_owner()
    owner.store(1, first=True)
    owner.lose_mark()
    publisher = FakePublisher()
    rig = RelayRig(tmp_path, publisher, clock, file_system=Noting())
    rig.journals.owner_ended(owner.name)
    publisher.fault = lambda _: synced.append("published")  # type: ignore[func-returns-value]
    rig.work()
    file = tmp_path / instance_path(1)
    upwards = [str(parent) for parent in file.parents if parent.is_relative_to(tmp_path)]
    assert synced[: len(upwards) + 2] == [str(file), *upwards, "published"]
    rig.end()


def test_a_volume_that_fails_makes_the_relay_try_again(make_owner: Any, tmp_path: Path, clock: Clock) -> None:
    broken = True

    class Broken(FileSystem):
        def fsync(self, _: int) -> None:  # type: ignore[override]
            if broken:
                raise OSError(5, "EIO")

    owner = make_owner()
    owner.store(1, first=True)
    owner.lose_mark()
    rig = RelayRig(tmp_path, FakePublisher(), clock, file_system=Broken())
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == []
    assert "journal_cannot_be_read" in rig.event_names
    broken = False
    clock.now += 2
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]
    rig.end()


def test_an_owner_that_was_only_paused_loses_nothing(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock
) -> None:
    foreign = make_owner(parent="supervisor-2")
    foreign.store(1, 2, first=True)
    mark = (foreign.folder / "committed").read_bytes()
    foreign.store(3, 4)
    (foreign.folder / "committed").write_bytes(mark)
    hidden = (tmp_path / instance_path(3)).rename(tmp_path / "hidden")
    rig.work()
    clock.now += 121
    rig.work()
    assert rig.publisher.subjects == [*paths(1, 2, 4), received(3, "broken off")]
    # It wakes up, answers what it had written, and goes on.
    hidden.rename(tmp_path / instance_path(3))
    foreign.beat()
    foreign.store(5)
    clock.now += 1
    rig.publisher.stored.clear()
    for _ in range(10):
        rig.work()
    assert rig.publisher.subjects == paths(3, 4, 5)
    assert "journal_owner_lives" in rig.event_names


def test_what_a_paused_owner_writes_after_its_journal_was_finished_is_found_without_a_heartbeat(
    make_owner: Any, rig: RelayRig, clock: Clock
) -> None:
    foreign = make_owner(parent="supervisor-2")
    foreign.store(1, first=True)
    rig.work()
    clock.now += 121
    rig.work()
    foreign.store(2)
    rig.publisher.stored.clear()
    for _ in range(12):
        rig.work()
    assert rig.publisher.subjects[0] == paths(2)[0]


def test_the_cursor_never_passes_a_record_that_was_skipped(
    make_owner: Any, rig: RelayRig, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner()
    owner.store(1, 2, 3, first=True)
    hidden = (tmp_path / instance_path(2)).rename(tmp_path / "hidden")
    owner.lose_mark()
    rig.journals.owner_ended(owner.name)
    rig.work()
    rig.end()
    hidden.rename(tmp_path / instance_path(2))
    again = RelayRig(tmp_path, FakePublisher(), clock, parent="supervisor-2")
    again.work()
    clock.now += 1000
    again.work()
    assert again.publisher.subjects == paths(2, 3)
    again.end()


def test_a_claim_that_moves_keeps_other_relays_away_and_one_that_stands_still_does_not(
    make_owner: Any, tmp_path: Path, clock: Clock
) -> None:
    owner = make_owner(parent="supervisor-3")
    owner.store(1, first=True)
    stuck = FakePublisher(lambda _: ConnectionLost("no broker"))
    first = RelayRig(tmp_path, stuck, clock, parent="supervisor-1")
    second = RelayRig(tmp_path, FakePublisher(), clock, parent="supervisor-2")
    first.journals.look()
    second.journals.look()
    clock.now += 121
    with pytest.raises(ConnectionLost):
        first.try_once()
    for _ in range(5):
        second.work()
        clock.now += 60
        with pytest.raises(ConnectionLost):
            first.try_once()
    assert second.publisher.subjects == []
    first.end()
    second.work()
    clock.now += 121
    second.work()
    assert second.publisher.subjects == [*paths(1), received(1, "broken off")]
    second.end()


def test_a_torn_tail_of_an_ended_life_is_reported_and_nothing_of_it_published(
    make_owner: Any, rig: RelayRig
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    with (owner.folder / "00000001.log").open("ab") as segment:
        segment.write(frame(99, instance(2))[:-1])
    rig.journals.owner_ended(owner.name)
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]
    assert rig.event_names.count("journal_tail_torn") == 1


def test_a_journal_without_anything_is_finished_too(rig: RelayRig, tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / ".lapidicom" / "journals/2" / ("receiver-9." + "a" * 32)
    folder.mkdir(parents=True)
    (folder.parent / "lost+found").mkdir()
    rig.work()
    clock.now += 121
    rig.work()
    assert rig.event_names == ["journal_taken_over", "journal_finished"]


def test_an_end_that_cannot_be_published_yet_is_published_later(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    rig.journals.owner_ended(owner.name)
    rig.publisher.fault = lambda number: Refused("full") if number in (1, 2) else None
    rig.work()
    assert rig.publisher.subjects == [*paths(1), received(1, "broken off")]
    assert len(rig.publisher.tried) == 4


async def _rests(rig: RelayRig) -> bool:
    """Whether the relay comes to rest without any connection to RabbitMQ."""
    rest = asyncio.create_task(rig.relay.until_at_rest())
    for _ in range(20):
        await asyncio.sleep(0)
    done = rest.done()
    rest.cancel()
    return done


def test_a_relay_with_nothing_to_publish_is_at_rest_without_rabbitmq(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.journal.append_quietly([b'instance_refused\t{"reason":"x"}'])
    rig.journals.look()
    assert asyncio.run(_rests(rig))


def test_a_relay_with_records_left_is_not_at_rest_without_rabbitmq(make_owner: Any, rig: RelayRig) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    rig.journals.look()
    assert not asyncio.run(_rests(rig))
    rig.work()
    assert rig.publisher.subjects == paths(1), "looking for rest must take nothing away"
    assert asyncio.run(_rests(rig))
