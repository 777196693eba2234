"""The journal as its owner uses it: group commit, the mark, failures, rotation, a new life."""

import contextlib
import errno
import gc
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.format import SEGMENT_LIMIT, Position, decode_position
from lapidicom.common.journal.records import OpenSeries
from lapidicom.receiver.errors import JournalUnavailable
from lapidicom.receiver.journal.writer import Entry, Journal
from tests.support.journal_records import ended, instance, key, read_all, started
from tests.support.polling import eventually

REFUSAL = records.instance_refused(
    association_id="association-1",
    calling_ae_title="MODALITY",
    peer_address="h:1",
    status=0xC000,
    reason="PatientID (0010,0020) is missing",
)
ASSOCIATION_ENDED = records.association_ended(
    association_id="association-1",
    calling_ae_title="MODALITY",
    called_ae_title="ChRIS",
    peer_address="h:1",
    how="released",
    received=1,
    refused=0,
)


TAKEOVER = 120.0


class Watched(FileSystem):
    """The real system calls, counted, with an action before or instead of some."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.before: dict[str, Callable[..., Any]] = {}
        self.instead: dict[str, Callable[..., Any]] = {}
        for name in ("write", "fdatasync", "fsync", "open", "pwrite", "mkdir"):
            setattr(self, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name in self.before:
                self.before[name](*args)
            return self.instead.get(name, call)(*args, **kwargs)

        return watched


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


class Owner:
    """A journal in a temporary folder, and what it tells."""

    def __init__(
        self,
        spool: Path,
        *,
        fsync: bool = True,
        heartbeat: float = 1000,
        limit: int = SEGMENT_LIMIT,
        takes_refusals: Callable[[], bool] = lambda: True,
    ) -> None:
        self.now = 0.0
        self.spool = spool
        self.fs = Watched()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.lives: list[str] = []
        self.open_series: list[int] = []
        self.refuses_lives = False
        self.journal = Journal.open(
            spool,
            "receiver-1",
            fsync=fsync,
            heartbeat=heartbeat,
            takeover=TAKEOVER,
            clock=lambda: self.now,
            file_system=self.fs,
            segment_limit=limit,
            observe=self.observe,
            on_next=self._on_next,
            takes_refusals=takes_refusals,
        )

    def _on_next(self, life: str, series: Collection[OpenSeries]) -> None:
        if self.refuses_lives:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.lives.append(f"receiver-1.{life}")
        self.open_series.append(len(series))

    def observe(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    @property
    def folder(self) -> Path:
        return self.spool / "journals/2" / self.journal.folder

    def mark(self) -> Position:
        position = decode_position((self.folder / "committed").read_bytes())
        assert position is not None
        return position

    def store(self, number: int, *, first: bool = False, series: int = 1) -> Entry:
        entry = self.journal.append(
            [instance(number, series=series)],
            series=key(series=series),
            starts=started(series=series) if first else None,
        )
        try:
            self.journal.wait(entry)
        finally:
            self.journal.settle(entry)
        return entry

    def kinds(self) -> list[str]:
        return [record.kind for record in read_all(self.folder)]

    def numbers(self) -> list[int]:
        return [record.sequence for record in read_all(self.folder)]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [record.fields() for record in read_all(self.folder) if record.kind == kind]


@pytest.fixture
def make_owner(tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Owner:
            owner = Owner(tmp_path, **options)
            stack.callback(owner.journal.close)
            return owner

        yield make


@pytest.mark.parametrize("fsync", [True, False])
def test_what_was_answered_stands_below_the_mark(make_owner: Callable[..., Owner], fsync: bool) -> None:
    owner = make_owner(fsync=fsync)
    for number in range(1, 4):
        owner.store(number, first=number == 1)
    assert owner.kinds() == ["segment_opened", "series_started", *["instance_received"] * 3]
    assert owner.mark() == Position(1, (owner.folder / "00000001.log").stat().st_size)


def test_a_life_is_durable_before_it_counts(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    # The folder of this format's journals, that of all, the spool, what holds it; the segment's own folder.
    assert owner.fs.calls["fsync"] == 5
    assert owner.fs.calls["fdatasync"] == 1
    assert stat.S_IMODE(owner.folder.stat().st_mode) == 0o750
    assert {stat.S_IMODE(file.stat().st_mode) for file in owner.folder.iterdir()} == {0o640}


def test_without_fsync_nothing_is_synced(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(fsync=False)
    owner.store(1, first=True)
    assert owner.fs.calls["fsync"] == owner.fs.calls["fdatasync"] == 0


def test_one_sync_serves_all_that_wait(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(0, first=True)
    held = threading.Event()
    begun = threading.Event()

    def hold(*_: object) -> None:
        begun.set()
        assert held.wait(10)

    owner.fs.before["fdatasync"] = hold
    first = threading.Thread(target=owner.store, args=(1,))
    first.start()
    assert begun.wait(10)
    syncs = owner.fs.calls["fdatasync"]
    entries = [owner.journal.append([instance(number)], series=key()) for number in range(2, 52)]
    held.set()
    for entry in entries:
        owner.journal.wait(entry)
        owner.journal.settle(entry)
    first.join()
    assert owner.fs.calls["fdatasync"] == syncs + 1
    assert owner.mark().offset == (owner.folder / "00000001.log").stat().st_size


def test_many_threads_lose_nothing_and_no_number_repeats(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(limit=20_000)
    owner.store(0, first=True)

    def work(worker: int) -> None:
        for number in range(25):
            owner.store(worker * 100 + number)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owner.numbers()) == len(set(owner.numbers()))
    paths = {body["path"] for body in owner.bodies("instance_received")}
    assert len(paths) == 201
    assert len(list(owner.folder.glob("*.log"))) > 3


def test_the_mark_never_passes_an_entry_that_is_not_settled(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    before = owner.mark()
    unsettled = owner.journal.append([instance(2)], series=key())
    owner.journal.wait(unsettled)
    later = owner.store(3)
    assert owner.mark() == before
    owner.journal.settle(unsettled)
    assert owner.mark() == later.end


def test_the_mark_never_passes_an_entry_that_is_not_durable(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    before = owner.mark()
    held, begun = threading.Event(), threading.Event()
    owner.fs.before["fdatasync"] = lambda *_: (begun.set(), held.wait(10))
    entry = owner.journal.append([instance(2)], series=key())
    owner.journal.settle(entry)
    assert begun.wait(10)
    assert owner.mark() == before
    held.set()
    owner.journal.wait(entry)
    assert owner.mark() == entry.end


def fail_write(fs: Watched) -> None:
    fs.instead["write"] = failing(errno.ENOSPC)


def fail_sync(fs: Watched) -> None:
    fs.instead["fdatasync"] = failing(errno.EIO)


def write_half(fs: Watched) -> None:
    fs.instead["write"] = lambda fd, data: os.write(fd, data[: len(data) // 2])


@pytest.mark.parametrize("fault", [fail_write, fail_sync, write_half])
def test_a_failed_batch_closes_its_segment_for_ever(
    make_owner: Callable[..., Owner], fault: Callable[[Watched], None]
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    fault(owner.fs)
    with pytest.raises(JournalUnavailable) as caught:
        owner.store(2)
    assert caught.value.status == 0xA700
    assert owner.journal.fault is not None
    left = (owner.folder / "00000001.log").read_bytes()
    owner.fs.instead.clear()
    good = owner.store(3)
    assert owner.journal.fault is None
    assert (owner.folder / "00000001.log").read_bytes() == left
    assert good.end is not None
    assert good.end.segment == 2
    assert owner.mark() == good.end
    assert owner.bodies("instance_received")[-1]["SOPInstanceUID"].endswith(".3")
    assert len(owner.numbers()) == len(set(owner.numbers()))


def test_a_full_disk_does_not_fill_with_empty_segments(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    fail_write(owner.fs)
    for number in range(5):
        with pytest.raises(JournalUnavailable):
            owner.store(number)
    assert [file.name for file in owner.folder.glob("*.log")] == ["00000001.log"]


def test_a_new_segment_counts_only_once_its_folder_is_synced(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(limit=1500)
    owner.store(1, first=True)
    before = owner.mark()
    owner.fs.instead["fsync"] = failing(errno.EIO)
    with pytest.raises(JournalUnavailable):
        owner.store(2)
    assert owner.mark() == before


def test_a_segment_begins_with_the_series_still_open_and_their_counts(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner(limit=4000)
    owner.store(1, first=True)
    other = owner.journal.append([instance(9, series=2)], series=key(series=2), starts=started(series=2))
    owner.journal.wait(other)
    owner.journal.settle(other)
    owner.journal.append_quietly([REFUSAL], series=key())
    owner.journal.end([ended(1, series=2)], [key(series=2)])
    for number in range(2, 8):
        owner.store(number)
    found = list(read_all(owner.folder))
    head = max(number for number, one in enumerate(found) if one.kind == "segment_opened")
    before, series = found[:head], found[head + 1].fields()
    assert found[head].fields()["open_series"] == 1
    assert found[head + 1].kind == "series_open"
    assert series["series"]["SeriesInstanceUID"] == "1.2.3.1"
    assert series["sequence"] == next(one.sequence for one in before if one.kind == "series_started")
    assert series["received"] == sum(
        one.kind == "instance_received" and one.fields()["SeriesInstanceUID"] == "1.2.3.1" for one in before
    )
    assert series["refused"] == 1


def test_a_series_whose_first_batch_failed_is_not_open(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    fail_sync(owner.fs)
    with pytest.raises(JournalUnavailable):
        owner.store(1, first=True)
    owner.fs.instead.clear()
    owner.journal.append_quietly([ASSOCIATION_ENDED])
    eventually(lambda: "association_ended" in owner.kinds())
    assert [body["open_series"] for body in owner.bodies("segment_opened")] == [0, 0]


def test_refusals_wait_for_no_sync(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    syncs = owner.fs.calls["fdatasync"]
    owner.journal.append_quietly([REFUSAL], series=key())
    eventually(lambda: "instance_refused" in owner.kinds())
    assert owner.fs.calls["fdatasync"] == syncs
    entry = owner.store(2)
    assert owner.mark() == entry.end


def test_without_fsync_the_mark_never_moves_back_to_a_refusal(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(fsync=False)
    owner.store(1, first=True)
    owner.journal.append_quietly([REFUSAL], series=key())
    answered = owner.store(2)
    assert owner.mark() == answered.end
    in_hand = owner.journal.append([instance(3, series=2)], series=key(series=2), starts=started(series=2))
    assert owner.mark() == answered.end
    owner.journal.settle(in_hand)
    assert owner.mark() == in_hand.end


def test_refusals_that_wait_for_a_sync_take_no_memory(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    for _ in range(3000):
        owner.journal.append_quietly([REFUSAL], series=key())
    eventually(lambda: owner.kinds().count("instance_refused") == 3000)
    assert not owner.journal._group._mark.entries

    def left() -> int:
        return sum(isinstance(one, Entry) and one.refused for one in gc.get_objects())

    eventually(lambda: left() <= 1, what="the batch that was written last is let go")
    entry = owner.store(2)
    assert owner.mark() == entry.end


def test_refusals_that_a_hanging_disk_keeps_waiting_are_bounded_and_counted(
    make_owner: Callable[..., Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.receiver.journal.commit._MOST_REFUSALS", 10)
    owner = make_owner()
    owner.store(1, first=True)
    held, begun = threading.Event(), threading.Event()
    owner.fs.before["fdatasync"] = lambda *_: (begun.set(), held.wait(10))
    entry = owner.journal.append([instance(2)], series=key())
    assert begun.wait(10)
    for _ in range(25):
        owner.journal.append_quietly([REFUSAL], series=key())
    owner.journal.end([ended(2)], [key()])
    held.set()
    owner.journal.wait(entry)
    owner.journal.settle(entry)
    eventually(lambda: owner.kinds()[-1] == "series_ended")
    assert owner.kinds().count("instance_refused") == 10
    owner.journal._group.beat()
    owner.journal._group.beat()
    assert owner.events == [("refusals_not_recorded", {"count": 15})]


def test_without_fsync_nobody_waits_behind_a_write_that_hangs_to_record_a_refusal_or_an_end(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner(fsync=False)
    owner.store(1, first=True)
    held, begun = threading.Event(), threading.Event()
    owner.fs.before["write"] = lambda *_: (begun.set(), held.wait(10))
    holder = threading.Thread(target=owner.store, args=(2,))
    holder.start()
    assert begun.wait(10)
    owner.journal.append_quietly([REFUSAL], series=key())
    owner.journal.end([ended(2), ASSOCIATION_ENDED], [key()])
    assert holder.is_alive(), "they came back before the write did"
    held.set()
    holder.join(10)
    assert owner.kinds()[-4:] == [
        "instance_received",
        "instance_refused",
        "series_ended",
        "association_ended",
    ]
    assert owner.mark().offset == (owner.folder / "00000001.log").stat().st_size


def test_no_end_record_is_given_up_however_many_a_hanging_disk_keeps_waiting(
    make_owner: Callable[..., Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.receiver.journal.commit._MOST_REFUSALS", 2)
    owner = make_owner()
    for series in range(12):
        owner.store(1, first=True, series=series)
    held, begun = threading.Event(), threading.Event()
    owner.fs.before["fdatasync"] = lambda *_: (begun.set(), held.wait(10))
    durable: list[int] = []
    owner.journal.end([ended(1, series=0)], [key(series=0)])
    assert begun.wait(10)
    for series in range(1, 12):
        owner.journal.end([ended(1, series=series)], [key(series=series)], lambda n=series: durable.append(n))
        owner.journal.append_quietly([ASSOCIATION_ENDED])
    assert durable == []
    held.set()
    eventually(lambda: durable == list(range(1, 12)))
    assert owner.kinds().count("series_ended") == 12
    assert owner.kinds().count("association_ended") == 2


@pytest.mark.parametrize("fsync", [True, False])
def test_refusals_are_not_written_to_a_volume_that_takes_no_instances(
    make_owner: Callable[..., Owner], fsync: bool
) -> None:
    takes = True
    owner = make_owner(fsync=fsync, takes_refusals=lambda: takes)
    owner.store(1, first=True)
    size = (owner.folder / "00000001.log").stat().st_size
    takes = False
    for _ in range(100):
        owner.journal.append_quietly([REFUSAL], series=key())
    owner.journal.end([ended(1)], [key()])
    eventually(lambda: owner.kinds()[-1] == "series_ended")
    assert (owner.folder / "00000001.log").stat().st_size < size + 2 * len(ended(1))
    takes = True
    owner.journal.append_quietly([REFUSAL])
    eventually(lambda: owner.kinds()[-1] == "instance_refused")
    owner.journal._group.beat()
    assert ("refusals_not_recorded", {"count": 100}) in owner.events


def test_an_end_record_that_cannot_be_written_is_kept_until_a_later_batch(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    fail_write(owner.fs)
    owner.journal.end([ended(1), ASSOCIATION_ENDED], [key()])
    eventually(lambda: owner.journal.fault is not None)
    owner.fs.instead.clear()
    entry = owner.journal.append([instance(2, "association-2")], series=None)
    owner.journal.wait(entry)
    owner.journal.settle(entry)
    assert owner.kinds()[-4:] == ["series_open", "series_ended", "association_ended", "instance_received"]
    assert owner.mark() == entry.end


def test_end_records_that_are_kept_need_no_traffic_to_be_written(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(heartbeat=0.02)
    owner.store(1, first=True)
    fail_write(owner.fs)
    owner.journal.end([ended(1)], [key()])
    eventually(lambda: owner.journal.fault is not None)
    owner.fs.instead.clear()
    eventually(lambda: owner.kinds()[-1] == "series_ended")
    eventually(lambda: owner.journal.fault is None)


def test_ends_of_series_are_durable_only_when_a_later_batch_has_taken_them(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    durable: list[int] = []
    for series in (1, 2):
        owner.store(1, first=True, series=series)
    fail_sync(owner.fs)
    for series in (1, 2):
        owner.journal.end([ended(1, series=series)], [key(series=series)], lambda n=series: durable.append(n))
    eventually(lambda: owner.journal.fault is not None)
    for _ in range(3):
        owner.journal._group.beat()
        assert durable == []
    owner.fs.instead.clear()
    owner.journal._group.beat()
    assert durable == [1, 2]
    owner.store(2, first=True, series=3)
    assert owner.bodies("segment_opened")[-1]["open_series"] == 2
    assert owner.kinds()[-4:] == ["series_ended", "series_ended", "series_started", "instance_received"]


@pytest.mark.parametrize("fsync", [True, False])
def test_an_owner_whose_journal_was_deleted_goes_on_in_a_new_life(
    make_owner: Callable[..., Owner], fsync: bool
) -> None:
    owner = make_owner(fsync=fsync, heartbeat=1000 if fsync else 0.02)
    owner.store(1, first=True)
    old = owner.folder
    life = owner.journal.life
    for file in old.iterdir():
        file.unlink()
    old.rmdir()
    if not fsync:
        eventually(lambda: owner.journal.life != life)
    owner.store(2)
    assert owner.folder != old
    assert owner.lives == [owner.journal.folder]
    # The association goes on: its series is open in the new life too.
    assert [one["received"] for one in owner.bodies("series_open")] == [1]
    assert owner.mark().offset == (owner.folder / "00000001.log").stat().st_size


@pytest.mark.parametrize("fsync", [True, False])
@pytest.mark.parametrize("seconds", [60.0, 60.5])
def test_an_owner_that_may_be_taken_for_dead_answers_only_from_a_new_life(
    make_owner: Callable[..., Owner], fsync: bool, seconds: float
) -> None:
    owner = make_owner(fsync=fsync)
    owner.store(1, first=True)
    old, life = owner.folder, owner.journal.life
    beat = (old / "heartbeat").read_bytes()
    owner.now = seconds
    owner.store(2)
    if seconds <= TAKEOVER / 2:
        assert owner.journal.life == life
        return
    assert owner.lives == [owner.journal.folder]
    assert [one["received"] for one in owner.bodies("series_open")] == [1]
    assert owner.kinds()[-1] == "instance_received"
    assert (old / "heartbeat").read_bytes() == beat, "it must not seem to live"
    owner.now += 10
    owner.journal._group.beat()
    owner.store(3)
    assert len(owner.lives) == 1


def test_nothing_is_written_to_a_new_life_before_its_open_series_are_known(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    owner.now = 100.0
    owner.refuses_lives = True
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            owner.store(2)
    assert owner.lives == []
    owner.refuses_lives = False
    owner.journal._group.beat()
    assert owner.open_series == [1]
    owner.store(3)
    assert owner.kinds()[-1] == "instance_received"


def test_a_heartbeat_that_comes_too_late_is_left_out_and_a_new_life_begins(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    old = owner.folder
    beat = (old / "heartbeat").read_bytes()
    owner.now = 100.0
    owner.journal._group.beat()
    assert owner.folder != old
    assert (old / "heartbeat").read_bytes() == beat
    assert owner.journal.fault is None


def test_an_owner_that_was_paused_between_write_and_sync_answers_only_from_a_new_life(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    life = owner.journal.life

    def pause(*_: object) -> None:
        owner.now = 1000.0
        owner.fs.before.clear()

    owner.fs.before["fdatasync"] = pause
    owner.store(2)
    assert owner.journal.life != life
    assert owner.kinds() == ["segment_opened", "series_open", "instance_received"]


def test_a_stale_handle_ends_the_life(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    life = owner.journal.life
    owner.fs.instead["fdatasync"] = failing(errno.ESTALE)
    with pytest.raises(JournalUnavailable):
        owner.store(2)
    owner.fs.instead.clear()
    owner.store(3)
    assert owner.journal.life != life


def test_a_mark_that_could_not_be_written_is_written_later(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(heartbeat=0.02)
    owner.store(1, first=True)
    owner.fs.instead["pwrite"] = failing(errno.EIO)
    entry = owner.store(2)
    assert owner.mark() != entry.end
    owner.fs.instead.clear()
    eventually(lambda: owner.mark() == entry.end)


def test_the_heart_beats_by_itself(make_owner: Callable[..., Owner]) -> None:
    owner = make_owner(heartbeat=0.02)
    first = (owner.folder / "heartbeat").read_bytes()
    eventually(lambda: (owner.folder / "heartbeat").read_bytes() > first)


def test_no_journal_without_a_spool(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable):
        Owner(tmp_path / "not mounted")


@pytest.mark.parametrize("body", [b"instance_received\t{\n}", b"x" * (4 << 20) + b"x"])
def test_what_no_reader_would_take_is_refused(make_owner: Callable[..., Owner], body: bytes) -> None:
    owner = make_owner()
    with pytest.raises(JournalUnavailable):
        owner.journal.append([body])
    owner.store(1, first=True)


def test_closing_commits_what_waits_and_nothing_is_taken_afterwards(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.store(1, first=True)
    owner.journal.append_quietly([REFUSAL])
    owner.journal.end([ended(1)], [key()])
    owner.journal.close()
    assert owner.kinds()[-2:] == ["instance_refused", "series_ended"]
    assert owner.mark().offset == (owner.folder / "00000001.log").stat().st_size
    with pytest.raises(JournalUnavailable):
        owner.store(2)
    assert len(list((tmp_path / "journals/2").iterdir())) == 1


def test_a_fault_of_ours_fails_the_waiters_and_not_the_committer(
    make_owner: Callable[..., Owner],
) -> None:
    owner = make_owner()
    owner.fs.instead["write"] = lambda *_: (_ for _ in ()).throw(RuntimeError("a fault of ours"))
    with pytest.raises(JournalUnavailable):
        owner.store(1, first=True)
    owner.fs.instead.clear()
    owner.store(2, first=True)
