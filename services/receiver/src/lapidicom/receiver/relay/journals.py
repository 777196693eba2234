"""Which journals this relay follows, and which lives it takes for ended.

It follows the journals of its own supervisor's listeners from their beginning, and any other once
its owner is gone: the supervisor says so, or the heartbeat has stood still for the whole takeover
time, by this relay's own clock and as long as the relay itself ran. A claim on an ended life saves other
relays the work; it expires like a life, by standing still. Whatever goes wrong here leads to records
sent twice or later, never to a lost one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import CLAIM, parse_folder_name
from lapidicom.common.journal.reader import JournalFolder, find_journals
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.follower import Follower
from lapidicom.receiver.relay.reader import replace_file

_UNKNOWN: Final = "unknown"

_LOOKS_BETWEEN: Final = 10
"""A finished journal is looked at once in so many looks."""


class StandStill:
    """Watches a value that moves while its writer lives: a heartbeat, a claim.

    Reading may take any time: a value stands still from behind its first reading to before its last one.

    Args:
        value: what was seen.
        clock: monotonic seconds.
    """

    def __init__(self, value: bytes, clock: Callable[[], float]) -> None:
        self.value = value
        self._clock = clock
        self._since = clock()

    def look(self, value: bytes) -> bool:
        """Take another look.

        Returns:
            Whether the value has moved since the last one.
        """
        if value == self.value:
            return False
        self.value = value
        self._since = self._clock()
        return True

    def seconds(self, before: float) -> float:
        """For how long it has been seen standing still; `before` is the time before the last look."""
        return before - self._since


@dataclass(frozen=True, slots=True)
class RelayIdentity:
    """Who this relay is.

    Args:
        relay_id: unique among all relays.
        receiver_id: CHRIS_RECEIVER_ID.
        parent: its supervisor, as `parent_identity` tells.
    """

    relay_id: str
    receiver_id: str
    parent: str

    def owns(self, receiver_id: str, parent: str) -> bool:
        """Whether a journal is one of this relay's supervisor."""
        if parent.startswith(_UNKNOWN) or self.parent.startswith(_UNKNOWN):
            return receiver_id == self.receiver_id
        return parent == self.parent


@dataclass(slots=True)
class WatchedJournal:
    """A journal on the volume.

    Attributes:
        name: of its folder.
        follower: reads it, if this relay does.
        end_seen: the supervisor saw its owner end.
    """

    name: str
    receiver_id: str
    life: str
    folder: JournalFolder
    beat: StandStill
    claim: StandStill
    follower: Follower | None = None
    is_own: bool | None = None
    end_seen: bool = False
    claimed_at: float | None = None
    looks: int = field(default=0)


