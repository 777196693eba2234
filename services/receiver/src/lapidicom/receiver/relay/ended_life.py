"""The rest of an ended life once its records are published: open series, temporary files, a note."""

import contextlib
from collections.abc import Iterable

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal.format import FINISHED, Position
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.messages import broken_off
from lapidicom.receiver.relay.open_series import LeftOpen
from lapidicom.receiver.relay.position_file import write_position


class EndedLife:
    """Finishes one journal.

    Args:
        folder: the journal.
        life: its life, for the ids of its messages.
        incoming: folder of the life's temporary files.
        relay_id: of this relay: makes names of temporary files unique.
        observe: told of series of which no message can be made.
    """

    def __init__(
        self, folder: JournalFolder, life: str, incoming: str, *, relay_id: str, observe: Observer
    ) -> None:
        self._folder = folder
        self._life = life
        self._incoming = incoming
        self._relay_id = relay_id
        self._observe = observe

    def is_finished_at(self, end: Position) -> bool:
        """Whether it was noted, by any relay, that the journal is finished and ends there."""
        return self._folder.position(FINISHED) == end

    def note_finished(self, end: Position) -> None:
        """Note that it is finished and ends there. Need not succeed."""
        write_position(self._folder, FINISHED, end, self._relay_id)

    def messages_of(self, left_open: Iterable[LeftOpen]) -> list[Envelope]:
        """The messages that end the series left open."""
        envelopes = []
        for series in left_open:
            try:
                envelope = broken_off(
                    self._life, series.sequence, series.fields, series.received, series.refused
                )
            except ValueError:
                self._observe("series_not_ended", life=self._life, sequence=series.sequence)
            else:
                envelopes.append(envelope)
        return envelopes

    def remove_incoming(self, *, is_known_dead: bool) -> None:
        """Remove the temporary files of the dead.

        Should the owner live, it answers 0xA700 for what it was about to rename. It needs the folder
        for the next: that goes only if the owner is known to be dead, else with its journal.
        """
        fs = self._folder.fs
        with contextlib.suppress(OSError):
            for name in fs.listdir(self._incoming):
                with contextlib.suppress(OSError):
                    fs.unlink(f"{self._incoming}/{name}")
            if is_known_dead:
                fs.rmdir(self._incoming)
