"""What may happen to a journal beside faults of single system calls; each can be left out of a history."""

from enum import Enum, auto


class Peril(Enum):
    """One kind."""

    REPLACED = auto()
    """Two associations send different instances of one path: the later one replaces the file."""
    KEPT = auto()
    """Two send the same instance, called by different AE titles: the first file is kept, though a File Meta
    of another length came with the second."""
    REMOVED_FOLDER = auto()
    """Another host removes a series folder, or one above it, from a volume that they share."""
    FLIPPED_BIT = auto()
    """A bit of a line before the mark is flipped on the disk."""
    LONG_LIST = auto()
    """The list of open series, with which a segment begins, is longer than the longest record."""
    OLD_FORMAT = auto()
    """Some owners are of the version before, and write journals of format 1."""
