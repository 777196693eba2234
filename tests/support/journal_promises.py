"""What a history of journals must have kept: every answered instance is published, in order, and so on.

Formats of lines and records are none of its business: a record is recognised by the text in it.
"""

import itertools
import json
import posixpath
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from lapidicom.common.broker import Envelope
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import SeriesKey
from lapidicom.common.open_series import life_of
from lapidicom.receiver.journal.entry import Entry


@dataclass
class Marked:
    """A series of an association, as its open marker tells.

    Attributes:
        path: of the marker that keeps it open, relative to the spool; empty before the first is durable.
        is_ended: its end record is durable.
    """

    path: str = ""
    is_ended: bool = False


@dataclass
class Stored:
    """An instance that an owner has placed and handed to its journal.

    Attributes:
        path: of its file.
        size: of the file, as its record tells it.
        data_set: what was sent.
        series: it is one of.
        entry: in the journal.
        journal: name of the journal's folder, once the entry is settled.
        answered: whether the SCU was answered with success; None if it got no answer.
        removed: somebody has removed its folder since.
        marked: the marker of its series in its association.
        is_old: an owner of the version before stored it.
        hit: a flipped bit has made its record unreadable, or what stood before it in a torn segment.
    """

    path: str
    size: int
    data_set: bytes
    series: SeriesKey
    entry: Entry
    marked: Marked
    is_old: bool
    journal: str = ""
    answered: bool | None = None
    removed: bool = False
    hit: bool = False

    def is_in(self, text: bytes) -> bool:
        """Whether this is its record."""
        return self.path.encode() in text and self.series.association_id.encode() in text

    def has_series_in(self, text: bytes) -> bool:
        """Whether its series is named there."""
        return self.series.folder.encode() in text and self.series.association_id.encode() in text

    @property
    def must_be_published(self) -> bool:
        """Whether nothing excuses that it is not."""
        return bool(self.answered) and not self.removed and not self.hit


@dataclass
class Flip:
    """A bit that was flipped in a line of a journal.

    Attributes:
        journal: name of its folder.
        path: of the segment.
        position: where the line ended.
        series: what the line was about, if it was no instance's.
    """

    journal: str
    path: str
    position: Position
    series: set[SeriesKey] = field(default_factory=set)


def check(instances: Iterable[Stored], flips: Iterable[Flip], published: list[Envelope]) -> None:
    """Whether the promises were kept.

    Raises:
        AssertionError: one was not.
    """
    instances, flips = list(instances), list(flips)
    messages = [(envelope.type, json.loads(envelope.body)) for envelope in published]
    paths = {body["path"] for kind, body in messages if kind == "InstanceStored"}
    for one in instances:
        assert not one.must_be_published or one.path in paths, f"lost: {one}"
    known = {(one.path, one.size) for one in instances}
    for kind, body in messages:
        # What else is in a message is normalised by its model; what names the file is not.
        assert kind != "InstanceStored" or (body["path"], body["size"]) in known, body
    ended = {
        SeriesKey(body["association_id"], body["folder"])
        for kind, body in messages
        if kind == "SeriesReceived"
    }
    excused = set(_series_of_lost_lines(instances, flips))
    for one in instances:
        if one.must_be_published and one.series not in excused:
            assert one.series in ended, f"never ended: {one}"
    excused_paths = {(one.path, one.series.association_id) for one in instances if one.removed or one.hit}
    _check_order(
        [
            envelope
            for envelope, (_, body) in zip(published, messages, strict=True)
            if (body.get("path"), body["association_id"]) not in excused_paths
        ]
    )


def check_markers(
    instances: Iterable[Stored], finishing: Container[str], is_there: Callable[[str], bool]
) -> None:
    """Whether each series with an answered instance has its marker, until it or its life has ended.

    Args:
        instances: all.
        finishing: lives of which everything is published, so that their markers may go.
        is_there: whether a path relative to the spool is there.

    Raises:
        AssertionError: one has none.
    """
    for one in instances:
        if one.answered and not one.is_old and not one.marked.is_ended:
            life = life_of(posixpath.basename(one.marked.path))
            assert life in finishing or is_there(one.marked.path), f"no marker: {one}"


def check_folders(instances: Iterable[Stored]) -> None:
    """Whether each series lies in one folder.

    Raises:
        AssertionError: one lies in two.
    """
    folders: dict[str, str] = {}
    for one in instances:
        if one.answered and not one.is_old:
            folder, _, name = one.path.rpartition("/")
            uid = name.partition("-")[2].removesuffix(".dcm").rpartition(".")[0]
            assert folders.setdefault(uid, folder) == folder, f"in two folders: {uid}"


def _series_of_lost_lines(instances: list[Stored], flips: list[Flip]) -> Iterator[SeriesKey]:
    """Series that stood in a line which is lost, and of which no instance follows in that journal."""
    for flip, series in itertools.chain.from_iterable(
        ((flip, series) for series in flip.series) for flip in flips
    ):
        follows = any(
            one.series == series
            and one.journal == flip.journal
            and one.entry.end is not None
            and one.entry.end > flip.position
            and not one.hit
            for one in instances
        )
        if not follows:
            yield series


def _check_order(published: list[Envelope]) -> None:
    """Of two messages of one journal, the later one was stored again behind the earlier one."""
    first: dict[str, dict[float, int]] = {}
    last: dict[str, dict[float, int]] = {}
    for index, envelope in enumerate(published):
        life, _, rest = envelope.lapidicom_id.partition(".")
        number, _, how = rest.partition(".")
        rank = float(number) + (1e9 if how else 0.0)
        first.setdefault(life, {}).setdefault(rank, index)
        last.setdefault(life, {})[rank] = index
    for life, ranks in first.items():
        latest = -1
        for rank in sorted(ranks):
            if rank < 1e9:
                assert last[life][rank] > latest, f"order: {life}.{rank}"
                latest = max(latest, ranks[rank])
