"""A run settles window after window: what is missing is enqueued once, and it goes on where it was ended."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lapidicom.cli.cube import Listing, RegisteredFile
from lapidicom.cli.letter import read_letter
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import Waiting
from lapidicom.cli.reconcile import run as module
from lapidicom.cli.reconcile.fate import Fate
from lapidicom.cli.reconcile.findings import Findings
from lapidicom.cli.reconcile.resume import State, read_state
from lapidicom.cli.reconcile.run import Options, Run
from lapidicom.common.broker import Envelope
from lapidicom.common.headers import HEADER_ID
from lapidicom.common.messages import InstanceStored, SeriesSettling
from lapidicom.registrar.consumer.headers import REASON
from tests.support.instances import instance
from tests.support.letters import properties

CALLING = "MODALITY"
BEGIN = State(scope={"root": "x"})


class Ended(Exception):
    """Stands for whatever ends a run."""


def letter_of(path: str, name: str, reason: str) -> Any:
    """A dead letter; of a folder if the path is one."""
    is_file = path.endswith(".dcm")
    body = {"path" if is_file else "folder": path}
    kind = InstanceStored.TYPE if is_file else SeriesSettling.TYPE
    told = properties({HEADER_ID: name, REASON: reason}, message_type=kind)
    return read_letter(json.dumps(body).encode(), told)


class FakeCube:
    """A CUBE that knows some paths."""

    def __init__(self, known: Sequence[str] = (), *, is_of_series: bool = False) -> None:
        self.known = set(known)
        self.is_of_series = is_of_series

    async def list(self, fname: str) -> Listing:
        found = [path for path in self.known if path.startswith(fname)]
        return Listing({path: RegisteredFile(path, "", "", "") for path in found})


class FakeShell:
    """Stands between a run and RabbitMQ, audit log and operator; keeps what is published, by windows.

    Args:
        says: what the operator answers.
        ends_at: the run ends when it begins to publish for this time.
    """

    settings = SimpleNamespace(retry_delays=(1,), park_delay=2)

    def __init__(self, *, says: bool = True, ends_at: int = 0) -> None:
        self.output = self
        self.windows: list[list[str]] = []
        self.questions: list[str] = []
        self.warnings: list[str] = []
        self.done: list[dict[str, Any]] = []
        self._says, self._ends_at = says, ends_at

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield None

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[Any]:
        self.windows.append([])
        if len(self.windows) == self._ends_at:
            raise Ended
        yield self

    async def publish(self, envelope: Envelope) -> None:
        self.windows[-1].append(json.loads(envelope.body)["path"])

    @asynccontextmanager
    async def audited(self, _: str, __: str, ___: int) -> AsyncIterator[dict[str, Any]]:
        self.done.append({})
        yield self.done[-1]

    async def is_wanted(self, question: str) -> bool:
        self.questions.append(question)
        return self._says

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def progress(self, _: str, __: int | None) -> Iterator[Advance]:
        yield lambda _: None


class Rig:
    """A run over a volume of ten files in five series."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.cube = FakeCube()
        self.waits = [0]
        self.dead: dict[str, tuple[str, str]] = {}
        files = [instance(number, series=series) for series in range(1, 6) for number in (1, 2)]
        self.paths = [one.path(CALLING) for one in files]
        for one, path in zip(files, self.paths, strict=True):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(one.file)
        monkeypatch.setattr(module, "look", self._look)
        monkeypatch.setattr(module, "waiting", self._waiting)
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
        self.monkeypatch = monkeypatch

    @asynccontextmanager
    async def _look(self, _: object) -> AsyncIterator[AsyncIterator[Any]]:
        async def letters() -> AsyncIterator[Any]:
            for path, (name, reason) in self.dead.items():
                yield letter_of(path, name, reason), None

        yield letters()

    async def _waiting(self, _: object, __: object) -> Waiting:
        return Waiting(self.waits.pop(0) if len(self.waits) > 1 else self.waits[0], 0)

    def run(self, shell: FakeShell, *, window: int = 3, **options: Any) -> Findings:
        findings = Findings(run="a run", show_phi=options.pop("show_phi", False))
        given = Options(
            **{"older_than": datetime.now(UTC), "wait": 0.05, "state": self.root / "state", **options}
        )
        self.monkeypatch.setattr(module, "WINDOW", window)
        work = Run(
            shell,  # type: ignore[arg-type]
            given,
            root=self.root,
            spool=self.root / "spool",
            cube=self.cube,  # type: ignore[arg-type]
            state=read_state(self.root / "state", BEGIN),
            findings=findings,
        )
        asyncio.run(work.run())
        return findings


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def test_all_is_enqueued_once_in_windows_that_end_with_a_folder(rig: Rig) -> None:
    shell = FakeShell()
    findings = rig.run(shell)
    assert shell.windows == [rig.paths[:4], rig.paths[4:8], rig.paths[8:]]
    assert (findings.enqueued, findings.files, findings.folders, findings.sound) == (10, 10, 5, True)
    assert not (rig.root / "state").exists()


