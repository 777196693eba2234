"""The way of a message where CUBE registers whole series (v6): it settles, then it is registered at once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, assert_never

from lapidicom.common.broker import Delivery, Header
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.registrar.consumer.headers import no_longer_waiting
from lapidicom.registrar.consumer.reading import read
from lapidicom.registrar.consumer.registration import LookAtFile
from lapidicom.registrar.consumer.result import Result
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.mending import Unregistrable, series_request
from lapidicom.registrar.cube.outcomes import VOLUME_NOT_VISIBLE, Outcome, Sight, Verdict
from lapidicom.registrar.series.gateway import CHANGED, LookAt, SeriesGateway
from lapidicom.registrar.series.settling import (
    Look,
    LookAgain,
    Missing,
    SeriesPatience,
    Settled,
    decide,
    pause,
)
from lapidicom.registrar.series.settling_messages import (
    SettlingMessages,
    known_of,
    series_of,
    settling_of,
    watch_of,
    watched,
)
from lapidicom.registrar.turns import Turns

FRESH_SECONDS: Final = 600.0
"""Of an instance that has waited longer we see ourselves that its file is there."""

PatienceFor = Callable[[str], SeriesPatience]
"""How long the series of a calling AE title may take."""


class SeriesRegistration:
    """Takes messages to their outcome, for all workers of a registrar.

    Args:
        gateway: registers settled series.
        look: at a series on our mount.
        look_at_file: at a file on our mount.
        settling: publishes messages in which series settle.
        delays: of the delay queues, ascending.
        patience: how long a series may take.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        gateway: SeriesGateway,
        look: LookAt,
        look_at_file: LookAtFile,
        settling: SettlingMessages,
        delays: tuple[int, ...],
        patience: PatienceFor,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gateway = gateway
        self._look = look
        self._look_at_file = look_at_file
        self._settling = settling
        self._delays = delays
        self._patience = patience
        self._clock = clock
        self._turns = Turns()

    async def register(self, cube: Cube, delivery: Delivery) -> Result:
        """Take one message to its outcome; never raises for what CUBE, the volume or the message does."""
        message = read(delivery.type, delivery.version, delivery.body)
        match message:
            case Verdict():
                return Result(message)
            case InstanceStored():
                return await self._await_series(delivery, message)
            case SeriesStarted():
                return Result(None, message)
            case SeriesReceived():
                # Looked at even if another message waits: the settle time begins now.
                settling = settling_of(message, delivery.headers)
                async with self._turns.turn(series_of(settling)):
                    result = await self._settle(cube, delivery, settling)
                return replace(result, message=message) if result.verdict is None else result
            case SeriesSettling():
                async with self._turns.turn(series_of(message)):
                    if self._settling.covers(message):
                        return Result(None, message)
                    return await self._settle(cube, delivery, message)
            case _:
                assert_never(message)

    async def _await_series(self, delivery: Delivery, message: InstanceStored) -> Result:
        """Let the series of an instance settle, so that it is registered even without its SeriesReceived."""
        if self._clock() - message.received_at.timestamp() > FRESH_SECONDS:
            match await self._look_at_file(message.path):
                case Sight.ABSENT:
                    return Result(Verdict(Outcome.PERMANENT, "file-missing"), message)
                case Sight.VOLUME_GONE:
                    return Result(Verdict(Outcome.HELD_UP, VOLUME_NOT_VISIBLE), message)
        settling = settling_of(message, delivery.headers)
        if not self._settling.covers(settling):
            async with self._turns.turn(series_of(settling)):
                if not self._settling.covers(settling):
                    headers = _foreign(delivery.headers)
                    await self._settling.publish(delivery, settling, self._delays[0], headers)
        return Result(None, message)

    async def _settle(self, cube: Cube, delivery: Delivery, message: SeriesSettling) -> Result:
        now = self._clock()
        try:
            look = await self._look(series_of(message))
        except ValueError:
            return Result(Verdict(Outcome.INVALID, "undecodable"), message)
        except OSError:
            return _not_visible(message)
        before = watch_of(message)
        patience = self._patience(message.calling_ae_title)
        match decide(before, look, known_of(message), patience, now):
            case LookAgain(seconds, watch):
                has_changed = before is not None and watch.since != before.since
                headers = no_longer_waiting(delivery.headers) if has_changed else delivery.headers
                delay = pause(seconds, self._delays)
                await self._settling.publish(delivery, watched(message, watch), delay, headers)
                return Result(None, message)
            case Missing(reason):
                return Result(Verdict(Outcome.PERMANENT, reason), message, instead=message)
            case Settled(look):
                return await self._register(cube, delivery, message, look)

    async def _register(
        self, cube: Cube, delivery: Delivery, message: SeriesSettling, settled: Look
    ) -> Result:
        message = message.model_copy(update={"count": settled.count})
        prepared = series_request(message, settled.count)
        if isinstance(prepared, Unregistrable):
            verdict = Verdict(Outcome.INVALID, f"unregistrable: {prepared.reason}")
            return Result(verdict, message, instead=message)
        try:
            verdict = await self._gateway.register(cube, prepared, series_of(message), settled)
        except OSError:
            return _not_visible(message)
        anew = watched(message, None)
        if verdict is CHANGED:
            await self._settling.publish(delivery, anew, self._delays[0], delivery.headers)
            return Result(None, message)
        instead = anew if verdict.outcome is Outcome.NOT_YET_VISIBLE else message
        return Result(verdict, message, prepared.mended, prepared.body, instead)


def _not_visible(message: SeriesSettling) -> Result:
    return Result(Verdict(Outcome.HELD_UP, VOLUME_NOT_VISIBLE), message, instead=message)


def _foreign(headers: Mapping[str, Header]) -> Mapping[str, Header]:
    """Of an instance's headers those that are not about that instance's own way."""
    return {name: value for name, value in headers.items() if not name.startswith("lapidicom-")}
