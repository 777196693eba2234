"""What is answered to each proposed presentation context, as a table, and what rejects an association."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import AllStoragePresentationContexts

from lapidicom.receiver.upper_layer.associate import AssociateRequest
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy, Rejection, negotiate, reject_reason
from lapidicom.receiver.upper_layer.presentation_context import PresentationContext
from lapidicom.receiver.upper_layer.transfer_syntaxes import ACCEPTED_TRANSFER_SYNTAXES

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
PRIVATE = "1.2.826.0.1.99999.7"
RETIRED_NM = "1.2.840.10008.5.1.4.1.1.5"
SIEMENS = "1.3.12.2.1107.5.9.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
STORAGE_SERVICE = "1.2.840.10008.4.2"
WORKLIST_SERVICE = "1.2.840.10008.5.1.4.31"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
JPIP, SMPTE, PRIVATE_SYNTAX = "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1", "1.2.840.113619.5.2"

USUAL = NegotiationPolicy()
NOT_PROMISCUOUS = NegotiationPolicy(promiscuous=False)
UNCOMPRESSED = NegotiationPolicy(uncompressed_only=True)


def _request(*contexts: PresentationContext, **fields: object) -> AssociateRequest:
    request = AssociateRequest(
        called_ae_title="ChRIS",
        calling_ae_title="PACS",
        contexts=contexts,
        max_pdu_length=16384,
        roles={},
        service_classes={},
        application_context="1.2.840.10008.3.1.1.1",
        protocol_version=1,
        reserved=bytes(64),
    )
    return replace(request, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "abstract_syntax", "proposed", "result", "transfer_syntax"),
    [
        pytest.param(USUAL, CT, (IMPLICIT,), 0, IMPLICIT, id="storage"),
        pytest.param(USUAL, VERIFICATION, (IMPLICIT,), 0, IMPLICIT, id="verification"),
        pytest.param(NOT_PROMISCUOUS, VERIFICATION, (IMPLICIT,), 0, IMPLICIT, id="verification, strict"),
        pytest.param(USUAL, PRIVATE, (IMPLICIT,), 0, IMPLICIT, id="private, promiscuous"),
        pytest.param(NOT_PROMISCUOUS, PRIVATE, (IMPLICIT,), 3, "", id="private, not promiscuous"),
        pytest.param(NOT_PROMISCUOUS, SIEMENS, (EXPLICIT,), 0, EXPLICIT, id="Siemens, not promiscuous"),
        pytest.param(USUAL, RETIRED_NM, (EXPLICIT,), 0, EXPLICIT, id="retired storage, promiscuous"),
        pytest.param(NOT_PROMISCUOUS, RETIRED_NM, (EXPLICIT,), 3, "", id="retired storage, not promiscuous"),
        pytest.param(USUAL, STUDY_ROOT_FIND, (IMPLICIT,), 3, "", id="known as no storage"),
        pytest.param(USUAL, HANGING_PROTOCOL, (IMPLICIT,), 3, "", id="no instances of a patient"),
        pytest.param(USUAL, CT, (JPEG, IMPLICIT), 0, JPEG, id="the SCU's first wins"),
        pytest.param(USUAL, CT, (IMPLICIT, JPEG), 0, IMPLICIT, id="the SCU's first wins, reversed"),
        pytest.param(USUAL, CT, (JPIP, SMPTE, RLE), 0, RLE, id="its first acceptable one"),
        pytest.param(USUAL, CT, (JPIP,), 4, "", id="only a link to the pixels"),
        pytest.param(USUAL, CT, (PRIVATE_SYNTAX,), 4, "", id="private transfer syntax"),
        pytest.param(USUAL, CT, (), 4, "", id="no transfer syntax"),
        pytest.param(USUAL, STUDY_ROOT_FIND, (JPIP,), 3, "", id="neither: the abstract syntax is named"),
        pytest.param(USUAL, CT, (DEFLATED,), 0, DEFLATED, id="deflated"),
        pytest.param(USUAL, CT, (BIG,), 0, BIG, id="big endian"),
        pytest.param(UNCOMPRESSED, CT, (JPEG, BIG, DEFLATED, EXPLICIT), 0, EXPLICIT, id="uncompressed only"),
        pytest.param(UNCOMPRESSED, CT, (JPEG, BIG, DEFLATED), 4, "", id="nothing uncompressed proposed"),
    ],
)
def test_a_context_gets_its_result(
    policy: NegotiationPolicy,
    abstract_syntax: str,
    proposed: tuple[str, ...],
    result: int,
    transfer_syntax: str,
) -> None:
    (answer,) = negotiate(_request(PresentationContext(5, abstract_syntax, proposed)), policy)

    assert (answer.context_id, answer.abstract_syntax) == (5, abstract_syntax)
    assert (answer.result, answer.transfer_syntax) == (result, transfer_syntax)
    assert answer.accepted is (result == 0)


@pytest.mark.parametrize(
    ("role", "result"),
    [
        pytest.param((True, False), 0, id="SCU"),
        pytest.param((True, True), 0, id="both: it will be the SCU"),
        pytest.param((False, True), 1, id="SCP only: we are no SCU"),
        pytest.param((False, False), 1, id="neither"),
    ],
)
def test_the_peer_must_be_the_scu(role: tuple[bool, bool], result: int) -> None:
    contexts = (PresentationContext(1, CT, (IMPLICIT,)), PresentationContext(3, VERIFICATION, (IMPLICIT,)))

    with_role, without = negotiate(_request(*contexts, roles={CT: role}), USUAL)

    assert (with_role.result, without.result) == (result, 0)


@pytest.mark.parametrize(
    ("abstract_syntax", "service_class", "result"),
    [
        pytest.param(PRIVATE, STORAGE_SERVICE, 0, id="private, said to be storage"),
        pytest.param(PRIVATE, WORKLIST_SERVICE, 3, id="private, said to be something else"),
        pytest.param(CT, WORKLIST_SERVICE, 0, id="known storage stays storage"),
        pytest.param(STUDY_ROOT_FIND, STORAGE_SERVICE, 3, id="a known query stays a query"),
    ],
)
def test_the_service_class_settles_what_the_tables_do_not_know(
    abstract_syntax: str, service_class: str, result: int
) -> None:
    context = PresentationContext(1, abstract_syntax, (IMPLICIT,))

    (answer,) = negotiate(_request(context, service_classes={abstract_syntax: service_class}), USUAL)

    assert answer.result == result


def test_a_refused_context_is_refused_alone() -> None:
    proposed = (STUDY_ROOT_FIND, CT, PRIVATE, VERIFICATION)
    contexts = [PresentationContext(2 * n + 1, uid, (IMPLICIT,)) for n, uid in enumerate(proposed)]

    answers = negotiate(_request(*contexts), NOT_PROMISCUOUS)

    assert [(a.context_id, a.result) for a in answers] == [(1, 3), (3, 0), (5, 3), (7, 0)]


def test_every_storage_class_is_accepted_in_every_accepted_transfer_syntax() -> None:
    uids = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    for part in (uids[:128], uids[128:]):
        for syntax in ACCEPTED_TRANSFER_SYNTAXES:
            contexts = [PresentationContext(2 * n + 1, uid, (syntax,)) for n, uid in enumerate(part)]
            assert all(
                a.accepted and a.transfer_syntax == syntax for a in negotiate(_request(*contexts), USUAL)
            )


_SOME_SYNTAX = st.sampled_from(
    (IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG, JPIP, SMPTE, PRIVATE_SYNTAX, "", "x")
)
_SOME_CONTEXTS = st.lists(
    st.builds(
        PresentationContext,
        st.integers(0, 127).map(lambda n: 2 * n + 1),
        st.sampled_from((CT, VERIFICATION, PRIVATE, STUDY_ROOT_FIND, RETIRED_NM, "", "x")),
        st.lists(_SOME_SYNTAX, max_size=4).map(tuple),
    ),
    max_size=8,
)


@given(_SOME_CONTEXTS, st.booleans(), st.booleans())
def test_each_context_is_answered_in_order_with_a_proposed_syntax_or_none(
    contexts: list[PresentationContext], promiscuous: bool, uncompressed_only: bool
) -> None:
    answers = negotiate(_request(*contexts), NegotiationPolicy(promiscuous, uncompressed_only))

    assert [a.context_id for a in answers] == [c.context_id for c in contexts]
    for answer, context in zip(answers, contexts, strict=True):
        assert (
            answer.transfer_syntax in context.transfer_syntaxes
            if answer.accepted
            else not answer.transfer_syntax
        )


@pytest.mark.parametrize(
    ("changes", "usable", "rejection"),
    [
        pytest.param({}, True, None, id="nothing wrong"),
        pytest.param({"protocol_version": 0xFFFF}, True, None, id="version 1 among others"),
        pytest.param({"protocol_version": 0xFFFE}, True, Rejection(1, 2, 2), id="not version 1"),
        pytest.param({"application_context": "1.2.3"}, True, Rejection(1, 1, 2), id="application context"),
        pytest.param({"application_context": ""}, True, Rejection(1, 1, 2), id="no application context"),
        pytest.param({"calling_ae_title": "..."}, False, Rejection(1, 1, 3), id="calling AE title"),
        pytest.param({"contexts": ()}, True, Rejection(1, 1, 1), id="no presentation context"),
    ],
)
def test_an_association_is_rejected_as_a_whole(
    changes: dict[str, object], usable: bool, rejection: Rejection | None
) -> None:
    request = replace(_request(PresentationContext(1, CT, (IMPLICIT,))), **changes)  # type: ignore[arg-type]

    assert reject_reason(request, calling_ae_title_usable=usable) == rejection


def test_all_contexts_refused_is_no_rejection() -> None:
    """PS3.8 7.1.1.14: the association may be accepted and its contexts refused one by one."""
    request = _request(PresentationContext(1, STUDY_ROOT_FIND, (IMPLICIT,)))

    assert reject_reason(request, calling_ae_title_usable=True) is None
    assert not any(answer.accepted for answer in negotiate(request, USUAL))
