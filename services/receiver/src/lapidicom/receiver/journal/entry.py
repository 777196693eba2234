"""Records on their way into the journal, appended together. Pure."""

from collections.abc import Sequence
from typing import Final

from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import SeriesKey


class Entry:
    """Records appended together.

    Args:
        bodies: the records, without sequence numbers.
        series: the series whose count of instances, or of refusals, these records raise.
        starts: the series_started record that goes before them and opens `series`.
        ends: series that these records end; None if they are no end records.
        refused: they tell of a refusal: nothing waits for them, and no sync is made for them.

    Attributes:
        end: where they end in the journal, once written.
        durable: they are on the disk (without fsync: written).
        settled: their file's folder is synced, or was given up: no reader comes too early.
        failure: why they could not be made durable.
        started_as: sequence number of the series_started record, once framed.
    """

    __slots__ = (
        "bodies",
        "durable",
        "end",
        "ends",
        "failure",
        "refused",
        "series",
        "settled",
        "started_as",
        "starts",
    )

    def __init__(
        self,
        bodies: Sequence[bytes],
        *,
        series: SeriesKey | None = None,
        starts: bytes | None = None,
        ends: Sequence[SeriesKey] | None = None,
        refused: bool = False,
    ) -> None:
        self.bodies: Final = bodies
        self.series: Final = series
        self.starts: Final = starts
        self.ends: Final = ends
        self.refused: Final = refused
        self.end: Position | None = None
        self.durable = False
        self.settled = refused or ends is not None
        self.failure: OSError | None = None
        self.started_as = 0

    def released(self) -> None:
        """Its outcome stands: durable or failed."""

    def length(self) -> int:
        """Bytes of its records."""
        return sum(map(len, self.bodies)) + (0 if self.starts is None else len(self.starts))
