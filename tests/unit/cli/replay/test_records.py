"""Records of a replay's batches."""

import pytest

from lapidicom.cli.replay.records import Record, dump, parse


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record("r1", "alice@ward", "2026-11-24T03:00:00+00:00", ("a", "b"))
    assert parse(dump(record)) == record


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"replay":"r","who":"w","when":1,"letters":[]}',
        b'{"replay":"r","who":"w","when":"t","letters":[1]}',
        b'{"replay":"r","who":"w","when":"t","letters":null}',
    ],
)
def test_what_is_no_record_is_none(body: bytes) -> None:
    assert parse(body) is None
