"""A run settles window after window: what is missing is enqueued once, and it goes on where it was ended."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.cube import Listing, RegisteredFile
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.letter import read_letter
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import Waiting
from lapidicom.cli.reconcile import run as module
from lapidicom.cli.reconcile.findings import Fate, Findings
from lapidicom.cli.reconcile.message import Registration
from lapidicom.cli.reconcile.resume import State, StateFile
from lapidicom.cli.reconcile.run import Options, Run, Sources
from lapidicom.common.headers import HEADER_ID
from lapidicom.registrar.consumer.headers import REASON
from tests.support.instances import instance
from tests.support.letters import properties

CALLING = "MODALITY"
BEGIN = State(scope={"root": "x"})


class Ended(Exception):
    """Stands for whatever ends a run."""


def letter_of(path: str, name: str, reason: str) -> Any:
    """A dead letter."""
    return read_letter(json.dumps({"path": path}).encode(), properties({HEADER_ID: name, REASON: reason}))


class FakeCube:
    """A CUBE that knows some paths."""

    def __init__(self, known: Sequence[str] = ()) -> None:
        self.known = set(known)

    async def list(self, fname: str) -> Listing:
        found = [path for path in self.known if path.startswith(fname)]
        return Listing({path: RegisteredFile(path, "", "", "") for path in found})

    async def count(self, fname: str) -> int:
        return len((await self.list(fname)).files)


class FakeEnqueueing:
    """Keeps what is enqueued; ends the run at a given call."""

    def __init__(self, ends_at: int = 0) -> None:
        self.windows: list[list[str]] = []
        self._ends_at = ends_at

    async def enqueue(self, lost: Sequence[Registration], _: object, findings: Findings, __: Advance) -> None:
        self.windows.append([made.message.path for made in lost])
        if len(self.windows) == self._ends_at:
            raise Ended
        findings.enqueued += len(lost)


class Rig:
    """A run over a volume of ten files in five series."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.state = StateFile(root / "state", BEGIN)
        self.cube = FakeCube()
        self.waits = [0]
        self.asked: list[int] = []
        self.dead: dict[str, tuple[str, str]] = {}
        files = [instance(number, series=series) for series in range(1, 6) for number in (1, 2)]
        self.paths = [one.path(CALLING) for one in files]
        for one, path in zip(files, self.paths, strict=True):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(one.file)
        monkeypatch.setattr(module, "look", self._look)
        monkeypatch.setattr(module, "waiting", self._waiting)
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)

    async def _look(self, _: object) -> AsyncIterator[Any]:
        for path, (name, reason) in self.dead.items():
            yield letter_of(path, name, reason), None

    async def _waiting(self, _: object, __: object) -> Waiting:
        return Waiting(self.waits.pop(0) if len(self.waits) > 1 else self.waits[0], 0)

    def run(
        self,
        enqueueing: FakeEnqueueing,
        *,
        window: int = 3,
        says: bool = True,
        dry_run: bool = False,
        at_most: int = 0,
        pacs: str | None = None,
        settled_before: datetime | None = None,
    ) -> Findings:
        @asynccontextmanager
        async def connection() -> AsyncIterator[Any]:
            yield None

        @contextmanager
        def progress(_: str, __: int | None) -> Iterator[Advance]:
            yield lambda _: None

        def may_enqueue(findings: Findings, count: int) -> bool:
            self.asked.append(count)
            return says and (not at_most or findings.enqueued + count <= at_most)

        options = Options(pacs, None, settled_before or datetime.now(UTC), dry_run, False, 0.05)
        sources = Sources(self.root, None, self.cube, connection, (1,))  # type: ignore[arg-type]
        work = Run(sources, options, self.state, enqueueing, may_enqueue, progress, window=window)  # type: ignore[arg-type]
        return asyncio.run(work.run())


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def test_all_is_enqueued_once_in_windows_that_end_with_a_folder(rig: Rig) -> None:
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing)
    assert enqueueing.windows == [rig.paths[:4], rig.paths[4:8], rig.paths[8:]]
    assert (findings.enqueued, findings.files, findings.folders, findings.is_sound) == (10, 10, 5, True)
    assert not (rig.root / "state").exists()


def test_a_run_that_was_ended_goes_on_behind_what_is_settled(rig: Rig) -> None:
    with pytest.raises(Ended):
        rig.run(FakeEnqueueing(ends_at=2))
    enqueueing = FakeEnqueueing()
    rig.state = StateFile(rig.root / "state", BEGIN)
    rig.run(enqueueing)
    assert enqueueing.windows == [rig.paths[4:8], rig.paths[8:]]


@pytest.mark.parametrize("how", ["the operator says no", "messages wait", "they are too young"])
def test_what_was_left_alone_is_looked_at_again_by_the_next_run(rig: Rig, how: str) -> None:
    if how == "messages wait":
        rig.waits = [5]
    young = datetime.now(UTC) - timedelta(hours=1) if how == "they are too young" else None
    left = rig.run(FakeEnqueueing(), says=how != "the operator says no", settled_before=young)
    assert (left.enqueued, left.files) == (0, 10)
    rig.waits, rig.state = [0], StateFile(rig.root / "state", BEGIN)
    enqueueing = FakeEnqueueing()
    assert rig.run(enqueueing).is_sound
    assert [path for window in enqueueing.windows for path in window] == rig.paths


