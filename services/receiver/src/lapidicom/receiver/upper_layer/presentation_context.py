"""Presentation contexts: as proposed, and as answered (PS3.8 sections 7.1.1.13, 9.3.2.2 and 9.3.3.2)."""

from dataclasses import dataclass
from enum import IntEnum


class ContextResultCode(IntEnum):
    """Result/Reason of a presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """A presentation context as the SCU proposes it (PS3.8 9.3.2.2), its transfer syntaxes in its order.

    Attributes:
        fault: what is wrong with it; None if it is well formed. A malformed one is refused alone.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one proposed presentation context; `transfer_syntax` is empty unless it is accepted."""

    context_id: int
    result: ContextResultCode
    transfer_syntax: str
    abstract_syntax: str

    @property
    def accepted(self) -> bool:
        """Whether instances may be sent in this context."""
        return self.result is ContextResultCode.ACCEPTANCE
