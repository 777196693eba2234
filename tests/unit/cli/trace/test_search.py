"""What journals tell of a UID: receptions, refusals and associations, each where it belongs."""

import json
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.trace.journals import search
from lapidicom.cli.trace.story import State, Subject, Trace
from lapidicom.common.journal import records
from lapidicom.common.journal.format import Position, encode_position, frame
from lapidicom.common.journal.survey import Survey
from tests.support.journal_records import ended, instance, instance_path, started

LIVES = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)


def write(spool: Path, life: str, *bodies: bytes, mark: int | None = None) -> None:
    folder = spool / "journals/2" / f"receiver-{LIVES.index(life) + 1}.{life}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [frame(number, body) for number, body in enumerate(bodies, 1)]
    (folder / "00000001.log").write_bytes(b"".join(lines))
    end = sum(map(len, lines[:mark]))
    (folder / "committed").write_bytes(encode_position(Position(1, end)))


def refused(uids: dict[str, str | None], **changes: Any) -> bytes:
    return records.instance_refused(
        association_id="association-1",
        calling_ae_title="MODALITY",
        peer_address="127.0.0.1:1",
        status=0xC000,
        reason="PatientID (0010,0020) is missing",
        offending=(0x0010_0020,),
        uids=uids,
        **changes,
    )


def look(spool: Path, uid: str, *, by_accession: bool = False) -> Trace:
    trace = Trace(uid=uid, by_accession=by_accession)
    trace.instances = search(Survey(spool), trace)
    return trace


def at(number: int, when: str) -> bytes:
    message = records.parse(b"0\t" + instance(number)).fields() | {"received_at": when}
    return records.instance_received(json.dumps(message).encode())


def test_receptions_of_one_instance_in_two_journals_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], at(1, "2024-01-02T05:00:00+00:00"))
    write(tmp_path, LIVES[1], at(1, "2024-01-02T04:00:00+00:00"), at(2, "2024-01-02T04:00:00+00:00"))
    found = look(tmp_path, "1.2.3.1.1")
    [story] = found.instances
    assert found.subject is Subject.INSTANCE
    assert story.path == instance_path(1)
    assert [event.receiver for event in story.events] == ["receiver-2", "receiver-1"]


def test_a_refusal_belongs_to_the_instance_that_was_received_later(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], refused({"SOPInstanceUID": "1.2.3.1.1"}), instance(1))
    [story] = look(tmp_path, "1.2.3.1.1").instances
    assert {event.event for event in story.events} == {"received", "refused"}


def test_a_refusal_alone_is_a_story_with_its_reason(tmp_path: Path) -> None:
    uids = {"SOPInstanceUID": "1.2.3.1.9", "SeriesInstanceUID": "1.2.3.1"}
    write(tmp_path, LIVES[0], instance(1), refused(uids))
    by_instance, by_series = look(tmp_path, "1.2.3.1.9").instances, look(tmp_path, "1.2.3.1").instances
    [event] = by_instance[0].events
    assert (event.status, event.reason, event.tags) == (
        "0xC000",
        "PatientID (0010,0020) is missing",
        ["(0010,0020)"],
    )
    assert sorted(story.SOPInstanceUID for story in by_series) == ["1.2.3.1.1", "1.2.3.1.9"]


def test_a_series_comes_with_the_associations_that_brought_it(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], started(), instance(1), instance(2), ended(2))
    found = look(tmp_path, "1.2.3.1")
    assert found.subject is Subject.SERIES
    assert [(one.received, one.refused, one.ok) for one in found.associations] == [(2, 0, True)]
    assert len(found.instances) == 2


def test_a_study_has_the_instances_of_its_series(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], instance(1, series=1), instance(1, series=2))
    found = look(tmp_path, "1.2.3")
    assert found.subject is Subject.STUDY
    assert [one.SeriesInstanceUID for one in found.instances] == ["1.2.3.1", "1.2.3.2"]


def test_an_accession_number_is_looked_for_only_where_that_is_asked_for(tmp_path: Path) -> None:
    message = records.parse(b"0\t" + instance(1)).fields() | {"AccessionNumber": "Ü-17"}
    write(tmp_path, LIVES[0], records.instance_received(json.dumps(message).encode()), instance(2))
    assert look(tmp_path, "Ü-17").instances == []
    found = look(tmp_path, "Ü-17", by_accession=True)
    assert found.subject is Subject.ACCESSION
    assert [one.path for one in found.instances] == [instance_path(1)]


def test_a_record_behind_the_mark_is_not_relayed(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], instance(1), instance(2), mark=1)
    [story] = look(tmp_path, "1.2.3.1.2").instances
    story.judge(sees_cube=True, sees_volume=False)
    assert story.state is State.NOT_RELAYED


def test_uids_that_only_begin_alike_are_others(tmp_path: Path) -> None:
    write(tmp_path, LIVES[0], instance(1), instance(11))
    assert [story.SOPInstanceUID for story in look(tmp_path, "1.2.3.1.1").instances] == ["1.2.3.1.1"]
    assert look(tmp_path, "1.2.3.1.").instances == []


@pytest.mark.parametrize("body", [b'instance_received\t"1.2.3.1.1"', b'x\t{"x":"1.2.3.1.1"}'])
def test_a_record_of_another_form_is_passed_over(tmp_path: Path, body: bytes) -> None:
    write(tmp_path, LIVES[0], body, instance(1))
    assert len(look(tmp_path, "1.2.3.1.1").instances) == 1


def test_the_reach_of_the_journals_is_that_of_the_oldest_segment(tmp_path: Path) -> None:
    for life, day in zip(LIVES, ("02", "01"), strict=True):
        opened = f'segment_opened\t{{"opened_at":"2024-01-{day}T00:00:00+00:00"}}'.encode()
        write(tmp_path, life, opened)
    since = look(tmp_path, "1.2").journals_since
    assert since is not None
    assert since.day == 1