def test_a_run_that_was_ended_goes_on_behind_what_is_settled(rig: Rig) -> None:
    with pytest.raises(Ended):
        rig.run(FakeShell(ends_at=2))
    shell = FakeShell()
    rig.run(shell)
    assert shell.windows == [rig.paths[4:8], rig.paths[8:]]


@pytest.mark.parametrize("how", ["the operator says no", "messages wait", "they are too young"])
def test_what_was_left_alone_is_looked_at_again_by_the_next_run(rig: Rig, how: str) -> None:
    if how == "messages wait":
        rig.waits = [5]
    young = {"older_than": datetime.now(UTC) - timedelta(hours=1)} if how == "they are too young" else {}
    left = rig.run(FakeShell(says=how != "the operator says no"), **young)
    assert (left.enqueued, left.files) == (0, 10)
    rig.waits = [0]
    shell = FakeShell()
    assert rig.run(shell).sound
    assert [path for window in shell.windows for path in window] == rig.paths


def test_an_operator_who_said_no_is_not_asked_again(rig: Rig) -> None:
    shell = FakeShell(says=False)
    findings = rig.run(shell)
    known = "CUBE has 0 of the 4 instances looked at so far"
    assert shell.questions == [f"{known}. Enqueue 4 registrations?"]
    assert (findings.not_in_cube[Fate.LOST].count, findings.sound) == (10, False)


def test_a_run_that_goes_on_tells_of_what_is_missing_in_the_folders_behind_it(rig: Rig) -> None:
    rig.dead = {rig.paths[0]: ("life.1", "file-missing")}
    with pytest.raises(Ended):
        rig.run(FakeShell(ends_at=2))
    findings = rig.run(FakeShell())
    assert (findings.files, findings.left_before, findings.sound) == (6, 1, False)


@pytest.mark.parametrize(("is_of_series", "dead"), [(True, 2), (False, 0)])
def test_a_dead_letter_of_a_series_is_one_of_its_files_with_cube_6(
    rig: Rig, is_of_series: bool, dead: int
) -> None:
    rig.cube = FakeCube(is_of_series=is_of_series)
    rig.dead = {rig.paths[0].rpartition("/")[0]: ("life.1", "late-instances")}
    findings = rig.run(FakeShell())
    assert findings.not_in_cube[Fate.DEAD_LETTER].count == dead
    assert findings.enqueued == 10 - dead


def test_of_a_series_that_cube_6_has_late_files_are_told_with_the_series_and_not_enqueued(rig: Rig) -> None:
    rig.cube = FakeCube(rig.paths[:1], is_of_series=True)
    shell = FakeShell()
    findings = rig.run(shell, window=100)
    late = findings.not_in_cube[Fate.LATE]
    assert [one.why for one in late.files] == [f"of series {instance(1, series=1).tags.SeriesInstanceUID}"]
    assert (shell.windows, findings.sound) == ([rig.paths[2:]], False)


