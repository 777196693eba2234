"""The PDU reader against arbitrary splits of the byte stream, arbitrary PDU sizes and hostile lengths."""

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.receiver.upper_layer.pdu_reader import (
    Fragment,
    MalformedPDU,
    PDUReader,
    ViewsEnd,
    WholePDU,
)
from lapidicom.receiver.upper_layer.transport import PeerClosed

RELEASE = struct.pack(">BxII", 5, 4, 0)


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxI", 4, len(body)) + body


class Stream:
    """A connection that delivers its bytes in pieces of the given sizes."""

    def __init__(self, data: bytes, pieces: Iterator[int]) -> None:
        self._data = data
        self._pieces = pieces

    def __call__(self, view: memoryview, _: bool) -> int:
        assert len(view), "asked to receive nothing"
        if not self._data:
            raise PeerClosed
        count = min(len(view), len(self._data), next(self._pieces, 1 << 20))
        view[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


class Message:
    """Gathers fragments as the C-STORE service does: those of data sets as views, copied when views end."""

    def __init__(self) -> None:
        self.written = b""
        self._views: list[memoryview] = []

    def keep(self, fragment: Fragment) -> None:
        self._views.append(fragment.data)
        if fragment.is_command:
            self.views_end()

    def views_end(self) -> None:
        self.written += b"".join(self._views)
        self._views.clear()

    def end(self) -> bytes:
        self.views_end()
        return self.written


def read_to_the_end(reader: PDUReader) -> None:
    while True:
        reader.read()


def read_messages(reader: PDUReader) -> list[tuple[bool, int, bytes]]:
    messages = []
    message = Message()
    while True:
        got = reader.read()
        if isinstance(got, ViewsEnd):
            message.views_end()
            continue
        if isinstance(got, WholePDU):
            assert got.body == bytes(4)
            return messages
        message.keep(got)
        if got.is_last:
            messages.append((got.is_command, got.context_id, message.end()))
            message = Message()


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[tuple[bool, int, bytes]], bytes]:
    """Messages, and their bytes cut into PDVs and PDUs in some legal way."""
    messages = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 255), st.binary(max_size=700)), min_size=1, max_size=6
        )
    )
    pdvs = []
    for is_command, context_id, data in messages:
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for index, part in enumerate(parts):
            last = 2 if index == len(parts) - 1 else 0
            pdvs.append(pdv(context_id, int(is_command) | last, part))
    stream, pending = b"", list(pdvs)
    while pending:
        count = draw(st.integers(1, len(pending)))
        stream += p_data(*pending[:count])
        del pending[:count]
    return messages, stream


@given(streams(), st.lists(st.integers(1, 300), max_size=400), st.integers(16, 900))
def test_any_split_of_the_stream_gives_the_same_messages(
    sent: tuple[list[tuple[bool, int, bytes]], bytes], pieces: list[int], size: int
) -> None:
    messages, stream = sent
    reader = PDUReader(Stream(stream + RELEASE, iter(pieces)), size=size)
    assert read_messages(reader) == messages


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=50))
def test_hostile_bytes_end_in_a_clean_error(data: bytes, pieces: list[int]) -> None:
    reader = PDUReader(Stream(data, iter(pieces)), size=64)
    with pytest.raises((MalformedPDU, PeerClosed)):
        read_to_the_end(reader)


def test_a_fragment_larger_than_the_buffer_comes_in_parts_and_only_the_last_is_last() -> None:
    reader = PDUReader(Stream(p_data(pdv(1, 2, bytes(1000))), iter([])), size=256)
    parts: list[Fragment] = []
    while not parts or not parts[-1].is_last:
        part = reader.read()
        if not isinstance(part, ViewsEnd):
            assert isinstance(part, Fragment)
            parts.append(part)
    assert sum(len(part.data) for part in parts) == 1000
    assert len(parts) >= 4


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        pytest.param(struct.pack(">BxI", 9, 4) + bytes(4), 1, id="unknown type"),
        pytest.param(struct.pack(">BxI", 0, 4) + bytes(4), 1, id="type zero"),
        pytest.param(struct.pack(">BxI", 1, 1 << 31), 6, id="A-ASSOCIATE-RQ of 2 GiB"),
        pytest.param(struct.pack(">BxI", 4, 5) + bytes(5), 6, id="P-DATA-TF too short for a PDV"),
        pytest.param(p_data(struct.pack(">IBB", 1, 1, 0)), 6, id="PDV of one byte"),
        pytest.param(p_data(struct.pack(">IBB", 100, 1, 0)), 6, id="PDV beyond its P-DATA-TF"),
        pytest.param(p_data(pdv(1, 0, b"ab")[:-2] + b"ab" + b"\0\0\0"), 6, id="rest too short for a PDV"),
    ],
)
def test_lengths_that_contradict_one_another_are_malformed(stream: bytes, reason: int) -> None:
    reader = PDUReader(Stream(stream, iter([])))
    with pytest.raises(MalformedPDU) as caught:
        read_to_the_end(reader)
    assert caught.value.reason == reason


def test_a_strict_reader_takes_no_longer_p_data_than_negotiated() -> None:
    stream = p_data(pdv(1, 2, bytes(94)))
    assert isinstance(PDUReader(Stream(stream, iter([])), max_p_data=100).read(), Fragment)
    with pytest.raises(MalformedPDU):
        PDUReader(Stream(stream, iter([])), max_p_data=99).read()


def test_an_empty_p_data_is_malformed_or_skipped_but_never_endless() -> None:
    reader = PDUReader(Stream(struct.pack(">BxI", 4, 0) + RELEASE, iter([])))
    with pytest.raises(MalformedPDU):
        reader.read()


class Acknowledging(Stream):
    """Notes for each read whether what came before was acknowledged."""

    def __init__(self, data: bytes, pieces: Iterator[int]) -> None:
        super().__init__(data, pieces)
        self._is_acknowledged = False
        self.reads: list[bool] = []

    def acknowledge(self) -> None:
        self._is_acknowledged = True

    def __call__(self, view: memoryview, all_of_it: bool) -> int:
        self.reads.append(self._is_acknowledged)
        self._is_acknowledged = False
        return super().__call__(view, all_of_it)


def read_acknowledging(pieces: list[int]) -> list[bool]:
    """Read two messages of command and data set, and a release: which reads an acknowledgement preceded."""
    message = p_data(pdv(1, 3, b"command")) + p_data(pdv(1, 2, b"data set"))
    stream = Acknowledging(message * 2 + RELEASE, iter(pieces))
    reader = PDUReader(stream, acknowledge=stream.acknowledge)
    read_messages(reader)
    return stream.reads


def test_a_message_that_comes_as_a_whole_is_acknowledged_by_its_answer_alone() -> None:
    length = len(p_data(pdv(1, 3, b"command"))) + len(p_data(pdv(1, 2, b"data set")))
    assert read_acknowledging([length, length, len(RELEASE)]) == [True, False, False]


def test_whoever_waits_amid_a_message_has_its_beginning_acknowledged() -> None:
    command, data_set = len(p_data(pdv(1, 3, b"command"))), len(p_data(pdv(1, 2, b"data set")))
    byte_by_byte = [1] * (command + data_set)
    reads = read_acknowledging([command, data_set, *byte_by_byte, len(RELEASE)])
    assert reads == [True, True, False, *[True] * (len(byte_by_byte) - 1), False]
