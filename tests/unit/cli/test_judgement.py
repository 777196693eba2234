"""Healthy, degraded or down: the rules as a table."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lapidicom.cli import broker_look
from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.broker_look import QueueLook, check_delays, check_letters, check_work
from lapidicom.cli.journals import Journals
from lapidicom.cli.queues import Count
from lapidicom.cli.verbs.status import judged
from lapidicom.cli.volume import check_space
from lapidicom.common.journal.bad_lines import BadLines
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.reader import UnknownJournal
from lapidicom.common.topology import DEAD_LETTER_QUEUE


def volume(needed: int = 1, free_inodes: int = 9, sentinel: str = "5a0b6d0e-1") -> list[Check]:
    """A volume of 100 GiB, of which 50 are free, and so many needed."""
    gib, inodes = 1 << 18, (1000, free_inodes, free_inodes)
    found = os.statvfs_result((4096, 4096, 100 * gib, 50 * gib, 50 * gib, *inodes, 0, 255))
    return check_space(found, Path("/data"), sentinel, needed << 30)


NOW = datetime.now(UTC)
UNSEEN = NotVisible("nobody looks")
DELAYS = {"lapidicom.registrations.retry.7s": Count(5, 0)}
FULL = Counter({"0xA700 disk full": 3, "0xA700 torn": 1})
LETTERS = check_letters(
    Counter({"file-missing": 2, "refused": 1}), {"file-missing": datetime.now(UTC) - timedelta(days=3)}
)


def journals(**seen: Any) -> list[Check]:
    return list(Journals(**seen).checks())


CASES: list[tuple[str, list[Check], Result, str]] = [
    ("no work queue", check_work(None, 0), Result.FAIL, "there is no work queue"),
    (
        "nobody consumes, messages are in somebody's hands",
        check_work(Count(0, 0), 4),
        Result.FAIL,
        "no registrar consumes, 4 messages wait",
    ),
    ("nobody consumes, nothing waits", check_work(Count(0, 0), 0), Result.DEGRADED, "no registrar consumes"),
    (
        "a delay queue is missing",
        check_delays(dict.fromkeys(DELAYS), [0]),
        Result.DEGRADED,
        "missing: lapidicom.registrations.retry.7s",
    ),
    (
        "held back",
        check_delays(DELAYS, [UNSEEN, 2]),
        Result.NOTE,
        "2 messages are held back on their way to another queue",
    ),
    ("dead letters", [LETTERS], Result.DEGRADED, "3 dead letters: 2 file-missing (oldest 3d 0h); 1 refused"),
    (
        "the relay stands still",
        journals(oldest=NOW - timedelta(seconds=3700), unrelayed_bytes=100),
        Result.DEGRADED,
        "records wait for their relay: 100 B not relayed, oldest 1h 1m",
    ),
    (
        "a corrupted journal",
        journals(corrupted=[BadLines(Position(1, 40), 9, NOW - timedelta(hours=2), None)]),
        Result.DEGRADED,
        "journals cannot be read at 1 places: instances may not be registered",
    ),
    (
        "a journal of a newer version",
        journals(left_alone=[UnknownJournal("journals/3/r.1", "r.1", "format 3")]),
        Result.DEGRADED,
        "1 journals of a newer version are left alone: journals/3/r.1 (format 3)",
    ),
    (
        "records set aside",
        journals(set_aside=2),
        Result.DEGRADED,
        "2 records were set aside: no message could be made of them",
    ),
    (
        "a receiver that only refuses",
        journals(refused=FULL, last_refused=NOW, last_stored=NOW - timedelta(seconds=1)),
        Result.FAIL,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "nothing was stored since",
    ),
    (
        "a receiver that has refused, and another one that stores",
        journals(refused=FULL, last_refused=NOW - timedelta(seconds=1), last_stored=NOW),
        Result.DEGRADED,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "instances were stored since",
    ),
    (
        "instances that nobody could store",
        journals(refused=Counter({"0xC000 no PatientID": 3})),
        Result.NOTE,
        "refused for their content in the last 5 minutes, 3 x 0xC000 no PatientID",
    ),
    (
        "nothing mounted",
        volume(sentinel=""),
        Result.DEGRADED,
        "no sentinel: an empty mount point, or no receiver ever used it",
    ),
    ("no inodes", volume(free_inodes=0), Result.FAIL, "no free inodes: receivers refuse"),
    (
        "too little space",
        volume(needed=51),
        Result.FAIL,
        "50.0 GiB free of 100.0 GiB, below CHRIS_MIN_FREE_SPACE (51.0 GiB): receivers refuse",
    ),
    (
        "almost too little space",
        volume(needed=49),
        Result.DEGRADED,
        "50.0 GiB free of 100.0 GiB, within 10 % of CHRIS_MIN_FREE_SPACE (49.0 GiB): receivers refuse, "
        "or soon will",
    ),
]


@pytest.mark.parametrize(
    ("checks", "expected", "what"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_wrong_is_found_with_its_level_and_a_remedy(
    checks: list[Check], expected: Result, what: str
) -> None:
    found = judged(checks)
    assert [(one.result, one.seen) for one in found.findings] == [(expected, what)]
    assert found.findings[0].remedy
    assert found.status == {Result.FAIL: "down", Result.DEGRADED: "degraded"}.get(expected, "healthy")
    assert [area.state for area in found.areas] == [found.status.replace("healthy", "ok")]


@pytest.mark.parametrize(
    ("checks", "text"),
    [
        (check_work(Count(3, 2), 4), "3 ready; 4 unacknowledged; 2 consumers"),
        (check_work(Count(3, 2), UNSEEN), "3 ready; unacknowledged not visible; 2 consumers"),
        (check_delays(DELAYS, [0, 0]), "5 parked, retried or settling; none held back"),
        ([check_letters(Counter(), {})], "none"),
        (journals(under_way=1), "1 under way, 0 finished; all relayed"),
        (
            journals(oldest=NOW - timedelta(seconds=20), unrelayed_bytes=100),
            "0 under way, 0 finished; 100 B not relayed, oldest ",
        ),
        (volume(), "/data, sentinel 5a0b6d0e; 50.0 GiB free of 100.0 GiB; inodes left"),
    ],
)
def test_what_is_well_or_within_bounds_is_shown_and_not_judged(checks: list[Check], text: str) -> None:
    found = judged(checks)
    assert (found.status, found.findings) == ("healthy", [])
    (area,) = found.areas
    assert area.state == "ok"
    assert all(check.remedy == "" for check in checks if check.result is Result.PASS)
    assert area.seen.startswith(text)


def test_bad_lines_ask_for_a_reconcile_of_their_time() -> None:
    bad = [BadLines(Position(1, 40), 9, datetime(2024, 1, day, tzinfo=UTC), None) for day in (3, 2)]
    assert "lapidicom reconcile --since 2024-01-02T00:00," in journals(corrupted=bad)[1].remedy
    bad.append(BadLines(Position(1, 60), 9, None, None))
    assert "lapidicom reconcile," in journals(corrupted=bad)[1].remedy


def test_what_is_not_visible_is_not_judged_and_has_no_number() -> None:
    assert [check.count for check in check_work(Count(3, 2), UNSEEN)] == [3, None, 2]
    found = judged([checked("CUBE", "reachable", UNSEEN)])
    assert (found.status, found.findings) == ("healthy", [])
    assert [(area.state, area.seen) for area in found.areas] == [
        ("?", "not visible from here (nobody looks)")
    ]


def test_the_worst_finding_comes_first_and_gives_the_level() -> None:
    found = judged([LETTERS, *check_work(None, 0)])
    assert [one.result for one in found.findings] == [Result.FAIL, Result.DEGRADED]
    assert found.status == "down"


def test_of_many_reasons_the_most_frequent_are_named() -> None:
    check = check_letters(Counter({f"r{number}": 10 - number for number in range(8)}), {})
    assert (check.count, check.seen) == (
        52,
        "52 dead letters: 10 r0; 9 r1; 8 r2; 7 r3; 6 r4; 5 r5; 2 more reasons",
    )


def test_dead_letters_are_not_read_again_while_their_number_stays_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    depths: dict[str, list[Count | None]] = {DEAD_LETTER_QUEUE: [None, Count(1, 0), Count(1, 0), Count(2, 0)]}
    reads = [["refused"], ["refused", "refused"]]

    async def counted(_: object, queue: str) -> Count | None:
        return depths[queue].pop(0) if queue in depths else Count(0, 1)

    @asynccontextmanager
    async def letters(*_: object, **__: object) -> AsyncIterator[AsyncIterator[tuple[Any, None]]]:
        found = reads.pop(0)

        async def each() -> AsyncIterator[tuple[Any, None]]:
            for reason in found:
                yield SimpleNamespace(reason=reason, died_at=NOW), None

        yield each()

    async def looks() -> list[int | None]:
        queues = QueueLook(SimpleNamespace(queues=unseen), [1])  # type: ignore[arg-type]
        return [(await queues.look(None))[-1].count for _ in range(4)]  # type: ignore[arg-type]

    async def unseen() -> NotVisible:
        return UNSEEN

    monkeypatch.setattr(broker_look, "count", counted)
    monkeypatch.setattr(broker_look, "look", letters)
    assert asyncio.run(looks()) == [None, 1, 1, 2]
    assert reads == []
