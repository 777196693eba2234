"""Entries of the audit."""

import asyncio
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from lapidicom.cli.audit import Entry, Phase, audited, parse, told_filters
from lapidicom.cli.filters import Filters
from lapidicom.common.broker import Envelope, Unroutable

ENTRY = Entry("1", "dlq drop", Phase.BEGUN, "alice@ward", "2026-11-24T03:00:00.000+00:00", "old", {"n": 1})


class FakePublisher:
    """Keeps what is published, and refuses from the n-th on."""

    def __init__(self, refuses_from: int = 99) -> None:
        self.entries: list[Entry] = []
        self._refuses_from = refuses_from

    async def publish(self, envelope: Envelope) -> None:
        if len(self.entries) + 1 >= self._refuses_from:
            raise Unroutable("no queue")
        entry = parse(envelope.body)
        assert entry is not None
        self.entries.append(entry)


def act(publisher: Any, error: BaseException | None = None) -> list[Any]:
    async def work() -> None:
        private = {"where": {"PatientName": "DOE"}}
        async with audited(publisher, "dlq drop", why="old", before={"n": 2}, private=private) as after:
            after["dropped"] = 1
            if error is not None:
                raise error

    with capture_logs() as logs:
        if error is None:
            asyncio.run(work())
        else:
            with pytest.raises(type(error)):
                asyncio.run(work())
    return list(logs)


def test_an_act_is_told_before_and_after_and_is_one_log_line_without_patient_data() -> None:
    publisher = FakePublisher()
    (line,) = act(publisher)
    begun, ended = publisher.entries
    assert (begun.phase, begun.told, begun.private) == (
        Phase.BEGUN,
        {"n": 2},
        {"where": {"PatientName": "DOE"}},
    )
    assert (ended.phase, ended.told, ended.id) == (Phase.ENDED, {"dropped": 1}, begun.id)
    assert (line["event"], line["act"], line["dropped"]) == ("operator_act", "dlq drop", 1)
    assert "DOE" not in json.dumps(line)


@pytest.mark.parametrize(
    ("error", "phase"), [(ValueError(), Phase.FAILED), (asyncio.CancelledError(), Phase.INTERRUPTED)]
)
def test_an_act_that_ends_badly_is_told_so(error: BaseException, phase: Phase) -> None:
    publisher = FakePublisher()
    act(publisher, error)
    assert [entry.phase for entry in publisher.entries] == [Phase.BEGUN, phase]
    assert publisher.entries[-1].told == {"dropped": 1}


def test_an_act_that_cannot_be_told_is_not_begun() -> None:
    async def work() -> None:
        async with audited(FakePublisher(refuses_from=1), "dlq drop"):  # type: ignore[arg-type]
            raise AssertionError("begun")

    with pytest.raises(Unroutable):
        asyncio.run(work())


def test_an_end_that_cannot_be_told_does_not_undo_the_act_and_is_logged() -> None:
    (line,) = act(FakePublisher(refuses_from=2))
    assert line["phase"] == "ended"


def test_an_entry_is_read_as_it_was_written() -> None:
    assert parse(json.dumps(asdict(ENTRY)).encode()) == ENTRY


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "sometime"},
        {"when": "noon"},
        {"when": "2026-11-24T03:00:00"},
        {"told": 1},
        {"private": None},
    ],
)
def test_what_is_no_entry_is_none(changes: dict[str, Any]) -> None:
    assert parse(json.dumps(asdict(ENTRY) | changes).encode()) is None
    assert parse(b"\xff") is None
    assert parse(b"{}") is None


def test_filters_are_told_without_the_values_that_may_be_patient_data() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    filters = Filters(reasons=("refused",), since=since, where=(("PatientName", "DOE"),))
    told, private = told_filters(filters)
    assert told == {"filters": {"reasons": ("refused",), "since": since}, "where": ["PatientName"]}
    assert private == {"where": {"PatientName": "DOE"}}
    assert told_filters(replace(filters, where=())) == ({"filters": told["filters"]}, {})
    assert told_filters(Filters()) == ({}, {})
