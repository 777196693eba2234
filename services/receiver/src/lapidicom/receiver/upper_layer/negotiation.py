"""Decides what an association may do: one result per presentation context, or a rejection of the whole.

PS3.8 section 7.1.1 and table 9-18, PS3.7 annex D.3. A refused context is refused alone: an unknown SOP class
must not cost the SCU its association. The tables come from pynetdicom; the decision is ours.
"""

from dataclasses import dataclass
from typing import Final

from lapidicom.receiver.upper_layer.abstract_syntaxes import (
    STORAGE_SERVICE_CLASS,
    AbstractSyntaxKind,
    kind_of,
)
from lapidicom.receiver.upper_layer.associate import APPLICATION_CONTEXT_NAME, AssociateRequest
from lapidicom.receiver.upper_layer.presentation_context import (
    ContextResult,
    ContextResultCode,
    PresentationContext,
)
from lapidicom.receiver.upper_layer.transfer_syntaxes import (
    ACCEPTED_TRANSFER_SYNTAXES,
    UNCOMPRESSED_TRANSFER_SYNTAXES,
)

_ALL = frozenset(ACCEPTED_TRANSFER_SYNTAXES)
_UNCOMPRESSED = frozenset(UNCOMPRESSED_TRANSFER_SYNTAXES)


@dataclass(frozen=True, slots=True)
class NegotiationPolicy:
    """What the site allows.

    Attributes:
        promiscuous: take an unknown abstract syntax for a storage SOP class (CHRIS_SCP_PROMISCUOUS).
        uncompressed_only: accept native little-endian transfer syntaxes only (CHRIS_SCP_UNCOMPRESSED_ONLY).
    """

    promiscuous: bool = True
    uncompressed_only: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


NO_REASON_GIVEN: Final = Rejection(1, 1, 1)
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(1, 1, 3)
PROTOCOL_VERSION_NOT_SUPPORTED: Final = Rejection(1, 2, 2)
ASSOCIATION_LIMIT_EXCEEDED: Final = Rejection(2, 3, 2)
"""Transient, local limit: the newcomer may try again."""


def reject_reason(request: AssociateRequest, *, calling_ae_title_usable: bool) -> Rejection | None:
    """Tell why the association as a whole cannot be accepted, or None.

    Args:
        request: what the peer proposes.
        calling_ae_title_usable: false when nothing, or only dots, is left of the calling AE title after
            sanitising, so that it cannot name a folder.
    """
    if not request.protocol_version & 1:  # PS3.8 9.3.2: only bit 0 is tested
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT_NAME:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if not calling_ae_title_usable:
        return CALLING_AE_TITLE_NOT_RECOGNIZED
    if not request.contexts:  # PS3.8 9.3.2: one or more
        return NO_REASON_GIVEN
    return None


def negotiate(request: AssociateRequest, policy: NegotiationPolicy) -> tuple[ContextResult, ...]:
    """Answer each proposed presentation context, in the request's order."""
    kinds: dict[str, AbstractSyntaxKind] = {}
    accepted_syntaxes = _UNCOMPRESSED if policy.uncompressed_only else _ALL
    results = []
    for context in request.contexts:
        abstract_syntax = context.abstract_syntax
        if context.fault is not None:
            results.append(
                ContextResult(context.context_id, ContextResultCode.NO_REASON, "", abstract_syntax)
            )
            continue
        kind = kinds.get(abstract_syntax)
        if kind is None:
            kind = kinds[abstract_syntax] = kind_of(abstract_syntax)
        transfer_syntax = ""
        if not _supported(kind, request.service_classes.get(abstract_syntax), policy):
            code = ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED
        elif not request.roles.get(abstract_syntax, (True, False))[0]:
            # The peer will not be the SCU (PS3.7 D.3.3.4), and we are an SCP only
            code = ContextResultCode.USER_REJECTION
        else:
            transfer_syntax = _first(context, accepted_syntaxes)
            code = (
                ContextResultCode.ACCEPTANCE
                if transfer_syntax
                else ContextResultCode.TRANSFER_SYNTAXES_NOT_SUPPORTED
            )
        results.append(ContextResult(context.context_id, code, transfer_syntax, abstract_syntax))
    return tuple(results)


def _supported(kind: AbstractSyntaxKind, service_class: str | None, policy: NegotiationPolicy) -> bool:
    if kind is AbstractSyntaxKind.UNKNOWN:
        # What the peer says of its own class settles it (PS3.7 D.3.3.6)
        return policy.promiscuous and service_class in (None, STORAGE_SERVICE_CLASS)
    return kind is not AbstractSyntaxKind.OTHER


def _first(context: PresentationContext, accepted: frozenset[str]) -> str:
    """Give the SCU's first acceptable transfer syntax, or an empty text."""
    return next((uid for uid in context.transfer_syntaxes if uid in accepted), "")
