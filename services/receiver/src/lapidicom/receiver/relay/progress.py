"""What a relay adds to the messages of a series: what the PACS says of it, and the progress files of CUBE 5.

A file is durable before the message is published that leads to its registration. What the volume does not
take holds up nobody: the message then goes without its header, and no file of it is registered.
"""

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.c_find import Count, NoCount
from lapidicom.common.file_system import FileSystem
from lapidicom.common.headers import HEADER_EXPECTED, HEADER_PROGRESS_SPACE
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.journal.records import Record
from lapidicom.common.messages import SeriesStarted
from lapidicom.common.progress import NUMBER_OF_INSTANCES, PUSH_COUNT, ProgressFile, progress_file
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.behind_mark import StoredFiles
from lapidicom.receiver.relay.messages import message_envelope
from lapidicom.receiver.relay.offload import Offload
from lapidicom.receiver.storage.pacs_folder import FOLDER_MODE
from lapidicom.receiver.storage.volume import FILE_MODE

T = TypeVar("T")

_MOST_KNOWN: Final = 10_000
"""Series of which the PACS' answer is remembered, and folders known to be durable."""

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

AskPacs = Callable[[str, str, str], Awaitable[Count]]
"""From PACS name, StudyInstanceUID and SeriesInstanceUID to the number of instances."""


class ProgressFiles:
    """Writes progress files.

    Args:
        file_system: the system calls.
        files_root: CHRIS_FILES_ROOT.
        files: the stored files: makes them durable.
        observe: called for a file that could not be written.
    """

    def __init__(
        self, file_system: FileSystem, files_root: Path, files: StoredFiles, observe: Observer
    ) -> None:
        self._fs = file_system
        self._root = os.fspath(files_root)
        self._files = files
        self._observe = observe
        self._durable: set[str] = set()

    def write(self, file: ProgressFile) -> bool:
        """Write a file and make it durable; whether that was possible."""
        for attempt in (1, 2):  # a folder may be removed meanwhile
            try:
                self._write(file.path)
            except OSError as error:
                self._durable.clear()
                if attempt == 2:
                    self._observe("progress_file_not_written", key=file.key, errno=error.errno)
            else:
                return True
        return False

    def _write(self, path: str) -> None:
        """SERVICES/PACS itself is never made: without it this is not the volume."""
        names = path.split("/")
        depth = PACS_ROOT.count("/") + 1
        durable = set(self._durable) if len(self._durable) < _MOST_KNOWN else set()
        for end in range(depth + 1, len(names)):
            folder = "/".join(names[:end])
            if folder not in durable:
                with contextlib.suppress(FileExistsError):
                    self._fs.mkdir(f"{self._root}/{folder}", FOLDER_MODE)
                durable.discard("/".join(names[: end - 1]))
        folder = "/".join(names[:-1])
        durable.discard(folder)
        self._fs.close(self._fs.open(f"{self._root}/{path}", _WRITE, FILE_MODE))
        self._files.make_durable(path, durable)
        self._durable = durable - {folder}


class SeriesProgress:
    """The relay's part in the progress of series, for all journals.

    Args:
        space: of the progress files; empty if none are written.
        files: writes them.
        ask: asks the PACS.
        offload: runs what may wait for the disk.
    """

    def __init__(self, space: str, files: ProgressFiles, ask: AskPacs, offload: Offload) -> None:
        self._space = space
        self._files = files
        self._ask = ask
        self._offload = offload
        self._expected: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def started(self, life: str, record: Record) -> Envelope | None:
        """Ask the PACS about a series that has begun, and write what it says.

        Args:
            life: of the journal, for the stable id.
            record: that opened the series.

        Returns:
            The SeriesStarted; None if nobody needs one.
        """
        fields = record.fields()
        try:
            message = SeriesStarted.model_validate(fields)
        except ValueError:
            return None
        count = await self._ask(message.pacs_name, message.StudyInstanceUID, message.SeriesInstanceUID)
        number = None if isinstance(count, NoCount) else count
        if number:
            self._remember((message.pacs_name, message.SeriesInstanceUID), number)
        if not self._space:
            return None
        headers = await self._write(message.model_dump(), NUMBER_OF_INSTANCES, number)
        if not headers:
            return None
        told = message.model_copy(update={"NumberOfSeriesRelatedInstances": number})
        body = told.model_dump_json().encode()
        return message_envelope(SeriesStarted, f"{life}.{record.sequence}", body, headers)

    async def received(self, envelope: Envelope) -> Envelope:
        """Write how many instances an association has brought; its SeriesReceived with what is known."""
        try:
            fields = json.loads(envelope.body)
            headers = await self._write(fields, PUSH_COUNT, fields["received"]) if self._space else {}
            expected = self._expected.get((fields["pacs_name"], fields["SeriesInstanceUID"]))
        except (ValueError, KeyError, TypeError):  # a matter for whoever decodes it
            return envelope
        if expected is not None:
            headers = {**headers, HEADER_EXPECTED: expected}
        return replace(envelope, headers={**envelope.headers, **headers}) if headers else envelope

    async def _write(self, fields: Mapping[str, Any], key: str, value: int | None) -> Mapping[str, Any]:
        """Write a progress file; the header that says so, or none."""
        try:
            file = progress_file(self._space, fields["folder"], fields["association_id"], key, value)
        except ValueError:
            return {}
        is_written = await self._offload(lambda: self._files.write(file))
        return {HEADER_PROGRESS_SPACE: self._space} if is_written else {}

    def _remember(self, series: tuple[str, str], expected: int) -> None:
        self._expected[series] = expected
        self._expected.move_to_end(series)
        if len(self._expected) > _MOST_KNOWN:
            self._expected.popitem(last=False)
