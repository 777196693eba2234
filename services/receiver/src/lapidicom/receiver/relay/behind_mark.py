"""Records of an ended life behind its mark: they may or may not have been answered.

Whose file is missing or another is passed over. For all others file and folders are made durable
before their message is published. Should the owner live after all, it may still answer what was
passed over: the relay then goes back to the first of these.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lapidicom.common.journal import records
from lapidicom.common.journal.format import Line, Position
from lapidicom.common.journal.records import RecordError
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.counts import Counts
from lapidicom.receiver.relay.stored_files import StoredFiles


class BehindMark:
    """What is known of those of one journal.

    Args:
        life: of the journal.
        files: the stored files.
        counts: what is passed over is added there.
        observe: told of what is passed over.

    Attributes:
        never_answered: sequence numbers of the records that were passed over.
        first_skipped: where the first of them begins: the cursor stays there.
    """

    def __init__(self, life: str, files: StoredFiles, *, counts: Counts, observe: Observer) -> None:
        self._life = life
        self._files = files
        self._counts = counts
        self._observe = observe
        self.never_answered: set[int] = set()
        self.first_skipped: Position | None = None

    def check(self, lines: Sequence[Line]) -> frozenset[int]:
        """Make the files of records durable.

        Returns:
            Sequence numbers of the records that were never answered.

        Raises:
            OSError: a sync failed, or the volume cannot be read.
        """
        synced: set[str] = set()
        never = set()
        for line in lines:
            try:
                record = records.parse(line.text)
                if record["record"] != records.INSTANCE_RECEIVED:
                    continue
                path, size = record["message"]["path"], record["message"]["size"]
            except (RecordError, KeyError, TypeError):
                continue  # set aside later
            if not isinstance(path, str) or not self._files.make_durable(path, size, synced):
                never.add(record["sequence"])
        return frozenset(never)

    def skip(self, start: Position, record: Mapping[str, Any]) -> None:
        """Pass over a record that begins there."""
        if record["sequence"] in self.never_answered:
            return
        self.never_answered.add(record["sequence"])
        if self.first_skipped is None:
            self.first_skipped = start
        self._counts.never_answered += 1
        self._observe(
            "record_never_answered",
            life=self._life,
            sequence=record["sequence"],
            SOPInstanceUID=_text(record, "SOPInstanceUID"),
            SeriesInstanceUID=_text(record, "SeriesInstanceUID"),
        )

    def hold_back(self, position: Position) -> Position:
        """This position, or the first record that was skipped, if that one comes before."""
        return position if self.first_skipped is None else min(position, self.first_skipped)

    def forget(self) -> None:
        """The owner lives: what was passed over is looked at again."""
        self.first_skipped = None
        self.never_answered.clear()


def _text(record: Mapping[str, Any], keyword: str) -> str | None:
    message = record.get("message")
    value = message.get(keyword) if isinstance(message, dict) else None
    return value if isinstance(value, str) else None
