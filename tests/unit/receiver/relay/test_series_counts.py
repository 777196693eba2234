"""How many instances of a series have come: over associations, resends and repetitions."""

import asyncio
import json
from typing import Any

import pytest

from lapidicom.common.broker import Envelope
from lapidicom.common.lonk import Outbox, subject_of
from lapidicom.receiver.relay.series_counts import IDLE_SECONDS, CountedPublisher, SeriesCounts
from tests.support.relay_rig import Clock

UID = "1.2.3"


class Counted:
    """Counts of one relay, and what clients would have read of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.outbox = Outbox(clock=self.clock)
        self.counts = SeriesCounts(self.outbox, self.clock)
        self._sequence = 0

    def stored(self, association: str = "a", uid: str = UID, *, sequence: int | None = None) -> int:
        """An instance passes; the count that is sent then."""
        if sequence is None:
            self._sequence += 1
            sequence = self._sequence
        self.counts.count(envelope("InstanceStored", f"life.{sequence}", fields(association, uid)))
        return self.read(uid)

    def ended(self, association: str = "a", **further: Any) -> int:
        """An association with the series ends; the count that is sent then."""
        body = fields(association, UID) | {"received": 0} | further
        self.counts.count(envelope("SeriesReceived", "life.9.ended", body))
        return self.read(UID)

    def read(self, uid: str) -> int:
        self.clock.now += 1
        batch = dict(asyncio.run(self.outbox.take()))
        payload = batch[subject_of("PACS", uid)]
        assert payload[0] == 1
        return int.from_bytes(payload[1:], "little")


def fields(association: str, uid: str) -> dict[str, Any]:
    return {"pacs_name": "PACS", "SeriesInstanceUID": uid, "association_id": association}


def envelope(message_type: str, lapidicom_id: str, body: object) -> Envelope:
    return Envelope("lapidicom", "key", message_type, 1, lapidicom_id, json.dumps(body).encode(), {})


def test_each_instance_of_a_series_counts_and_others_do_not() -> None:
    relay = Counted()
    assert [relay.stored() for _ in range(3)] == [1, 2, 3]
    assert relay.stored(uid="1.2.4") == 1
    assert relay.stored() == 4


def test_the_last_count_is_what_the_receiver_counted_in_the_folder() -> None:
    relay = Counted()
    for _ in range(3):
        relay.stored()
    assert relay.ended(received=3, files=5) == 5


def test_where_the_receiver_could_not_count_the_last_count_is_what_was_answered() -> None:
    relay = Counted()
    relay.stored()  # the relay was restarted behind the first four
    assert relay.ended(received=5, files=None) == 5


def test_associations_that_bring_a_series_at_the_same_time_are_added_up() -> None:
    relay = Counted()
    assert [relay.stored("a"), relay.stored("b"), relay.stored("a"), relay.stored("b")] == [1, 2, 3, 4]
    assert relay.ended("a", received=2, files=4) == 4
    assert [relay.stored("b") for _ in range(3)] == [4, 4, 5]


def test_a_series_that_comes_one_instance_an_association_is_never_counted_down() -> None:
    relay = Counted()
    seen = []
    for number in range(1, 6):
        seen += [relay.stored(str(number)), relay.ended(str(number), received=1, files=number)]
    assert seen == sorted(seen)
    assert seen[-1] == 5


def test_a_resend_counts_nothing_twice() -> None:
    relay = Counted()
    for _ in range(4):
        relay.stored("a")
    relay.ended("a", received=4, files=4)
    assert [relay.stored("b") for _ in range(4)] == [4, 4, 4, 4]
    assert relay.ended("b", received=4, files=4) == 4


def test_a_message_that_is_published_again_counts_once() -> None:
    relay = Counted()
    assert [relay.stored(sequence=number) for number in (5, 6, 7, 5, 6, 7, 8)] == [1, 2, 3, 3, 3, 3, 4]


def test_a_series_of_which_nothing_came_for_long_is_counted_anew() -> None:
    relay = Counted()
    relay.stored()
    relay.ended(received=1, files=192)
    relay.clock.now += IDLE_SECONDS + 1
    assert relay.stored("b") == 1


def test_a_description_that_looks_like_a_field_is_none() -> None:
    relay = Counted()
    text = '"SeriesInstanceUID":"9.9","pacs_name":"X","association_id":"b","files":7,"received":8'
    body = {"StudyDescription": text, "SeriesDescription": text} | fields("a", UID)
    relay.counts.count(envelope("InstanceStored", "life.1", body))
    assert relay.read(UID) == 1
    relay.counts.count(envelope("SeriesReceived", "life.2", body | {"received": 1, "files": None}))
    assert relay.read(UID) == 1


@pytest.mark.parametrize(
    "body", [[], "text", {}, {"pacs_name": 1, "SeriesInstanceUID": "1", "association_id": "a"}]
)
def test_a_body_of_another_shape_is_passed_on_uncounted(body: object) -> None:
    passed = []

    class Publisher:
        async def publish(self, envelope: Envelope) -> None:
            passed.append(envelope)

    async def test() -> None:
        outbox = Outbox()
        publisher = CountedPublisher(Publisher(), SeriesCounts(outbox))
        for message_type in ("InstanceStored", "SeriesReceived", "SeriesOfTomorrow"):
            await publisher.publish(envelope(message_type, "life.1", body))
        outbox.close()
        assert await outbox.take() == []

    asyncio.run(test())
    assert len(passed) == 3
