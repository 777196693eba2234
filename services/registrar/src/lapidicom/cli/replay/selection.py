"""Which dead letters a replay takes, and what becomes of each: first seen, then done. Pure code.

Under the lock nothing leaves the queue but by this replay, so that a second walk meets the same letters in
the same order: the selection decides each of them anew, in the same way, and keeps no list of them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lapidicom.cli.dead_letters.copies import copy_of, digest_of
from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.cli.filters import Filters
from lapidicom.cli.replay.edits import Change, Edits, NotEditable
from lapidicom.cli.replay.headers import replay_of, replayed
from lapidicom.cli.replay.records import Doubt, Record
from lapidicom.common.broker import Envelope
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import EXCHANGE, WORK_QUEUE

EXAMPLES = 5
"""Changes that are shown."""


@dataclass
class Seen:
    """What the first walk saw.

    Attributes:
        letters: all dead letters.
        selected: those that will be replayed; of several copies of one id one.
        reasons: of the selected ones, with counts.
        types: likewise, message types.
        copies: further copies of ids that are selected: taken out with the first, not sent.
        unlike: further copies whose bodies differ: left as they are.
        uneditable: left as they are: the edit does not fit them.
        why_uneditable: why, with counts.
        second: selected, and named by an open record: an interrupted replay may have sent them.
        changed: how many are edited.
        changes: examples. Patient data.
        recorded: copies that are named by open records and are dead letters still.
    """

    letters: int = 0
    selected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    unlike: int = 0
    uneditable: int = 0
    why_uneditable: Counter[str] = field(default_factory=Counter)
    second: int = 0
    changed: int = 0
    changes: list[Change] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Send:
    """Publish it again, then take it out."""

    envelope: Envelope
    letter: DeadLetter

    @property
    def copy(self) -> str:
        """As a record names it."""
        return copy_of(self.letter)

    @property
    def path(self) -> str:
        """What CUBE will know it by; empty for a message that registers nothing."""
        return self.letter.path if self.letter.type == InstanceStored.TYPE else ""


@dataclass(frozen=True, slots=True)
class Merge:
    """Take it out: it is a copy of one that this replay has sent."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Not meant, or not possible."""


Choice = Send | Merge | Leave


class Selection:
    """Decides for each dead letter.

    Args:
        filters: which are meant.
        edits: new values of fields.
        replay: id of this replay.
        limit: take no more than so many; None takes all.
    """

    def __init__(self, filters: Filters, edits: Edits, replay: str, limit: int | None = None) -> None:
        self._filters = filters
        self._edits = edits
        self._replay = replay
        self._limit = limit
        self._chosen = 0
        self._digests: dict[str, bytes] = {}
        self._repeated: set[str] = set()

    def is_meant(self, letter: DeadLetter) -> bool:
        """Whether the filters fit, and it did not come back from this very replay."""
        return replay_of(letter.headers) != self._replay and self._filters.matches(letter)

    def edited(self, letter: DeadLetter) -> tuple[bytes, tuple[Change, ...]]:
        """The body as it will be sent; raises NotEditable."""
        return self._edits.apply(letter.type, letter.body)

    def is_over(self, selected: int) -> bool:
        """Whether the limit is reached."""
        return self._limit is not None and selected >= self._limit

    def expect_copies(self, ids: Iterable[str]) -> None:
        """These ids occur more than once; of others nothing needs to be remembered."""
        self._repeated = set(ids)

    def choose(self, letter: DeadLetter, now: str) -> Choice:
        """Decide in the second walk; what is chosen to be sent counts as sent.

        Args:
            letter: the next one.
            now: ISO 8601.
        """
        if not self.is_meant(letter):
            return Leave()
        first = self._digests.get(letter.id)
        if first is not None:
            return Merge() if first == digest_of(letter) else Leave()
        if self.is_over(self._chosen):
            return Leave()
        try:
            body, changes = self.edited(letter)
        except NotEditable:
            return Leave()
        self._chosen += 1
        if letter.id in self._repeated:
            self._digests[letter.id] = digest_of(letter)
        headers = replayed(letter, self._replay, now, tuple(change.name for change in changes))
        envelope = Envelope(
            EXCHANGE, WORK_QUEUE, letter.type, letter.version, letter.lapidicom_id, body, headers
        )
        return Send(envelope, letter.without_body())


class Seeing:
    """The first walk: letter by letter, so that no body is held.

    Args:
        selection: decides which are meant.
        records: open records of interrupted replays.
    """

    def __init__(self, selection: Selection, records: Iterable[Record]) -> None:
        self._selection = selection
        self._doubt = Doubt(records)
        self._digests: dict[str, bytes] = {}
        self._repeated: set[str] = set()
        self._seen = Seen()

    def add(self, letter: DeadLetter) -> None:
        """See the next letter."""
        seen = self._seen
        seen.letters += 1
        named = self._doubt.see(letter)
        if named:
            seen.recorded.add(copy_of(letter))
        if not self._selection.is_meant(letter):
            return
        digest = digest_of(letter)
        first = self._digests.get(letter.id)
        if first is not None:
            self._repeated.add(letter.id)
            if first == digest:
                seen.copies += 1
            else:
                seen.unlike += 1
            return
        if self._selection.is_over(seen.selected):
            return
        try:
            _, changes = self._selection.edited(letter)
        except NotEditable as error:
            seen.uneditable += 1
            seen.why_uneditable[str(error)] += 1
            return
        self._digests[letter.id] = digest
        seen.selected += 1
        seen.second += named
        seen.reasons[letter.reason] += 1
        seen.types[letter.type] += 1
        seen.changed += bool(changes)
        seen.changes.extend(changes[: max(0, EXAMPLES - len(seen.changes))])

    def finish(self) -> Seen:
        """What was seen; the selection now knows which ids are repeated."""
        self._selection.expect_copies(self._repeated)
        return self._seen
