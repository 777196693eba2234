"""Lines and records: what is written is read again, and nothing else ever is."""

import itertools
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
from lapidicom.common.journal.chunk import Reached, read_chunk
from lapidicom.common.journal.format import (
    MAX_LINE,
    BadStretch,
    Line,
    Position,
    decode_position,
    encode_position,
    frame,
    lines,
)
from tests.support.journal_records import ended, instance, series_fields, started

TEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.integers() | st.none(), max_size=4)


def record(values: dict[str, object]) -> bytes:
    return records.instance_received(json.dumps(values, ensure_ascii=False).encode())


def written(bodies: list[dict[str, object]]) -> list[bytes]:
    return [frame(number, record(values)) for number, values in enumerate(bodies, 1)]


def good_lines(data: bytes, offset: int = 0) -> list[Line]:
    """The good lines up to the first bad one."""
    return list(itertools.takewhile(lambda line: isinstance(line, Line), lines(data, offset)))  # type: ignore[arg-type]


@given(st.lists(TEXTS, max_size=8))
def test_what_is_framed_is_read_again(bodies: list[dict[str, object]]) -> None:
    data = b"".join(written(bodies))
    found = good_lines(data, 100)
    parsed = [records.parse(line.text) for line in found]
    assert [one.sequence for one in parsed] == list(range(1, len(bodies) + 1))
    assert [one.fields() for one in parsed] == bodies
    assert [data[line.start - 100 : line.end - 100] for line in found] == written(bodies)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_a_torn_tail_yields_exactly_the_whole_lines_before_it(
    bodies: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = written(bodies)
    text = b"".join(whole)
    cut = data.draw(st.integers(0, len(text)))
    found = good_lines(text[:cut])
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
    found = iter(good)
    assert all(line.text in found for line in lines(bytes(text), 0) if isinstance(line, Line))


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
        chunk = read_chunk(InMemory(), 0, offset, limit=limit, durable=limit, most=most)
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
        first = read_chunk(FileSystem(), fd, 0, limit=None, durable=0, most=1)
        rest = read_chunk(FileSystem(), fd, first.end, limit=None, durable=0, most=10)
    finally:
        os.close(fd)
    assert (first.end, first.reached) == (len(long), Reached.MORE)
    assert (len(rest.lines), rest.reached) == (1, Reached.TORN)


def test_a_short_read_is_no_end_of_file(tmp_path: Path) -> None:
    class Short(FileSystem):
        pread = staticmethod(lambda fd, length, offset: os.pread(fd, min(length, 7), offset))

    file = tmp_path / "segment"
    file.write_bytes(b"".join(written([{}, {}, {}])))
    fd = os.open(file, os.O_RDONLY)
    try:
        chunk = read_chunk(Short(), fd, 0, limit=None, durable=0, most=10)
    finally:
        os.close(fd)
    assert (len(chunk.lines), chunk.reached) == (3, Reached.END)


class InMemory(FileSystem):
    """A segment without a disk."""

    def __init__(self, content: bytes) -> None:
        self.pread = lambda _, length, offset: content[offset : offset + length]  # type: ignore[method-assign, misc]


def read_to_the_end(
    content: bytes, *, durable: int, limit: int | None = None
) -> tuple[list[bytes], list[BadStretch], int, Reached]:
    """All good lines, all that was skipped, and where it ended."""
    good: list[bytes] = []
    bad: list[BadStretch] = []
    offset, reached = 0, Reached.MORE
    while reached is Reached.MORE:
        chunk = read_chunk(InMemory(content), 0, offset, limit=limit, durable=durable, most=3)
        assert chunk.end > offset or chunk.reached is not Reached.MORE
        good += [content[line.start : line.end] for line in chunk.lines]
        bad += chunk.bad
        offset, reached = chunk.end, chunk.reached
    return good, bad, offset, reached


WHOLE = written([{"a": "x" * 50}] * 5)
ENDS = [sum(map(len, WHOLE[: count + 1])) for count in range(len(WHOLE))]
FLIPPED = WHOLE[1][:30] + bytes([WHOLE[1][30] ^ 1]) + WHOLE[1][31:]


@pytest.mark.parametrize("limit", [None, ENDS[4]])
@pytest.mark.parametrize(
    "bad",
    [
        FLIPPED,
        b"\0" * len(WHOLE[1]),
        WHOLE[1][:20] + b"\n" + WHOLE[1][21:],
        b"\n" * len(WHOLE[1]),
    ],
)
def test_what_was_durable_and_is_bad_is_skipped(bad: bytes, limit: int | None) -> None:
    content = b"".join((WHOLE[0], bad, *WHOLE[2:]))
    # Without its newline a bad line takes the next one with it.
    lost = 2 if bad.endswith(b"\n") else 3
    good, stretches, end, reached = read_to_the_end(content, durable=ENDS[4], limit=limit)
    assert good == [WHOLE[0], *WHOLE[lost:]]
    assert stretches == [BadStretch(ENDS[0], ENDS[lost - 1])]
    assert (end, reached) == (len(content), Reached.END)


@pytest.mark.parametrize("durable", [ENDS[0], 0])
def test_behind_what_was_durable_a_bad_line_ends_the_segment(durable: int) -> None:
    content = b"".join((WHOLE[0], FLIPPED, *WHOLE[2:]))
    good, stretches, end, reached = read_to_the_end(content, durable=durable)
    assert (good, stretches, end, reached) == ([WHOLE[0]], [], ENDS[0], Reached.TORN)


def test_a_bad_line_at_the_durable_end_does_not_hide_what_stands_behind_it() -> None:
    content = b"".join((WHOLE[0], WHOLE[1][:-1] + b"x", *WHOLE[2:]))
    good, stretches, _, reached = read_to_the_end(content, durable=ENDS[1])
    assert good == [WHOLE[0], *WHOLE[2:]]
    assert (stretches, reached) == ([BadStretch(ENDS[0], ENDS[1])], Reached.END)


def test_a_segment_that_lost_its_end_is_told() -> None:
    good, stretches, _, reached = read_to_the_end(b"".join(WHOLE[:2]), durable=ENDS[4])
    assert (good, stretches, reached) == (WHOLE[:2], [BadStretch(ENDS[1], ENDS[4])], Reached.END)


def test_what_is_not_visible_yet_before_the_mark_is_waited_for() -> None:
    """A network file system may show an owner's file shorter than it is."""
    content = b"".join(WHOLE[:2]) + WHOLE[2][:10]
    good, stretches, end, reached = read_to_the_end(content, durable=ENDS[4], limit=ENDS[4])
    assert (good, stretches, end, reached) == (WHOLE[:2], [], ENDS[1], Reached.END)


def test_a_hole_longer_than_the_longest_line_is_skipped() -> None:
    hole = b"\0" * (MAX_LINE + 1000) + b"\n"
    content = WHOLE[0] + hole + WHOLE[2]
    good, stretches, _, reached = read_to_the_end(content, durable=len(content))
    assert (good, reached) == ([WHOLE[0], WHOLE[2]], Reached.END)
    assert (stretches[0].start, stretches[-1].end) == (ENDS[0], ENDS[0] + len(hole))


@given(st.data())
def test_one_damage_costs_no_more_than_the_lines_it_touches(data: st.DataObject) -> None:
    text = b"".join(WHOLE)
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first + 1, min(len(text), first + 200)))
    damaged = text[:first] + data.draw(st.binary(min_size=last - first, max_size=last - first)) + text[last:]
    good, _, _, reached = read_to_the_end(damaged, durable=len(text))
    touched = [number for number, end in enumerate(ENDS) if end > first and end - len(WHOLE[number]) < last]
    kept = [line for number, line in enumerate(WHOLE) if number not in touched and number != touched[-1] + 1]
    assert [line for line in kept if line not in good] == []
    assert reached is Reached.END


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
    opened = records.segment_opened("life", "r", datetime.now(UTC), durable=Position(1, 2), open_series=1)
    listed = records.series_open(records.OpenSeries(3, b'{"folder":"f"}', 4, 5))
    bodies = [instance(1), started(), ended(1), refused, end, opened, listed]
    parsed = [records.parse(frame(9, one)[9:-1]) for one in bodies]
    assert [one.kind for one in parsed] == [
        records.INSTANCE_RECEIVED,
        records.SERIES_STARTED,
        records.SERIES_ENDED,
        records.INSTANCE_REFUSED,
        records.ASSOCIATION_ENDED,
        records.SEGMENT_OPENED,
        records.SERIES_OPEN,
    ]
    told = parsed[3].fields()
    assert (told["tags"], told["status"]) == (["(0008,0020)"], "0xC000")
    assert "SeriesInstanceUID" not in told
    assert (parsed[5].fields()["durable"], parsed[5].fields()["open_series"]) == ([1, 2], 1)
    assert parsed[6].fields() == {"sequence": 3, "received": 4, "refused": 5, "series": {"folder": "f"}}
    assert all(one.sequence == 9 for one in parsed)


def test_headers_go_along_behind_the_body() -> None:
    context = {"traceparent": "00-1-2-01", "tracestate": "a=b c\td"}
    found = records.parse(b"7\t" + instance(1) + records.trace(context))
    assert found.header_fields() == context
    assert found.body == instance(1).partition(b"\t")[2]
    assert records.trace({}) == b""


def test_a_series_can_only_be_started_with_what_its_end_needs() -> None:
    fields = series_fields()
    del fields["PatientID"]
    with pytest.raises(ValueError, match="PatientID"):
        records.series_started(fields)


@pytest.mark.parametrize(
    "text",
    [b"", b"1", b"1\tinstance_received", b"x\tinstance_received\t{}", b"1\tseries_moved\t{}", b"1\ta\t\t\t"],
)
def test_what_this_version_does_not_know_is_no_record(text: bytes) -> None:
    with pytest.raises(records.UnknownRecord):
        records.parse(text)
