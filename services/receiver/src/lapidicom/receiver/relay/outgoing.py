"""The messages of lines that were read; records of which none can be made are set aside."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal import records
from lapidicom.common.journal.format import Line, Position
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.common.journal.records import RecordError
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.aside import set_aside
from lapidicom.receiver.relay.behind_mark import BehindMark
from lapidicom.receiver.relay.counts import Counts
from lapidicom.receiver.relay.envelopes import envelope_of


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and where its record begins."""

    start: Position
    envelope: Envelope


class OutgoingMessages:
    """Makes the messages of one journal.

    Args:
        folder: the journal.
        life: its life, for the ids of its messages.
        behind_mark: told of records that are passed over.
        counts: what is set aside is added there.
        observe: told of what is set aside.
    """

    def __init__(
        self, folder: JournalFolder, life: str, behind_mark: BehindMark, *, counts: Counts, observe: Observer
    ) -> None:
        self._folder = folder
        self._life = life
        self._behind_mark = behind_mark
        self._counts = counts
        self._observe = observe

    def of(self, segment: int, lines: Sequence[Line], never_answered: Container[int]) -> list[Outgoing]:
        """The messages of these lines, in their order.

        Args:
            segment: where they stand.
            lines: good ones.
            never_answered: sequence numbers of records to pass over.

        Raises:
            OSError: a record could not be set aside.
        """
        outgoing = []
        for line in lines:
            start = Position(segment, line.start)
            try:
                record = records.parse(line.text)
                if record["sequence"] in never_answered:
                    self._behind_mark.skip(start, record)
                    continue
                envelope = envelope_of(self._life, record)
            except RecordError as error:
                self._set_aside(start, line, error)
                continue
            if envelope is not None:
                outgoing.append(Outgoing(start, envelope))
        return outgoing

    def _set_aside(self, start: Position, line: Line, error: RecordError) -> None:
        if set_aside(self._folder, start.segment, line.text):
            self._counts.set_aside += 1
            self._observe(
                "record_set_aside",
                life=self._life,
                segment=start.segment,
                offset=start.offset,
                reason=str(error),
            )
