"""What leads to one look at a series: not each of its messages publishes one of its own."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from lapidicom.common.broker import Delivery, Envelope
from lapidicom.common.messages import InstanceStored, SeriesSettling
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.registration import SeriesRegistration
from lapidicom.registrar.series.settling import Look, SeriesPatience
from lapidicom.registrar.series.settling_messages import SettlingMessages, settling_of
from tests.support.queues import envelope
from tests.support.stored import instance_stored

NOW = 1_700_000_000.0
DELAYS = (5, 30)


class Played:
    """A registrar whose publishes take a while, with several deliveries in hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.published: list[SeriesSettling] = []
        gateway = SeriesGateway(cast(Any, None), self._look)
        self.settling = SettlingMessages(self._publish, lambda: self.now)
        self._registration = SeriesRegistration(
            gateway,
            self._look,
            cast(Any, self._look_at_file),
            self.settling,
            DELAYS,
            lambda _: SeriesPatience(10, 600),
            lambda: NOW + self.now,
        )

    async def _publish(self, envelope: Envelope) -> None:
        await asyncio.sleep(0.001)
        self.published.append(SeriesSettling.model_validate_json(envelope.body))

    async def _look(self, _: SeriesKey) -> Look:
        return Look(1, 1)

    async def _look_at_file(self, _: str) -> Sight:
        return Sight.THERE

    def take(self, messages: Sequence[InstanceStored | SeriesSettling]) -> None:
        """Let workers take these messages at one time."""

        async def take_all() -> None:
            deliveries = [_Delivery(message) for message in messages]
            await asyncio.gather(
                *(self._registration.register(cast(Cube, None), cast(Delivery, one)) for one in deliveries)
            )

        asyncio.run(take_all())


class _Delivery:
    def __init__(self, message: Any) -> None:
        whole = envelope(message, "life.1")
        self.type, self.version, self.body = whole.type, whole.version, whole.body
        self.headers: dict[str, str] = {}
        self.lapidicom_id = "life.1"


def stored(number: int, **changes: Any) -> InstanceStored:
    return instance_stored(number, received_at=datetime.fromtimestamp(NOW, UTC), **changes)


def test_instances_that_several_workers_have_in_hand_lead_to_one_message() -> None:
    played = Played()
    played.take([stored(n) for n in range(4)])
    assert len(played.published) == 1
    played.take([stored(n) for n in range(4, 8)])
    assert len(played.published) == 1


def test_another_one_is_published_when_the_first_may_have_left_its_delay_queue() -> None:
    played = Played()
    played.take([stored(1)])
    played.now = 4.95
    played.take([stored(2)])
    assert len(played.published) == 2


def test_each_series_has_its_own() -> None:
    played = Played()
    folder = "SERVICES/PACS/ORTHANC/p-DOE_JANE-/MR-a-20240102/00002-T1-0123abd"
    played.take([stored(1), stored(2, SeriesInstanceUID="1.2.9", path=f"{folder}/2.dcm")])
    assert len(played.published) == 2


def test_messages_that_leave_their_delay_queue_together_become_one() -> None:
    played = Played()
    played.take([settling_of(stored(1), {}) for _ in range(4)])
    assert [(one.count, one.touched) for one in played.published] == [(1, 1)]


def test_one_that_knows_of_fewer_files_does_not_stand_for_one_that_knows_of_more() -> None:
    played = Played()
    message = settling_of(stored(1), {})
    played.take([message])
    assert played.settling.covers(message)
    assert not played.settling.covers(message.model_copy(update={"files": 2}))
    assert not played.settling.covers(message.model_copy(update={"expected": 2}))
    played.take([message.model_copy(update={"files": 2})])
    assert played.settling.covers(message.model_copy(update={"files": 2}))
    assert played.settling.covers(message)
