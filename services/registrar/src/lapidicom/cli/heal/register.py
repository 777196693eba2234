"""Registers a series from its folder, as a registrar does, with what its files say of it."""

from functools import partial
from pathlib import Path

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.heal.hold import Hold
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.reconcile.message import NoMessage, of_file
from lapidicom.common.messages import SeriesSettling
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.mending import Unregistrable, series_request
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from lapidicom.registrar.cube.probe import trouble_with_series
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.settling import Look


async def register(cube: Cube, hold: Hold, folder: str) -> Verdict:
    """Register all files of a folder; registrars themselves wait, for the series is marked.

    Raises:
        OperatorError, OSError: as `message_of`.
    """

    async def looked(_: SeriesKey) -> Look:
        return await of_volume(partial(see, hold, folder), hold.pulse)

    series = SeriesKey(hold.pacs, hold.uid, folder)
    message = await of_volume(partial(message_of, hold.root, folder, hold.uid), hold.pulse)
    seen = await looked(series)
    request = series_request(message, seen.count)
    if isinstance(request, Unregistrable):
        return Verdict(Outcome.INVALID, f"unregistrable: {request.reason}")
    return await SeriesGateway(partial(trouble_with_series, cube), looked).register(
        cube, request, series, seen
    )


def see(hold: Hold, folder: str) -> Look:
    """A folder as a registrar sees it."""
    return look(hold.root, hold.spool, hold.pacs, hold.uid, folder)


def message_of(root: Path, folder: str, uid: str) -> SeriesSettling:
    """The message that registers a series from a folder, as its first file has it.

    Raises:
        OperatorError: there is no such file, or it is of another series.
        OSError: the folder cannot be read.
    """
    for file in sorted((root / folder).glob("*.dcm")):
        try:
            message = of_file(root, f"{folder}/{file.name}")
        except NoMessage:
            continue
        if message.SeriesInstanceUID == uid:
            return SeriesSettling.model_validate(message.model_dump() | {"folder": folder})
    raise OperatorError("no file of the folder is an instance of that series", "is it the right one?")