def test_a_ceiling_ends_the_enqueueing_before_the_window_that_passes_it(rig: Rig) -> None:
    shell = FakeShell()
    findings = rig.run(shell, yes=True, at_most=5)
    assert "4 registrations are lost, 4 were enqueued before" in shell.warnings[0]
    assert shell.windows == [rig.paths[:4]]
    assert (findings.enqueued, findings.unsound, findings.sound) == (4, 6, False)
    assert rig.run(FakeShell()).files == 6


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
    shell = FakeShell()
    findings = rig.run(shell, window=100)
    assert [path for window in shell.windows for path in window] == rig.paths
    assert findings.not_in_cube[Fate.UNREADABLE].count == 3
    assert {one.why for one in findings.not_in_cube[Fate.UNREADABLE].files} == {"its path is not UTF-8"}
    assert not findings.sound


def test_a_volume_that_hangs_ends_the_run_in_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lapidicom.cli.in_thread.VOLUME_SECONDS", 0.05)
    never = threading.Event()

    def hang(*_: object, **__: object) -> Iterator[None]:
        never.wait()
        yield None

    monkeypatch.setattr(module, "series_folders", hang)
    try:
        with pytest.raises(TimeoutError, match="the volume does not answer"):
            rig.run(FakeShell())
    finally:
        never.set()


def test_what_cube_knows_is_not_enqueued(rig: Rig) -> None:
    rig.cube.known = set(rig.paths[:5])
    shell = FakeShell()
    findings = rig.run(shell, window=100)
    assert shell.windows == [rig.paths[5:]]
    assert findings.registered == 5


def test_one_moment_without_waiting_messages_is_enough(rig: Rig) -> None:
    rig.waits = [5, 3, 0, 5]
    assert rig.run(FakeShell(), window=100).enqueued == 10


def test_as_long_as_messages_wait_nothing_is_enqueued(rig: Rig) -> None:
    rig.waits = [5]
    shell = FakeShell()
    findings = rig.run(shell, window=100)
    assert (shell.windows, findings.not_in_cube[Fate.WAITING].count) == ([], 10)


@pytest.mark.parametrize("dry_run", [False, True])
def test_without_leave_nothing_is_enqueued(rig: Rig, dry_run: bool) -> None:
    shell = FakeShell(says=False)
    findings = rig.run(shell, window=100, dry_run=dry_run)
    assert (shell.windows, findings.not_in_cube[Fate.LOST].count, findings.sound) == ([], 10, False)
    assert len(shell.questions) == (0 if dry_run else 1)


def test_the_audit_says_how_many_were_enqueued(rig: Rig) -> None:
    shell = FakeShell()
    rig.run(shell, window=100)
    assert shell.done == [{"run": "a run", "enqueued": 10}]


def test_a_file_that_disappears_meanwhile_is_not_missing_in_cube(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = module.message_of

    def gone(root: Path, missing: Any, run: str) -> Envelope:
        if missing.path == rig.paths[0]:
            (root / missing.path).unlink()
        return read(root, missing, run)

    monkeypatch.setattr(module, "message_of", gone)
    findings = rig.run(FakeShell(), window=100)
    assert (findings.enqueued, findings.sound) == (9, True)


def test_what_cube_has_beside_the_files_of_a_folder_is_told(rig: Rig) -> None:
    gone = f"{rig.paths[0].rpartition('/')[0]}/0009-1.9.dcm"
    rig.cube.known = {*rig.paths, gone}
    findings = rig.run(FakeShell(), show_phi=True)
    assert [one.path for one in findings.not_on_volume.files] == [gone]
    assert (findings.registered, findings.sound) == (10, False)


def test_a_folder_that_may_not_be_read_is_told_and_the_rest_is_looked_at(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, closed = os.scandir, rig.root / rig.paths[0].rpartition("/")[0]

    def refuse(path: Path) -> Any:
        if path == closed:
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    findings = rig.run(FakeShell())
    assert [one.why for one in findings.not_in_cube[Fate.UNREADABLE].files] == [
        "it may not be read from here"
    ]
    assert (findings.files, findings.enqueued) == (8, 8)
