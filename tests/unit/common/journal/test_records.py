"""Lines and records: what is written is read again, and nothing else ever is."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import format as journal_format
from lapidicom.common.journal import records
from lapidicom.common.journal.format import Position, decode_position, encode_position, frame, lines
from lapidicom.common.journal.reader import Reached, read_chunk
from tests.support.journal_records import ended, instance, series_fields, started

KEYS = st.text(max_size=8).filter(lambda key: key != "sequence")  # that one is the frame's
TEXTS = st.dictionaries(KEYS, st.text(max_size=40) | st.integers() | st.none(), max_size=4)


def body(values: dict[str, object]) -> bytes:
    return json.dumps({"record": "instance_received", **values})[1:-1].encode()


def written(bodies: list[dict[str, object]]) -> list[bytes]:
    return [frame(number, body(values)) for number, values in enumerate(bodies, 1)]


@given(st.lists(TEXTS, max_size=8))
def test_what_is_framed_is_read_again(bodies: list[dict[str, object]]) -> None:
    data = b"".join(written(bodies))
    found = list(lines(data, 100))
    assert [json.loads(line.text)["sequence"] for line in found] == list(range(1, len(bodies) + 1))
    assert [data[line.start - 100 : line.end - 100] for line in found] == written(bodies)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_a_torn_tail_yields_exactly_the_whole_lines_before_it(
    bodies: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = written(bodies)
    text = b"".join(whole)
    cut = data.draw(st.integers(0, len(text)))
    found = [line.text for line in lines(text[:cut], 0)]
    ends = [sum(map(len, whole[: n + 1])) for n in range(len(whole))]
    assert len(found) == sum(end <= cut for end in ends)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_no_corruption_ever_yields_another_record_than_was_written(
    bodies: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = written(bodies)
    text = bytearray(b"".join(whole))
    first = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, min(12, len(text) - first)))
    text[first : first + length] = data.draw(st.binary(min_size=length, max_size=length))
    good = [line[9:-1] for line in whole]
    found = [line.text for line in lines(bytes(text), 0)]
    assert found == good[: len(found)]


@given(st.lists(TEXTS, max_size=6), st.integers(1, 5), st.data())
def test_a_reader_takes_lines_in_pieces_up_to_the_mark_and_not_behind_it(
    bodies: list[dict[str, object]], most: int, data: st.DataObject
) -> None:
    whole = written(bodies)
    count = data.draw(st.integers(0, len(whole)))
    limit = sum(map(len, whole[:count]))
    text = b"".join(whole)

    class InMemory(FileSystem):
        pread = staticmethod(lambda _, length, offset: text[offset : offset + length])

    offset, found = 0, []
    while True:
        chunk = read_chunk(InMemory(), 0, offset, limit, most)
        found += chunk.lines
        offset = chunk.end
        if chunk.reached is not Reached.MORE:
            break
    assert chunk.reached is Reached.END
    assert [line.text for line in found] == [line[9:-1] for line in whole[:count]]


def test_a_line_longer_than_a_chunk_is_read_whole(tmp_path: Path) -> None:
    long = frame(1, b'"record":"instance_received","a":"' + b"x" * (1 << 20) + b'"')
    file = tmp_path / "segment"
    file.write_bytes(long + frame(2, b'"record":"b"') + b"torn")
    fd = os.open(file, os.O_RDONLY)
    try:
        first = read_chunk(FileSystem(), fd, 0, None, 1)
        rest = read_chunk(FileSystem(), fd, first.end, None, 10)
    finally:
        os.close(fd)
    assert (first.end, first.reached) == (len(long), Reached.MORE)
    assert (len(rest.lines), rest.reached) == (1, Reached.BAD)


def test_a_short_read_is_no_end_of_file(tmp_path: Path) -> None:
    class Short(FileSystem):
        pread = staticmethod(lambda fd, length, offset: os.pread(fd, min(length, 7), offset))

    file = tmp_path / "segment"
    file.write_bytes(b"".join(written([{}, {}, {}])))
    fd = os.open(file, os.O_RDONLY)
    try:
        chunk = read_chunk(Short(), fd, 0, None, 10)
    finally:
        os.close(fd)
    assert (len(chunk.lines), chunk.reached) == (3, Reached.END)


def test_a_good_line_behind_a_bad_one_is_not_read() -> None:
    first, second, third = written([{}, {}, {}])
    assert len(list(lines(first + b"\0" * len(second) + third, 0))) == 1
    assert len(list(lines(first + second.replace(b"{", b"[", 1) + third, 0))) == 1


@given(st.integers(0, 99_999_999), st.integers(0, 999_999_999_999))
def test_a_mark_is_read_again_and_always_as_long(segment: int, offset: int) -> None:
    text = encode_position(Position(segment, offset))
    assert len(text) == journal_format.POSITION_LENGTH
    assert decode_position(text) == Position(segment, offset)


@given(st.integers(0, 99_999_999), st.integers(0, 99_999), st.integers(0, 99_999), st.integers(0, 31))
def test_a_torn_mark_is_no_mark(segment: int, before: int, after: int, cut: int) -> None:
    old, new = encode_position(Position(segment, before)), encode_position(Position(segment + 1, after))
    assert decode_position(new[:cut] + old[cut:]) in (
        None,
        Position(segment, before),
        Position(segment + 1, after),
    )
    assert decode_position(old[:cut]) is None or cut == len(old)


@pytest.mark.parametrize("name", ["00000001.log", "00000001.done"])
def test_names_of_segments_are_read_again(name: str) -> None:
    number, done = journal_format.parse_segment_name(name) or (0, False)
    assert journal_format.segment_name(number, done=done) == name


@pytest.mark.parametrize("name", ["1.log", "00000001.aside", "committed", "00000001.log.x", "cursor.ab"])
def test_other_files_are_no_segments(name: str) -> None:
    assert journal_format.parse_segment_name(name) is None


def test_a_folder_name_tells_receiver_and_life() -> None:
    life = "0123456789abcdef" * 2
    assert journal_format.parse_folder_name(f"host.example.{life}") == ("host.example", life)
    assert journal_format.parse_folder_name("lost+found") is None


def test_each_body_makes_a_record_of_its_kind() -> None:
    refused = records.instance_refused(
        association_id="a",
        calling_ae_title="M",
        peer_address="h:1",
        status=0xC000,
        reason="StudyDate (0008,0020) is missing",
        offending=(0x00080020,),
        uids={"SOPInstanceUID": "1.2", "SeriesInstanceUID": None},
    )
    end = records.association_ended(
        association_id="a",
        calling_ae_title="M",
        called_ae_title="C",
        peer_address="h:1",
        how="released",
        received=1,
        refused=1,
    )
    opened = records.segment_opened(
        "life", "r", datetime.now(UTC), [records.OpenSeries(3, b'{"folder":"f"}', 4, 5)]
    )
    bodies = [instance(1), started(), ended(1), refused, end, opened]
    parsed = [records.parse(frame(9, one)[9:-1]) for one in bodies]
    assert [record["record"] for record in parsed] == [
        records.INSTANCE_RECEIVED,
        records.SERIES_STARTED,
        records.SERIES_ENDED,
        records.INSTANCE_REFUSED,
        records.ASSOCIATION_ENDED,
        records.SEGMENT_OPENED,
    ]
    assert parsed[3]["tags"] == ["(0008,0020)"]
    assert parsed[3]["status"] == "0xC000"
    assert "SeriesInstanceUID" not in parsed[3]
    assert parsed[5]["open_series"] == [
        {"sequence": 3, "received": 4, "refused": 5, "series": {"folder": "f"}}
    ]
    assert all(record["sequence"] == 9 for record in parsed)


def test_a_series_can_only_be_started_with_what_its_end_needs() -> None:
    fields = series_fields()
    del fields["PatientID"]
    with pytest.raises(ValueError, match="PatientID"):
        records.series_started(fields)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"record":1,"sequence":1}', b'{"record":"a"}', b"{"])
def test_what_is_no_record_is_told(text: bytes) -> None:
    with pytest.raises(records.RecordError):
        records.parse(text)
