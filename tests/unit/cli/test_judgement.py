"""Healthy, degraded or down: the rules as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lapidicom.cli.answers import NotVisible, checked
from lapidicom.cli.judgement import Level, judge, level
from lapidicom.cli.snapshot import (
    BrokerLook,
    DeadLettersLook,
    DelayedLook,
    JournalLook,
    QueueLook,
    ReasonLook,
    Refusals,
    ServiceLook,
    Snapshot,
    VolumeLook,
    size,
)
from lapidicom.cli.times import age
from lapidicom.cli.verbs.status import judged
from lapidicom.common.journal.bad_lines import BadLines
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.reader import UnknownJournal


def but(look: Any, **changes: Any) -> Any:
    """The same look with other values."""
    return look.model_copy(update=changes)


NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
GIB = 1 << 30

WORK = QueueLook(ready=3, unacknowledged=4, consumers=2, held_back=0, publish_rate=1.0, ack_rate=1.0)
JOURNAL = JournalLook(name="r.1", unrelayed_bytes=100, oldest=NOW, beat=NOW, finished=False, set_aside=0)
FULL = Refusals(status="0xA700", reason="disk full", count=3, latest=NOW - timedelta(seconds=20))
TORN = Refusals(status="0xA700", reason="torn", count=1, latest=NOW - timedelta(seconds=30))
UNSEEN = NotVisible("nobody looks")
REACHABLE = checked("CUBE", "reachable", "", "http://chris/api/v1/")
CUBE = [REACHABLE, checked("CUBE", "storage", UNSEEN)]
READY = ServiceLook(service="registrar", address="registrar:8080", ready=True)
VOLUME = VolumeLook(
    path="/data",
    free_bytes=50 * GIB,
    total_bytes=100 * GIB,
    inodes=1000,
    sentinel="5a0b6d0e-1",
    needed_bytes=GIB,
)
LETTERS = DeadLettersLook(
    count=3,
    reasons=[
        ReasonLook(reason="file-missing", count=2, oldest=datetime.now(UTC) - timedelta(days=3)),
        ReasonLook(reason="refused", count=1),
    ],
)
BROKER = BrokerLook(address="amqp://rabbit/chris", version="3.10.8", alarms=[])

WELL = Snapshot(
    taken_at=NOW,
    broker=BROKER,
    work=WORK,
    delayed=DelayedLook(messages=5, held_back=0),
    dead_letters=DeadLettersLook(count=0, reasons=[]),
    journals=[JOURNAL],
    left_alone=[],
    cube=CUBE,
    volume=VOLUME,
    receivers=[but(READY, service="receiver")],
    registrars=[READY],
)


def test_a_system_in_which_all_works_is_healthy_and_nothing_is_said() -> None:
    assert judge(WELL) == []
    assert level([]) is Level.HEALTHY


CASES: list[tuple[str, dict[str, Any], Level, str]] = [
    ("RabbitMQ away", {"broker": but(BROKER, fault="no answer")}, Level.DOWN, "no answer"),
    (
        "alarm",
        {"broker": but(BROKER, alarms=["memory on a"])},
        Level.DOWN,
        "in alarm (memory on a): nothing can be published",
    ),
    ("no work queue", {"work": None}, Level.DOWN, "there is no work queue"),
    (
        "nobody consumes, messages are in somebody's hands",
        {"work": but(WORK, ready=0, consumers=0)},
        Level.DOWN,
        "no registrar consumes, 4 messages wait",
    ),
    (
        "nobody consumes, nothing waits",
        {"work": but(WORK, ready=0, unacknowledged=UNSEEN, consumers=0)},
        Level.DEGRADED,
        "no registrar consumes",
    ),
    (
        "a delay queue is missing",
        {"delayed": DelayedLook(messages=0, missing=["lapidicom.registrations.retry.7s"], held_back=0)},
        Level.DEGRADED,
        "missing: lapidicom.registrations.retry.7s",
    ),
    (
        "held back",
        {"delayed": DelayedLook(messages=5, held_back=2)},
        Level.NOTE,
        "2 messages are held back on their way to another queue",
    ),
    ("dead letters", {"dead_letters": LETTERS}, Level.DEGRADED, "3 dead letters"),
    (
        "no dead-letter queue",
        {"dead_letters": None},
        Level.DEGRADED,
        "there is no queue for dead letters",
    ),
    (
        "the relay stands still",
        {"journals": [but(JOURNAL, oldest=NOW - timedelta(seconds=61))]},
        Level.DEGRADED,
        "a record waits for its relay since 61 s",
    ),
    (
        "a corrupted journal",
        {
            "journals": [
                but(JOURNAL, corrupted=[BadLines(Position(1, 40), 9, NOW - timedelta(hours=2), None)]),
            ]
        },
        Level.DEGRADED,
        "journals cannot be read at 1 places: instances received from "
        f"{NOW - timedelta(hours=2):%Y-%m-%d %H:%M} UTC to their end may not be registered",
    ),
    (
        "a journal of a newer version",
        {"left_alone": [UnknownJournal("journals/3/r.1", "r.1", "format 3")]},
        Level.DEGRADED,
        "1 journals of a newer version are left alone: journals/3/r.1 (format 3)",
    ),
    (
        "records set aside",
        {"journals": [but(JOURNAL, set_aside=2)]},
        Level.DEGRADED,
        "2 records were set aside: no message could be made of them",
    ),
    (
        "a receiver that only refuses",
        {"journals": [but(JOURNAL, refused=[FULL, TORN], last_stored=NOW - timedelta(seconds=21))]},
        Level.DOWN,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full, 1 x 0xA700 torn; "
        "nothing was stored since",
    ),
    (
        "a receiver that has refused, and another one that stores",
        {"journals": [but(JOURNAL, refused=[FULL]), but(JOURNAL, last_stored=NOW)]},
        Level.DEGRADED,
        "refused for the system's sake in the last 5 minutes, 3 x 0xA700 disk full; "
        "instances were stored since",
    ),
    (
        "instances that nobody could store",
        {"journals": [but(JOURNAL, refused=[but(FULL, status="0xC000", reason="no PatientID")])]},
        Level.NOTE,
        "refused for their content in the last 5 minutes, 3 x 0xC000 no PatientID",
    ),
    (
        "CUBE away",
        {"cube": [checked("CUBE", "reachable", "CUBE: no", remedy="start it")]},
        Level.DOWN,
        "CUBE: no",
    ),
    (
        "no registrar is ready",
        {"registrars": [but(READY, address="r:1", ready=False, reasons=["CUBE: outage (http_403)"])]},
        Level.DOWN,
        "registrar r:1 is not ready: CUBE: outage (http_403)",
    ),
    (
        "one of two receivers is ready",
        {
            "receivers": [
                READY,
                ServiceLook(service="receiver", address="b:1", ready=False, reasons=["the volume is gone"]),
            ]
        },
        Level.DEGRADED,
        "receiver b:1 is not ready: the volume is gone",
    ),
    (
        "a receiver is degraded",
        {"receivers": [ServiceLook(service="receiver", address="b:1", ready=True, reasons=["too little"])]},
        Level.DEGRADED,
        "receiver b:1 is degraded: too little",
    ),
    (
        "nothing mounted",
        {"volume": but(VOLUME, sentinel="")},
        Level.DEGRADED,
        "no sentinel: an empty mount point, or no receiver ever used it",
    ),
    ("no inodes", {"volume": but(VOLUME, inodes=0)}, Level.DOWN, "no free inodes: receivers refuse"),
    (
        "too little space",
        {"volume": but(VOLUME, free_bytes=GIB // 2)},
        Level.DOWN,
        "512.0 MiB free, below CHRIS_MIN_FREE_SPACE (1.0 GiB): receivers refuse",
    ),
    (
        "almost too little space",
        {"volume": but(VOLUME, free_bytes=GIB)},
        Level.DEGRADED,
        "free space within 10 % of CHRIS_MIN_FREE_SPACE: receivers refuse, or soon will",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "what"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_wrong_is_found_with_its_level_and_a_remedy(
    changes: dict[str, Any], expected: Level, what: str
) -> None:
    found = judge(but(WELL, **changes))
    assert [(one.level, one.what) for one in found] == [(expected, what)]
    assert found[0].remedy
    assert level(found) is max(expected, Level.HEALTHY)


@pytest.mark.parametrize(
    "changes",
    [
        {"broker": but(BROKER, alarms=UNSEEN)},
        {"work": but(WORK, unacknowledged=UNSEEN, held_back=UNSEEN)},
        {"work": UNSEEN, "delayed": UNSEEN, "dead_letters": UNSEEN},
        {"dead_letters": DeadLettersLook(count=UNSEEN, reasons=UNSEEN)},
        {"journals": UNSEEN, "left_alone": UNSEEN, "volume": UNSEEN},
        {"cube": UNSEEN},
        {"receivers": UNSEEN, "registrars": UNSEEN},
        {"volume": but(VOLUME, inodes=None)},
        {"journals": [but(JOURNAL, oldest=NOW - timedelta(seconds=60))]},
    ],
)
def test_what_is_not_visible_or_within_bounds_is_not_judged(changes: dict[str, Any]) -> None:
    assert judge(but(WELL, **changes)) == []


def test_the_worst_finding_comes_first_and_gives_the_level() -> None:
    found = judge(but(WELL, dead_letters=LETTERS, work=None))
    assert [one.level for one in found] == [Level.DOWN, Level.DEGRADED]
    assert level(found) == 2


def test_the_screen_says_of_each_area_what_was_seen_and_how_bad_it_is() -> None:
    snapshot = but(WELL, dead_letters=LETTERS, volume=UNSEEN, work=None)
    rows = {area.area: (area.state, area.seen) for area in judged(snapshot).areas}
    assert rows["dead letters"] == ("degraded", "2 file-missing (oldest 3d 0h); 1 refused")
    assert rows["volume"] == ("?", "not visible from here (nobody looks)")
    assert rows["journals"] == ("ok", f"1 under way, 0 finished; 100 B not relayed, oldest {age(NOW)}")
    assert rows["work queue"] == ("down", "there is no such queue")
    assert rows["CUBE"] == ("ok", "http://chris/api/v1/: reachable ok, storage ?")
    assert rows["receivers"] == ("ok", "1 of 1 ready: registrar:8080")
    well = {area.area: area.seen for area in judged(but(WELL, journals=[but(JOURNAL, oldest=None)])).areas}
    assert well["journals"] == "1 under way, 0 finished; all relayed"
    assert well["work queue"] == "3 ready; 4 unacknowledged; 2 consumers; in 1/s, out 1/s"


def test_the_document_is_the_snapshot_with_its_findings() -> None:
    document = judged(but(WELL, cube=UNSEEN, broker=but(BROKER, alarms=UNSEEN))).model_dump(mode="json")
    assert document["status"] == "healthy"
    assert document["cube"] is None
    assert document["not_visible"] == {"broker.alarms": "nobody looks", "cube": "nobody looks"}
    assert document["findings"] == []
    assert "areas" not in document


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_a_size_is_told_with_its_prefix(number: int, text: str) -> None:
    assert size(number) == text
