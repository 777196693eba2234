"""What of the journals is not known to be in RabbitMQ."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lapidicom.cli.answers import NotVisible, Result
from lapidicom.cli.journals import Journals, look_at_journals
from lapidicom.common.journal.bad_lines import BadLines
from lapidicom.common.journal.format import Heartbeat, Position, encode_position, frame
from lapidicom.common.journal.reader import UnknownJournal
from lapidicom.common.journal.records import INSTANCE_RECEIVED, association_ended, instance_refused
from lapidicom.common.open_series import BEING_HEALED
from tests.support.journal_records import ended, instance, started

LIFE = "receiver-1.0b3f62c19f3e4d6a8f5b2c7d1e9a4b60"
REFUSED = association_ended(
    association_id="a",
    calling_ae_title="A",
    called_ae_title="B",
    peer_address="c",
    how="lost",
    received=0,
    refused=1,
)


def journal(spool: Path, *bodies: bytes, segment: int = 1, done: bool = False) -> Path:
    folder = spool / "journals/2" / LIFE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heartbeat").write_bytes(Heartbeat(3).encode())
    lines = b"".join(frame(number, body) for number, body in enumerate(bodies, segment * 100))
    (folder / f"{segment:08d}.{'done' if done else 'log'}").write_bytes(lines)
    return folder


def look(spool: Path) -> Journals:
    found = look_at_journals(spool)
    assert not isinstance(found, NotVisible)
    return found


def test_a_record_behind_the_cursor_waits_since_it_was_made(tmp_path: Path) -> None:
    folder = journal(tmp_path, started(), instance(1), instance(2), ended(2))
    first = len(frame(100, started())) + len(frame(101, instance(1)))
    (folder / "cursor").write_bytes(encode_position(Position(1, first)))
    one = look(tmp_path)
    assert one.oldest == datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert one.unrelayed_bytes == (folder / "00000001.log").stat().st_size - first
    assert (one.under_way, one.finished) == (1, 0)


def test_the_end_of_a_series_is_a_message_too_but_not_what_leads_to_none(tmp_path: Path) -> None:
    journal(tmp_path, started(), REFUSED, ended(2), instance(3))
    assert look(tmp_path).oldest == datetime(2024, 1, 2, 3, 4, 6, tzinfo=UTC)


def test_without_a_cursor_all_that_is_not_done_waits(tmp_path: Path) -> None:
    journal(tmp_path, instance(1), done=True)
    journal(tmp_path, REFUSED, segment=2)
    folder = journal(tmp_path, instance(2), segment=4)
    one = look(tmp_path)
    assert one.oldest is not None
    assert one.unrelayed_bytes == sum(segment.stat().st_size for segment in folder.glob("*.log"))


def test_a_cursor_at_the_end_leaves_nothing(tmp_path: Path) -> None:
    folder = journal(tmp_path, instance(1))
    size = (folder / "00000001.log").stat().st_size
    (folder / "cursor").write_bytes(encode_position(Position(1, size)))
    assert (look(tmp_path).oldest, look(tmp_path).unrelayed_bytes) == (None, 0)


def test_a_finished_journal_waits_for_nothing_even_if_its_cursor_was_held_back(tmp_path: Path) -> None:
    folder = journal(tmp_path, instance(1), instance(2))
    size = (folder / "00000001.log").stat().st_size
    (folder / "finished").write_bytes(encode_position(Position(1, size)))
    one = look(tmp_path)
    assert (one.under_way, one.finished) == (0, 1)
    assert (one.oldest, one.unrelayed_bytes) == (None, 0)


def test_a_finished_journal_that_has_grown_is_not_finished(tmp_path: Path) -> None:
    folder = journal(tmp_path, instance(1), instance(2))
    (folder / "finished").write_bytes(encode_position(Position(1, len(frame(100, instance(1))))))
    assert look(tmp_path).finished == 0


def test_records_set_aside_are_counted(tmp_path: Path) -> None:
    folder = journal(tmp_path, REFUSED)
    (folder / "00000001.aside").write_bytes(b"{}\n{}\n")
    assert look(tmp_path).set_aside == 2


@pytest.mark.parametrize("damage", [b"", b"torn", b"00000000 {}\n"])
def test_a_damaged_line_ends_a_segment_and_is_no_record(tmp_path: Path, damage: bytes) -> None:
    folder = journal(tmp_path, started())
    with (folder / "00000001.log").open("ab") as segment:
        segment.write(damage)
    assert look(tmp_path).oldest is None


def test_a_spool_without_journals_has_none(tmp_path: Path) -> None:
    assert look_at_journals(tmp_path) == Journals()


def test_what_is_not_mounted_is_not_visible(tmp_path: Path) -> None:
    assert isinstance(look_at_journals(tmp_path / "absent"), NotVisible)


def test_places_that_a_relay_found_corrupted_are_shown_with_their_time(tmp_path: Path) -> None:
    folder = journal(tmp_path, started(), instance(1))
    note = '{"offset": 40, "length": 9, "after": null, "before": "2024-01-02T03:04:05+00:00"}\n'
    (folder / "00000001.bad").write_text(note)
    before = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert look(tmp_path).corrupted == [BadLines(Position(1, 40), 9, None, before)]


def test_journals_of_a_newer_version_are_left_alone_and_shown(tmp_path: Path) -> None:
    journal(tmp_path, started(), instance(1))
    (tmp_path / "journals" / "3" / LIFE).mkdir(parents=True)
    assert look(tmp_path).left_alone == [UnknownJournal(f"journals/3/{LIFE}", LIFE, "format 3")]
    assert look(tmp_path).under_way == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"series_moved\t{}", "record series_moved"),
        (b'segment_opened\t{"format":3,"open_series":0}', "format 3"),
    ],
)
def test_a_journal_with_an_unknown_record_where_the_cursor_stands_is_named(
    tmp_path: Path, record: bytes, reason: str
) -> None:
    folder = journal(tmp_path, instance(1), record)
    assert look(tmp_path).left_alone == []
    (folder / "cursor").write_bytes(encode_position(Position(1, len(frame(100, instance(1))))))
    assert look(tmp_path).left_alone == [UnknownJournal(f"journals/2/{LIFE}", LIFE, reason)]
    assert look(tmp_path).unrelayed_bytes > 0


def refusal(ago: float, status: int = 0xA700, reason: str = "the volume is gone") -> bytes:
    return instance_refused(
        association_id="a",
        calling_ae_title="A",
        peer_address="c",
        status=status,
        reason=reason,
        refused_at=datetime.now(UTC) - timedelta(seconds=ago),
    )


def stored(ago: float) -> bytes:
    made = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    return f'{INSTANCE_RECEIVED}\t{{"path":"a","received_at":"{made}"}}'.encode()


def test_what_was_refused_in_the_last_minutes_is_counted_by_its_reason(tmp_path: Path) -> None:
    bodies = [
        refusal(400),
        refusal(200),
        stored(150),
        refusal(100),
        refusal(90, 0xC000, "no PatientID"),
        REFUSED,
    ]
    journal(tmp_path, *bodies)
    one = look(tmp_path)
    assert one.refused == {"0xC000 no PatientID": 1, "0xA700 the volume is gone": 2}
    assert one.last_stored is not None
    assert one.last_refused is not None
    assert one.last_stored < one.last_refused


def test_a_series_that_is_being_healed_is_no_fault_of_the_system(tmp_path: Path) -> None:
    journal(tmp_path, refusal(100, reason=BEING_HEALED))
    one = look(tmp_path)
    assert one.last_refused is None
    (check,) = [check for check in one.checks() if check.name == "refusals"]
    assert check.result is Result.NOTE
    assert check.seen == f"refused in the last 5 minutes, 1 x 0xA700 {BEING_HEALED}"


def test_only_the_end_of_a_long_journal_is_read(tmp_path: Path) -> None:
    long = "x" * 100_000
    journal(tmp_path, *[refusal(200, reason=f"{number} {long}") for number in range(12)])
    counted = look(tmp_path).refused
    assert [reason.split()[1] for reason in counted] == [str(number) for number in range(11, 1, -1)]


def test_a_journal_whose_owner_wrote_nothing_for_an_hour_is_not_read_for_refusals(tmp_path: Path) -> None:
    heartbeat = journal(tmp_path, refusal(100)) / "heartbeat"
    assert len(look(tmp_path).refused) == 1
    long_ago = datetime.now(UTC).timestamp() - 7200
    os.utime(heartbeat, (long_ago, long_ago))
    assert look(tmp_path).refused == {}
