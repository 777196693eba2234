"""The receiver's errors: each answers the question "which DIMSE status?" by its type.

Refusal                     the instance is refused, the association goes on
+-- OutOfResources          0xA700  (PS3.4 B.2.3)
|   +-- JournalUnavailable          the record is not durable
+-- SeriesBeingHealed       0xA700  (likewise: not now)
+-- DoesNotMatchSOPClass    0xA900
+-- CannotUnderstand        0xC000
+-- ProcessingFailure       0x0110  (PS3.7 C.5)
+-- InvalidSOPInstance      0x0117
+-- SOPClassNotSupported    0x0122
+-- UnrecognisedOperation   0x0211
"""

from typing import ClassVar


class Refusal(Exception):
    """A C-STORE or C-ECHO request is answered with a failure.

    Args:
        comment: the Error Comment (0000,0902), at most 64 characters: names the tag and the fault,
            never a value of the data set.
        offending: tags for the Offending Element (0000,0901), as 0xGGGGEEEE.
    """

    status: ClassVar[int]

    def __init__(self, comment: str, offending: tuple[int, ...] = ()) -> None:
        super().__init__(comment)
        self.comment = comment[:64]
        self.offending = offending


class OutOfResources(Refusal):
    """Refused: out of resources.

    Args:
        comment: as for any refusal.
        is_shared: whether every receiver on this volume refuses for the same reason: no space, no
            inodes, or the quota is used up.
    """

    status = 0xA700

    def __init__(self, comment: str, *, is_shared: bool = False) -> None:
        super().__init__(comment)
        self.is_shared = is_shared


class JournalUnavailable(OutOfResources):
    """The record of the instance could not be made durable."""


class SeriesBeingHealed(Refusal):
    """`lapidicom heal` works on the series, and nothing is wrong with the receiver."""

    status = 0xA700


class DoesNotMatchSOPClass(Refusal):
    """Error: data set does not match SOP Class."""

    status = 0xA900


class CannotUnderstand(Refusal):
    """Error: cannot understand."""

    status = 0xC000


class ProcessingFailure(Refusal):
    """Processing failure: a fault of the receiver itself."""

    status = 0x0110


class InvalidSOPInstance(Refusal):
    """Invalid SOP Instance: the UID of the command is malformed."""

    status = 0x0117


class SOPClassNotSupported(Refusal):
    """The SOP class of the command is not that of the presentation context."""

    status = 0x0122


class UnrecognisedOperation(Refusal):
    """The command is none that this SCP knows."""

    status = 0x0211