def test_an_operator_who_said_no_is_not_asked_again(rig: Rig) -> None:
    findings = rig.run(FakeEnqueueing(), says=False)
    assert rig.asked == [4]
    assert (findings.missing[Fate.LOST].count, findings.is_sound) == (10, False)


def test_a_run_that_goes_on_tells_of_what_is_missing_in_the_folders_behind_it(rig: Rig) -> None:
    rig.dead = {rig.paths[0]: ("life.1", "file-missing")}
    with pytest.raises(Ended):
        rig.run(FakeEnqueueing(ends_at=2))
    rig.state = StateFile(rig.root / "state", BEGIN)
    findings = rig.run(FakeEnqueueing())
    assert (findings.files, findings.left_before, findings.is_sound) == (6, 1, False)


def test_a_ceiling_ends_the_enqueueing_before_the_window_that_passes_it(rig: Rig) -> None:
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing, at_most=5)
    assert enqueueing.windows == [rig.paths[:4]]
    assert (findings.enqueued, findings.left, findings.is_sound) == (4, 6, False)
    rig.state = StateFile(rig.root / "state", BEGIN)
    assert rig.run(FakeEnqueueing()).files == 6


def test_a_pacs_that_neither_volume_nor_cube_knows_is_no_success(rig: Rig) -> None:
    with pytest.raises(OperatorError, match="no folder MODALTY"):
        rig.run(FakeEnqueueing(), pacs="MODALTY")


def test_a_pacs_whose_folder_is_gone_from_the_volume_is_told(rig: Rig) -> None:
    rig.cube.known = {"SERVICES/PACS/GONE/x/y/z/1.dcm", "SERVICES/PACS/org.fnndsc.oxidicom/x"}
    assert dict(rig.run(FakeEnqueueing(), pacs="GONE").rows_elsewhere) == {"GONE": 1}
    assert dict(rig.run(FakeEnqueueing(), window=100).rows_elsewhere) == {"other PACS": 1}


def test_names_that_are_not_utf_8_are_told_and_the_rest_is_looked_at(rig: Rig) -> None:
    first = Path(rig.paths[0])
    for name in (
        b"SERVICES/PACS/\xff/p/s/r/1.dcm",
        os.fsencode(first.parent.parent) + b"/\xe9/1.dcm",
        os.fsencode(first.with_suffix("")) + b"\xfc.dcm",
    ):
        file = rig.root / os.fsdecode(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing, window=100)
    assert [path for window in enqueueing.windows for path in window] == rig.paths
    assert findings.missing[Fate.UNREADABLE].count == 3
    assert {why for _, why in findings.missing[Fate.UNREADABLE].first} == {"its path is not UTF-8"}
    assert not findings.is_sound


def test_a_volume_that_hangs_ends_the_run_in_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lapidicom.cli.in_thread.VOLUME_SECONDS", 0.05)
    never = threading.Event()

    def hang(*_: object, **__: object) -> Iterator[None]:
        never.wait()
        yield None

    monkeypatch.setattr(module, "series_folders", hang)
    try:
        with pytest.raises(TimeoutError, match="the volume does not answer"):
            rig.run(FakeEnqueueing())
    finally:
        never.set()


def test_what_cube_knows_is_not_enqueued(rig: Rig) -> None:
    rig.cube.known = {*rig.paths[:5], "SERVICES/PACS/MODALITY/x/y/z/1.dcm"}
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing, window=100)
    assert enqueueing.windows == [rig.paths[5:]]
    assert findings.registered == 5
    assert dict(findings.rows_elsewhere) == {CALLING: 1}


def test_one_moment_without_waiting_messages_is_enough(rig: Rig) -> None:
    rig.waits = [5, 3, 0, 5]
    assert rig.run(FakeEnqueueing(), window=100).enqueued == 10


def test_as_long_as_messages_wait_nothing_is_enqueued(rig: Rig) -> None:
    rig.waits = [5]
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing, window=100)
    assert (enqueueing.windows, findings.missing[Fate.WAITING].count) == ([], 10)


@pytest.mark.parametrize("answer", [{"says": False}, {"dry_run": True}])
def test_without_leave_nothing_is_enqueued(rig: Rig, answer: dict[str, bool]) -> None:
    enqueueing = FakeEnqueueing()
    findings = rig.run(enqueueing, window=100, **answer)  # type: ignore[arg-type]
    assert (enqueueing.windows, findings.missing[Fate.LOST].count, findings.is_sound) == ([], 10, False)
    assert rig.asked == ([10] if "says" in answer else [])


def test_a_file_that_disappears_meanwhile_is_not_missing_in_cube(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = module.message_of

    def gone(root: Path, missing: Any) -> Registration:
        if missing.path == rig.paths[0]:
            (root / missing.path).unlink()
        return read(root, missing)

    monkeypatch.setattr(module, "message_of", gone)
    findings = rig.run(FakeEnqueueing(), window=100)
    assert (findings.enqueued, findings.is_sound) == (9, True)