class Journals:
    """All journals on the volume.

    Args:
        file_system: the system calls.
        spool: the spool directory.
        identity: of this relay.
        takeover: CHRIS_JOURNAL_TAKEOVER, seconds.
        clock: monotonic seconds, without those in which the relay itself did not run.
        make_follower: makes the follower of a journal: of its folder, its life, its folder's name.
        observe: called with each event.
    """

    def __init__(
        self,
        file_system: FileSystem,
        spool: Path,
        identity: RelayIdentity,
        *,
        takeover: float,
        clock: Callable[[], float],
        make_follower: Callable[[JournalFolder, str, str], Follower],
        observe: Observer,
    ) -> None:
        self._fs = file_system
        self._spool = os.fspath(spool)
        self._identity = identity
        self._takeover = takeover
        self._clock = clock
        self._make_follower = make_follower
        self._observe = observe
        self._watched: dict[str, WatchedJournal] = {}
        self._seen_to_end: set[str] = set()
        self._unknown: set[str] = set()

    def followers(self) -> list[Follower]:
        """Those that may have something to publish."""
        followers = (one.follower for one in self._watched.values())
        return [one for one in followers if one and not one.finished and one.unknown is None]

    def watched(self) -> list[WatchedJournal]:
        """All journals known."""
        return list(self._watched.values())

    def finished_lives(self) -> set[str]:
        """Those of which everything is published."""
        return {one.life for one in self._watched.values() if one.follower and one.follower.finished}

    def other_lives(self) -> set[str]:
        """Those that have a journal and are not finished, also where this version cannot read it."""
        names = (path.rpartition("/")[2] for path in self._unknown)
        unknown = {parsed[1] for name in names if (parsed := parse_folder_name(name)) is not None}
        return ({one.life for one in self._watched.values()} | unknown) - self.finished_lives()

    def owner_ended(self, name: str) -> None:
        """The supervisor saw the owner of this journal end: it may be finished at once."""
        self._seen_to_end.add(name)
        self.look()

    def look(self) -> None:
        """Look at the volume: journals that came or went, heartbeats, claims.

        Raises:
            OSError: the volume cannot be read.
        """
        now = self._clock()
        self._discover()
        for one in list(self._watched.values()):
            try:
                self._look_at(one, now)
            except FileNotFoundError:
                continue  # deleted just now; not listed the next time

    def write_cursors(self) -> None:
        """Remember what is confirmed."""
        for one in self._watched.values():
            if one.follower is not None:
                one.follower.write_cursor()

    def close(self) -> None:
        """Remember what is confirmed, and close everything."""
        self.write_cursors()
        for one in self._watched.values():
            self._forget(one)
        self._watched.clear()

    def _discover(self) -> None:
        found = find_journals(self._fs, self._spool)
        for name, folder in found.readable.items():
            parsed = None if name in self._watched else parse_folder_name(name)
            if parsed is not None:
                beat = StandStill(folder.heartbeat(), self._clock)
                claim = StandStill(folder.file(CLAIM), self._clock)
                self._watched[name] = WatchedJournal(name, *parsed, folder, beat, claim)
        for name in self._watched.keys() - found.readable.keys():
            self._forget(self._watched.pop(name))
        for journal in found.unknown:
            if journal.path not in self._unknown:
                self._observe("journal_left_alone", life=journal.name, reason=journal.reason)
        self._unknown = {journal.path for journal in found.unknown}

    def _forget(self, one: WatchedJournal) -> None:
        if one.follower is not None:
            one.follower.close()
        one.folder.close()

    def _look_at(self, one: WatchedJournal, now: float) -> None:
        follower = one.follower
        one.looks += 1
        if follower is not None and follower.unknown is not None:
            self._release(one)
            return
        newly_seen = one.name in self._seen_to_end
        if follower is not None and follower.finished and one.looks % _LOOKS_BETWEEN and not newly_seen:
            return
        moved = one.beat.look(one.folder.heartbeat())
        one.claim.look(one.folder.file(CLAIM))
        if newly_seen:
            self._seen_to_end.discard(one.name)
            one.end_seen = True
        elif moved and one.end_seen:
            one.end_seen = False
        if one.is_own is None:
            self._find_parent(one)
        if one.is_own and one.follower is None:
            self._follow(one)
        self._judge(one, now, moved=moved)

    def _find_parent(self, one: WatchedJournal) -> None:
        parent = one.folder.parent()
        if parent:
            one.is_own = self._identity.owns(one.receiver_id, parent)

    def _follow(self, one: WatchedJournal) -> Follower:
        if one.follower is None:
            one.follower = self._make_follower(one.folder, one.life, one.name)
        return one.follower

    def _judge(self, one: WatchedJournal, now: float, *, moved: bool) -> None:
        """Decide whether the owner lives."""
        follower = one.follower
        if follower is not None and follower.ended:
            if moved and not one.end_seen:
                self._observe("journal_owner_lives", life=one.name)
                follower.owner_lives()
            elif follower.finished:
                follower.look_again()
            else:
                self._claim(one, now)
        elif one.end_seen or (one.beat.seconds(now) >= self._takeover and not self._is_claimed(one, now)):
            self._observe("journal_taken_over", life=one.name, end_seen=one.end_seen)
            self._follow(one).owner_ended(is_known=one.end_seen)
            self._claim(one, now)

    def _is_claimed(self, one: WatchedJournal, now: float) -> bool:
        """Whether another relay is at it: its claim has moved within the takeover time."""
        claim = one.claim
        return bool(claim.value) and not self._is_ours(claim.value) and claim.seconds(now) < self._takeover

    def _release(self, one: WatchedJournal) -> None:
        """Take this relay's claim away: it cannot finish that journal, a newer one can."""
        if one.claimed_at is not None and self._is_ours(one.folder.file(CLAIM)):
            self._fs.unlink(f"{one.folder.path}/{CLAIM}")
        one.claimed_at = None

    def _is_ours(self, claim: bytes) -> bool:
        return claim.startswith(self._identity.relay_id.encode())

    def _claim(self, one: WatchedJournal, now: float) -> None:
        """Say, again and again while it lasts, that this relay is at it. Need not succeed."""
        if one.claimed_at is not None and now - one.claimed_at < self._takeover / 4:
            return
        one.claimed_at = now
        text = f"{self._identity.relay_id} {now:.3f}\n"
        try:
            replace_file(one.folder, CLAIM, text.encode(), self._identity.relay_id)
        except OSError as error:
            self._observe("journal_not_claimed", life=one.name, errno=error.errno)
