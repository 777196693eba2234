"""One history of a volume: owners that store, relays that publish, and faults, all by one seed.

The code of storage, journal and relay is the product's; the disk, the broker, the clock and the order in
which the processes go on are simulated. A fault is one of: power cut, kill, short write, failed call, full
disk, and a pause during which the rest of the world goes on, takes the paused one for dead, finishes its
journal and perhaps deletes it; and the perils of `Peril`.
"""

import asyncio
import contextlib
import errno
import posixpath
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import COMMITTED, Position, decode_position, parse_segment_name
from lapidicom.common.open_series import OPEN
from tests.support import journal_promises as promises
from tests.support.journal_perils import Peril
from tests.support.journal_processes import (
    DIRECTORY_CACHES,
    ROOT,
    SPOOL,
    TAKEOVER,
    Owner,
    RelayProcess,
    SimulatedBroker,
)
from tests.support.journal_promises import Flip, Stored
from tests.support.journal_records import instance_path
from tests.support.relay_rig import Clock
from tests.support.simulated_disk import Disk, File, Killed, PowerCut, SimulatedFileSystem

_EFFECTS = ("power", "kill", "error", "full", "short", "pause")
_CREATING = ("open", "write", "writev", "mkdir", "rename", "link", "fsync", "fdatasync")
_ELSEWHERE = "another host"
_SHORT_SEGMENTS = (2000, 5000, 1 << 20)
_LONGEST_WAIT = max(*DIRECTORY_CACHES, TAKEOVER) + 60.0
"""Seconds without a message or an event after which a relay has nothing left to do."""
_LONG_SEGMENT = 4_500_000
"""Bytes: less than a long list of open series."""


@dataclass
class Plan:
    """Which calls of a process meet a fault.

    Attributes:
        is_armed: whether calls are counted.
        struck: how many faults there were.
    """

    at: dict[int, str] = field(default_factory=dict)
    calls: int = 0
    is_armed: bool = True
    struck: int = 0


