"""What the relay adds to the messages of a series: progress files, the PACS' answer, and no delay."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.broker import ConnectionLost, Envelope
from lapidicom.common.c_find import Count, NoCount
from lapidicom.common.headers import HEADER_EXPECTED, HEADER_PROGRESS_SPACE
from lapidicom.common.progress import DEFAULT_SPACE
from lapidicom.receiver.relay.questions import HELD_SECONDS
from tests.support.journal_owner import paths
from tests.support.journal_records import FakePublisher, series_folder
from tests.support.relay_rig import Clock, RelayRig

FOLDER = f"SERVICES/PACS/{DEFAULT_SPACE}/{series_folder()}/association-1"


class Publisher(FakePublisher):
    """Keeps, with each message, which progress files were there when it was published."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self.files: list[tuple[str, list[str]]] = []

    async def publish(self, envelope: Envelope) -> None:
        folder = self._root / FOLDER
        names = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
        self.files.append((envelope.type, names))
        await super().publish(envelope)


class Pacs:
    """A PACS that answers when a test says so."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.count: Count = 5
        self.asked: list[tuple[str, str, str]] = []

    async def __call__(self, *series: str) -> Count:
        self.asked.append(series)  # type: ignore[arg-type]
        await self.answer.wait()
        return self.count


class Scene:
    """A relay in one loop, a PACS, and a publisher."""

    def __init__(self, root: Path, space: str = DEFAULT_SPACE) -> None:
        self.root = root
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.pacs = Pacs()
        self.publisher = Publisher(root)
        self.space = space
        self.rig = self.new_relay()

    def new_relay(self) -> RelayRig:
        return RelayRig(self.root, self.publisher, self.clock, space=self.space, ask=self.pacs)

    def work(self) -> None:
        self.rig.work(self.loop.run_until_complete)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.rig.work(self.loop.run_until_complete)

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        self.rig.end()

    def types(self) -> list[str]:
        return [one.type for one in self.publisher.stored]

    def message(self, message_type: str) -> Envelope:
        [found] = [one for one in self.publisher.stored if one.type == message_type]
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_both_files_are_there_before_the_messages_that_lead_to_their_registration(
    make_owner: Any, scene: Scene
) -> None:
    owner = make_owner()
    owner.store(1, 2, first=True)
    scene.pacs.answer.set()
    scene.work()
    owner.end_series(2)
    scene.work()
    started, received = scene.message("SeriesStarted"), scene.message("SeriesReceived")
    assert json.loads(started.body)["NumberOfSeriesRelatedInstances"] == 5
    assert started.lapidicom_id == f"{owner.life}.2"
    assert started.routing_key == "series.started"
    assert started.headers == {HEADER_PROGRESS_SPACE: DEFAULT_SPACE}
    assert received.headers == {HEADER_PROGRESS_SPACE: DEFAULT_SPACE, HEADER_EXPECTED: 5}
    files = dict(scene.publisher.files)
    assert files["SeriesStarted"] == ["NumberOfSeriesRelatedInstances=5"]
    assert files["SeriesReceived"] == ["NumberOfSeriesRelatedInstances=5", "OxidicomAttemptedPushCount=2"]
    assert (scene.root / FOLDER / "OxidicomAttemptedPushCount=2").read_bytes() == b""
    assert scene.pacs.asked == [("MODALITY", "1.2.3", "1.2.3.1")]


@pytest.mark.parametrize("why", [NoCount.SLOW, NoCount.NO_ADDRESS, NoCount.WRONG])
def test_what_the_pacs_does_not_tell_is_unknown(make_owner: Any, scene: Scene, why: NoCount) -> None:
    scene.pacs.count = why
    scene.pacs.answer.set()
    owner = make_owner()
    owner.store(1, first=True)
    scene.work()
    owner.end_series(1)
    scene.work()
    assert json.loads(scene.message("SeriesStarted").body)["NumberOfSeriesRelatedInstances"] is None
    assert HEADER_EXPECTED not in scene.message("SeriesReceived").headers
    assert (scene.root / FOLDER / "NumberOfSeriesRelatedInstances=unknown").exists()


def test_a_slow_pacs_holds_up_no_instance_and_is_asked_again_after_a_crash(
    make_owner: Any, scene: Scene
) -> None:
    owner = make_owner()
    owner.store(1, 2, 3, first=True)
    owner.end_series(3)
    scene.work()
    assert scene.types() == ["InstanceStored"] * 3
    scene.clock.now += HELD_SECONDS
    scene.work()
    assert scene.types() == ["InstanceStored"] * 3 + ["SeriesReceived"]
    before = len(scene.publisher.stored)
    scene.rig = scene.new_relay()  # killed: the cursor stands before the record that opened the series
    scene.pacs.answer.set()
    scene.work()
    assert scene.types()[before:].count("SeriesStarted") == 1
    after_both = len(scene.publisher.stored)
    scene.rig = scene.new_relay()
    scene.work()
    assert len(scene.publisher.stored) == after_both


def test_the_end_of_a_short_series_waits_for_the_answer_that_lets_it_be_registered_at_once(
    make_owner: Any, scene: Scene
) -> None:
    owner = make_owner()
    owner.store(1, 2, first=True)
    owner.end_series(2)
    scene.work()
    assert scene.types() == ["InstanceStored"] * 2
    scene.pacs.answer.set()
    scene.work()
    assert scene.types() == ["InstanceStored"] * 2 + ["SeriesStarted", "SeriesReceived"]
    assert scene.message("SeriesReceived").headers[HEADER_EXPECTED] == 5
    after_both = len(scene.publisher.stored)
    scene.rig = scene.new_relay()
    scene.work()
    assert len(scene.publisher.stored) == after_both


def test_an_answer_that_is_not_confirmed_is_published_again(make_owner: Any, scene: Scene) -> None:
    lost = ConnectionLost("gone")
    scene.publisher.fault = lambda number: lost if number == 1 else None
    owner = make_owner()
    owner.store(1, first=True)
    scene.pacs.answer.set()
    scene.work()
    assert scene.types().count("SeriesStarted") == 1
    assert [one.type for one in scene.publisher.tried].count("SeriesStarted") == 2


def test_an_ended_life_is_finished_only_when_the_pacs_was_asked(make_owner: Any, scene: Scene) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    scene.rig.journals.look()
    scene.rig.journals.owner_ended(owner.name)
    scene.work()
    assert not (owner.folder / "finished").exists()
    scene.pacs.answer.set()
    scene.work()
    assert (owner.folder / "finished").exists()
    assert scene.types() == ["InstanceStored", "SeriesStarted", "SeriesReceived"]
    assert scene.message("SeriesReceived").headers[HEADER_PROGRESS_SPACE] == DEFAULT_SPACE
    assert (scene.root / FOLDER / "OxidicomAttemptedPushCount=1").exists()


def test_a_segment_is_left_only_when_the_pacs_was_asked(make_owner: Any, scene: Scene) -> None:
    owner = make_owner(limit=2000)
    owner.store(*range(1, 9), first=True)
    assert len(owner.segments) > 2
    scene.work()
    published = len(scene.publisher.stored)
    assert published < 8
    scene.pacs.answer.set()
    scene.work()
    scene.work()
    stored = [json.loads(one.body)["path"] for one in scene.publisher.stored if one.type == "InstanceStored"]
    assert stored == paths(*range(1, 9))


def test_what_the_volume_does_not_take_holds_up_nobody(make_owner: Any, scene: Scene) -> None:
    owner = make_owner()
    owner.store(1, first=True)
    owner.end_series(1)
    space = scene.root / "SERVICES/PACS" / DEFAULT_SPACE
    space.write_text("a file is in the way")
    scene.pacs.answer.set()
    scene.work()
    assert scene.types() == ["InstanceStored", "SeriesReceived"]
    assert HEADER_PROGRESS_SPACE not in scene.message("SeriesReceived").headers
    assert "progress_file_not_written" in scene.rig.event_names


def test_without_a_space_only_the_number_is_asked_for(make_owner: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path, space="")
    owner = make_owner()
    owner.store(1, first=True)
    scene.pacs.answer.set()
    scene.work()
    owner.end_series(1)
    scene.work()
    assert scene.types() == ["InstanceStored", "SeriesReceived"]
    assert scene.message("SeriesReceived").headers == {HEADER_EXPECTED: 5}
    assert not (tmp_path / "SERVICES/PACS" / DEFAULT_SPACE).exists()
    scene.close()
