"""When is a progress file to be registered? The last one of a series behind its instances (CUBE up to v5).

Instances and the message that ends their series are in the hands of any number of registrars. So CUBE is
asked how many files it has of the series, and the message waits until these are as many as on the volume; but
no longer than an instance is retried: what will be a dead letter does not keep users waiting.
"""

from collections.abc import Mapping
from typing import Final

from lapidicom.common.headers import HEADER_PROGRESS_SPACE, Header
from lapidicom.common.messages import SeriesReceived, SeriesStarted
from lapidicom.common.progress import NUMBER_OF_INSTANCES, PUSH_COUNT, ProgressFile, is_space, progress_file
from lapidicom.registrar.consumer.headers import history
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL
from lapidicom.registrar.cube.outcomes import VOLUME_NOT_VISIBLE, Outcome, Verdict, verdict_on
from lapidicom.registrar.cube.probe import AskTrouble
from lapidicom.registrar.cube.replies import Answer
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.series.gateway import LookAt

INSTANCES_MISSING: Final = "instances-missing"

_WAIT: Final = Verdict(Outcome.BEHIND_OTHERS, INSTANCES_MISSING)


def progress_file_of(
    message: SeriesStarted | SeriesReceived, headers: Mapping[str, Header]
) -> ProgressFile | None:
    """The progress file that the receiver has written for a message; None if it has written none."""
    space = headers.get(HEADER_PROGRESS_SPACE)
    if not isinstance(space, str) or not is_space(space):
        return None
    match message:
        case SeriesStarted(NumberOfSeriesRelatedInstances=number):
            key, value = NUMBER_OF_INSTANCES, number
        case SeriesReceived(received=number):
            key, value = PUSH_COUNT, number
    try:
        return progress_file(space, message.folder, message.association_id, key, value)
    except ValueError:
        return None


class BehindInstances:
    """Says whether the instances of a series are in CUBE.

    Args:
        look: at a series on our mount.
        trouble: why CUBE is not well, after what was just seen; None if it is.
        waits: how often a message waits, at most (CHRIS_HTTP_RETRIES).
    """

    def __init__(self, look: LookAt, trouble: AskTrouble, waits: int) -> None:
        self._look = look
        self._trouble = trouble
        self._waits = waits

    async def hindrance(
        self, cube: Cube, message: SeriesReceived, headers: Mapping[str, Header]
    ) -> Verdict | None:
        """Why the end of a series is not to be registered yet; None if it is."""
        waiting = history(headers).waiting
        if waiting is not None and waiting.reason == INSTANCES_MISSING and waiting.refusals >= self._waits:
            return None
        if self._waits == 0:
            return None
        try:
            series = SeriesKey(message.pacs_name, message.SeriesInstanceUID, message.folder)
            on_volume = (await self._look(series)).count
        except ValueError:
            return None
        except OSError:
            return Verdict(Outcome.HELD_UP, VOLUME_NOT_VISIBLE)
        reply = await cube.search({"fname": f"{message.folder}/", "limit": "1", "offset": BEHIND_ALL})
        match reply:
            case Answer(status=200, fields={"count": int(count)}):
                return _WAIT if count < on_volume else None
            case _:
                trouble = await self._trouble()
                return _WAIT if trouble is None else verdict_on(reply, Outcome.OUTAGE, explanation=trouble)