class History:
    """Runs one history; `check` then tells whether the promises were kept.

    Args:
        seed: decides everything.
        perils: what may happen beside the faults of system calls.
    """

    def __init__(self, seed: int, perils: Collection[Peril] = frozenset(Peril)) -> None:
        self.seed = seed
        self.perils = perils
        self.chance = random.Random(seed)
        self.is_long = Peril.LONG_LIST in perils and self.chance.random() < 0.02
        self.segment_limit = _LONG_SEGMENT if self.is_long else self.chance.choice(_SHORT_SEGMENTS)
        self.clock = Clock()
        self.disk = Disk(
            self.clock,
            is_network=self.chance.random() < 0.5,
            directory_cache=self.chance.choice(DIRECTORY_CACHES),
        )
        self.disk.make_folders(f"{ROOT}/.lapidicom/incoming")
        self.disk.make_folders(f"{ROOT}/{posixpath.dirname(posixpath.dirname(instance_path(0)))}")
        self.broker = SimulatedBroker(self)
        self.instances: list[Stored] = []
        self.flips: list[Flip] = []
        self.refused: list[str] = []
        self.taken_for_dead: set[str] = set()
        self.finishing: set[str] = set()
        self.steps: list[str] = []
        self.faults_left = True
        self.loop = asyncio.new_event_loop()
        self.lives = 0
        count = self.chance.choice((1, 1, 2))
        self.owners = [Owner(self, f"supervisor-{number}") for number in range(count)]
        self.relays = [self._relay(f"supervisor-{number}") for number in range(count)]
        self.other = self._relay("supervisor-other")
        self.paused = 0

    # --- the processes ---

    def _relay(self, parent: str) -> "RelayProcess":
        return RelayProcess(self, parent)

    def plan(self, chance_of_fault: float, calls: int) -> Plan:
        """Faults for one process."""
        chance = self.chance
        plan = Plan()
        while self.faults_left and chance.random() < chance_of_fault:
            # Some early, some late: most processes do not live for long.
            plan.at[int(calls ** (chance.random() ** 0.5))] = chance.choice(_EFFECTS)
            chance_of_fault *= 0.8
        return plan

    def file_system(self, plan: Plan, who: str, host: str) -> FileSystem:
        """The system calls of a process with this plan."""
        after: list[str] = []

        def before_call(name: str, path: str) -> int | None:
            plan.calls += plan.is_armed
            effect = plan.at.get(plan.calls) if self.faults_left and plan.is_armed else None
            if effect is None:
                return None
            plan.struck += 1
            self.steps.append(f"{who}: {effect} at {name} {path}")
            if effect in ("power", "kill") and self.chance.random() < 0.5:
                after.append(effect)  # the call itself is still done
                return None
            return self._strike(effect, name)

        def after_call(name: str, _path: str) -> None:
            if after:
                self._strike(after.pop(), name)

        return SimulatedFileSystem(self.disk, host, before_call, after_call)

    def _strike(self, effect: str, name: str) -> int | None:
        match effect:
            case "power":
                raise PowerCut
            case "kill":
                raise Killed
            case "error":
                raise OSError(errno.EIO, "EIO")
            case "full" if name in _CREATING:
                raise OSError(errno.ENOSPC, "ENOSPC")
            case "short" if name in ("write", "writev"):
                return self.chance.randrange(60)
            case "pause":
                self._pause()
        return None

    def _pause(self) -> None:
        """The world goes on without the process that is in this call."""
        if self.paused or self.loop.is_running():
            return
        self.paused += 1
        try:
            for _ in range(self.chance.randrange(1, 12)):
                self._anyone()
            self.clock.now += self.chance.choice((5.0, TAKEOVER + 1))
            for _ in range(self.chance.randrange(1, 12)):
                self._anyone()
        finally:
            self.paused -= 1

    def _anyone(self) -> None:
        """Somebody who is not paused goes on."""
        everyone: list[Owner | RelayProcess] = [*self.owners, *self.relays, self.other]
        one = self.chance.choice(everyone)
        if one.is_busy:
            return
        if isinstance(one, RelayProcess) and self.chance.random() < 0.3:
            one.retain()
        else:
            one.step()

    # --- the run ---

    def run(self) -> None:
        """Let everything happen, until nothing is left to do."""
        try:
            with contextlib.suppress(PowerCut):
                for _ in range(self.chance.randrange(10, 200)):
                    self._step()
            if self.chance.random() < 0.5:
                self._cut_power()
            self.faults_left = False
            self._finish()
        finally:
            self.loop.close()

    def _step(self) -> None:
        chance = self.chance
        try:
            if chance.random() < 0.1:
                self._check_markers()
            if chance.random() < 0.02:
                self._meet_peril()
            match chance.randrange(12):
                case 0 | 1:
                    chance.choice(self.relays).step()
                case 2:
                    self.other.step()
                case 3:
                    self.clock.now += chance.choice((1.0, 10.0, 50.0))
                case 4:
                    chance.choice(self.owners).beat()
                case 5 if chance.random() < 0.2:
                    chance.choice([*self.relays, self.other]).retain()
                case _:
                    chance.choice(self.owners).step()
        except PowerCut:
            self._cut_power()
            self.faults_left = self.chance.random() < 0.3
            for owner in self.owners:
                owner.die()
            for relay in (*self.relays, self.other):
                relay.start()
            if chance.random() < 0.5:
                raise

    def _cut_power(self) -> None:
        self.steps.append("the power is cut")
        self._check_markers()
        self.disk.lose_power(self.chance)
        self._check_markers()
        for flip in self.flips:
            self._excuse_what_follows(flip)

    def _check_markers(self) -> None:
        promises.check_markers(self.instances, self.finishing, self._is_in_spool)

    def _is_in_spool(self, path: str) -> bool:
        try:
            self.disk.find(f"{SPOOL}/{path}")
        except FileNotFoundError:
            return False
        return True

    def _meet_peril(self) -> None:
        met = self.chance.choice((self._flip_bit, self._remove_folder))
        if met == self._flip_bit and Peril.FLIPPED_BIT in self.perils:
            self._flip_bit()
        elif met == self._remove_folder and Peril.REMOVED_FOLDER in self.perils:
            self._remove_folder()

    def _remove_folder(self) -> None:
        """Somebody elsewhere removes a series folder, or one of those above it."""
        parts = posixpath.dirname(instance_path(1, self.chance.randrange(1, 3))).split("/")
        folder = "/".join(parts[: self.chance.randrange(1, len(parts) + 1)])
        try:
            self.disk.remove_tree(f"{ROOT}/{folder}", _ELSEWHERE)
        except FileNotFoundError:
            return
        self.steps.append(f"{_ELSEWHERE} removes {folder}")
        for one in self.instances:
            one.removed |= one.path.startswith(f"{folder}/")

    def _flip_bit(self) -> None:
        """A bit of a line before the mark is flipped."""
        lines = [line for path, file in self._segments() for line in self._lines_before_mark(path, file)]
        if not lines:
            return
        path, start, end = self.chance.choice(lines)
        segment = self.disk.find(path)
        assert isinstance(segment, File)
        texts = [bytes(segment.content[start:end])]
        offset = self.chance.randrange(start, end)
        if offset == end - 1:  # the newline: two lines are one then
            texts.append(bytes(segment.content[end:]).partition(b"\n")[0])
        self.disk.flip(path, offset, self.chance.randrange(8))
        number = parse_segment_name(posixpath.basename(path))
        assert number is not None
        flip = Flip(posixpath.basename(posixpath.dirname(path)), path, Position(number[0], end))
        self.flips.append(flip)
        self.steps.append(f"a bit flips in {path} at {offset}, in {texts[0][:120]!r}")
        for text in texts:
            found = [one for one in self.instances if one.is_in(text)]
            for one in found:
                one.hit = True
            if not found:
                flip.series |= {one.series for one in self.instances if one.has_series_in(text)}

    def _lines_before_mark(self, path: str, segment: File) -> list[tuple[str, int, int]]:
        mark = self._mark(posixpath.dirname(path))
        number = parse_segment_name(posixpath.basename(path))
        lines: list[tuple[str, int, int]] = []
        if mark is None or number is None:
            return lines
        limit = (
            mark.offset if number[0] == mark.segment else len(segment.content) * (number[0] < mark.segment)
        )
        start = 0
        while (newline := segment.content.find(b"\n", start, limit)) >= 0:
            lines.append((path, start, newline + 1))
            start = newline + 1
        return lines

    def _excuse_what_follows(self, flip: Flip) -> None:
        """If the mark is lost, nobody can know that the bad line is not where a write was torn."""
        mark = self._mark(posixpath.dirname(flip.path))
        if mark is not None and mark >= flip.position:
            return
        for name in (flip.path, flip.path.replace(".log", ".done")):
            with contextlib.suppress(FileNotFoundError):
                segment = self.disk.find(name)
                assert isinstance(segment, File)
                behind = bytes(segment.content[flip.position.offset :])
                for line in behind.split(b"\n"):
                    for one in self.instances:
                        one.hit |= one.is_in(line)
                        if one.has_series_in(line):
                            flip.series.add(one.series)

    def _mark(self, journal: str) -> Position | None:
        try:
            file = self.disk.find(f"{journal}/{COMMITTED}")
        except FileNotFoundError:
            return None
        return decode_position(bytes(file.content)) if isinstance(file, File) else None

    def _segments(self) -> list[tuple[str, File]]:
        """The segments of all journals."""
        files = self._files_below(str(SPOOL))
        return [(path, file) for path, file in files if parse_segment_name(posixpath.basename(path))]

    def _files_below(self, path: str) -> list[tuple[str, File]]:
        """All files below a path."""
        node = self.disk.find(path)
        if isinstance(node, File):
            return [(path, node)]
        return [file for name in node.names for file in self._files_below(f"{path}/{name}")]

    def _finish(self) -> None:
        """Nobody who was there is left; the relay of another receiver finds what they left."""
        self.steps.append("the end")
        for owner in self.owners:
            owner.die()
        self.broker.faulty = False
        last = RelayProcess(self, "supervisor-last")
        last.step()
        self.clock.now += TAKEOVER + 1
        quiet = seen = 0
        while quiet < _LONGEST_WAIT / 20.0:
            last.step()
            self.clock.now += 20.0
            quiet = quiet + 1 if seen == len(self.broker.stored) + len(last.events) else 0
            seen = len(self.broker.stored) + len(last.events)
        for _ in range(2):  # a power cut may bring back the marker of a life whose journal is deleted
            last.retain()
        self.last = last

    # --- the promises ---

    def check(self) -> None:
        """Whether the promises were kept.

        Raises:
            AssertionError: one was not.
        """
        assert not self.refused, f"refused without a cause: {self.refused}"
        promises.check(self.instances, self.flips, self.broker.stored)
        promises.check_folders(self.instances)
        markers = self._files_below(f"{SPOOL}/{OPEN}") if self._is_in_spool(OPEN) else []
        assert not markers, f"of lives that are finished: {markers}"


def run_history(
    seed: int, perils: Collection[Peril] = frozenset(Peril), tell: Callable[[str], object] = print
) -> History:
    """Run and check one history; a broken promise is told with its seed and its steps.

    Raises:
        AssertionError: a promise was broken.
    """
    history = History(seed, perils)
    try:
        history.run()
        history.check()
    except BaseException:
        tell(f"history {seed}:\n" + "\n".join(history.steps))
        raise
    return history
