"""PDUs of association set-up and end, against pynetdicom's encoder and against arbitrary bytes."""

import struct

import pynetdicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from lapidicom.receiver.upper_layer.associate import (
    DEFAULT_PEER_MAX_PDU_LENGTH,
    AssociateRequest,
    decode_associate_request,
    encode_associate_accept,
)
from lapidicom.receiver.upper_layer.negotiation import NegotiationPolicy, negotiate
from lapidicom.receiver.upper_layer.pdu import (
    PDUError,
    decode_abort,
    encode_abort,
    encode_associate_reject,
    encode_command_data,
    encode_release_response,
)
from lapidicom.receiver.upper_layer.presentation_context import (
    ContextResult,
    ContextResultCode,
    PresentationContext,
)
from tests.support.seeds import examples

CT, MR, VERIFICATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def uid_item(kind: int, uid: str) -> bytes:
    return item(kind, uid.encode())


def context_item(context_id: int, abstract_syntax: str, *transfer_syntaxes: str) -> bytes:
    subs = uid_item(0x30, abstract_syntax) + b"".join(uid_item(0x40, uid) for uid in transfer_syntaxes)
    return item(0x20, bytes((context_id, 0, 0, 0)) + subs)


def user_item(*sub_items: bytes) -> bytes:
    return item(0x50, b"".join(sub_items))


MAX_LENGTH = item(0x51, (65536).to_bytes(4, "big"))


def body(
    *items: bytes,
    called: bytes = b"CALLED",
    calling: bytes = b"CALLING",
    version: int = 1,
    rest: bytes = bytes(32),
) -> bytes:
    head = struct.pack(">H2x", version) + called.ljust(16) + calling.ljust(16) + rest
    return head + b"".join(items)


def everything() -> A_ASSOCIATE:
    """A request by pynetdicom with each kind of item that PS3.7 annex D.3.3 knows."""
    request = A_ASSOCIATE()
    request.application_context_name = APPLICATION_CONTEXT
    request.calling_ae_title, request.called_ae_title = "SCANNER_7", "ChRIS"
    contexts = [
        pynetdicom.build_context(CT, [EXPLICIT, IMPLICIT]),
        pynetdicom.build_context(MR, [IMPLICIT]),
        pynetdicom.build_context("1.2.3.4", ["1.2.840.10008.1.2.4.94", EXPLICIT]),
    ]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length = MaximumLengthNotification()
    length.maximum_length_received = 28672
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.276.0.7230010.3.0.3.6.7"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "OFFIS_DCMTK_367"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 4, 2
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = "1.2.3.4", "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = [CT, MR]
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"somebody", b"secret"
    request.user_information = [length, implementation, version, window, role, extended, common, identity]
    return request


def encoded(primitive: A_ASSOCIATE) -> bytes:
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    data: bytes = pdu.encode()
    return data[6:]


def test_a_request_with_everything_in_it_decodes_to_what_pynetdicom_meant() -> None:
    request = decode_associate_request(encoded(everything()))

    assert request == AssociateRequest(
        called_ae_title="ChRIS",
        calling_ae_title="SCANNER_7",
        contexts=(
            PresentationContext(1, CT, (EXPLICIT, IMPLICIT)),
            PresentationContext(3, MR, (IMPLICIT,)),
            PresentationContext(5, "1.2.3.4", ("1.2.840.10008.1.2.4.94", EXPLICIT)),
        ),
        max_pdu_length=28672,
        roles={CT: (True, True)},
        service_classes={"1.2.3.4": "1.2.840.10008.4.2"},
        application_context=APPLICATION_CONTEXT,
        protocol_version=1,
        reserved=b"ChRIS".ljust(16) + b"SCANNER_7".ljust(16) + bytes(32),
    )


@pytest.mark.parametrize(
    ("field", "title"),
    [
        (b"PACS            ", "PACS"),
        (b"  PACS          ", "PACS"),
        (b"PACS\0\0\0\0\0\0\0\0\0\0\0\0", "PACS"),
        (b"\0 PACS \0 \0       ", "PACS"),
        (b"PA CS           ", "PA CS"),
        (b"PA\0CS           ", "PA\0CS"),
        (b"RADIOLOG\xd6E       ", "RADIOLOGÖE"),
        (b"A\nB\x1bC\\D          ", "A\nB\x1bC\\D"),
        (b"SIXTEEN_CHARS_16", "SIXTEEN_CHARS_16"),
        (b"                ", "UNKNOWN"),
        (bytes(16), "UNKNOWN"),
        (b"..              ", ".."),
    ],
)
def test_calling_ae_titles_of_real_devices_survive(field: bytes, title: str) -> None:
    assert decode_associate_request(body(calling=field[:16].ljust(16))).calling_ae_title == title


def test_a_blank_called_ae_title_stays_empty() -> None:
    assert decode_associate_request(body(called=bytes(16))).called_ae_title == ""


def test_absent_items_leave_their_defaults() -> None:
    request = decode_associate_request(body())

    assert request.max_pdu_length == DEFAULT_PEER_MAX_PDU_LENGTH
    assert (request.contexts, request.roles, request.service_classes) == ((), {}, {})
    assert request.application_context == ""


def test_items_and_sub_items_of_unknown_types_are_ignored() -> None:
    unknown = item(0x99, b"what later editions bring")
    odd_identity = item(0x58, b"\x09\x00\xff\xff")
    items = (unknown, context_item(1, CT, IMPLICIT), user_item(unknown, MAX_LENGTH, odd_identity))

    request = decode_associate_request(body(*items))

    assert request.contexts == (PresentationContext(1, CT, (IMPLICIT,)),)
    assert request.max_pdu_length == 65536


def test_items_come_in_any_order() -> None:
    name = uid_item(0x10, APPLICATION_CONTEXT)
    items = (user_item(MAX_LENGTH), context_item(3, CT, IMPLICIT), name, context_item(1, MR, IMPLICIT))

    request = decode_associate_request(body(*items))

    assert [context.context_id for context in request.contexts] == [3, 1]
    assert request.application_context == APPLICATION_CONTEXT


def test_uids_padded_as_in_data_sets_are_trimmed() -> None:
    request = decode_associate_request(body(context_item(1, CT + "\0", IMPLICIT + "\0", EXPLICIT + " ")))

    assert request.contexts == (PresentationContext(1, CT, (IMPLICIT, EXPLICIT)),)


def test_odd_names_of_the_peer_are_no_fault() -> None:
    names = (item(0x52, b"1.2\xff" * 40), item(0x55, b"\xe9" * 40))

    assert decode_associate_request(body(user_item(*names))) == decode_associate_request(body(user_item()))


def test_all_128_contexts_are_taken() -> None:
    items = [context_item(context_id, CT, IMPLICIT) for context_id in range(1, 256, 2)]

    assert len(decode_associate_request(body(*items)).contexts) == 128


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(body()[:67], id="head cut off"),
        pytest.param(body(b"\x20"), id="one byte of an item"),
        pytest.param(body(b"\x20\0\0"), id="item header cut off"),
        pytest.param(body(b"\x10\0\xff\xff1.2"), id="item longer than the PDU"),
        pytest.param(body(user_item(item(0x51, b"\1\2"))), id="maximum length of 2 bytes"),
        pytest.param(body(user_item(item(0x54, b"\0\x30" + CT.encode()))), id="role longer than its item"),
        pytest.param(body(user_item(item(0x57, b"\0"))), id="common extended negotiation cut off"),
        pytest.param(
            body(user_item(item(0x99, b"") * 16_000), user_item(item(0x99, b"") * 400)), id="too many items"
        ),
    ],
)
def test_what_is_malformed_aborts_with_invalid_parameter(data: bytes) -> None:
    with pytest.raises(PDUError) as caught:
        decode_associate_request(data)

    assert (caught.value.source, caught.value.reason) == (2, 6)


MALFORMED_CONTEXTS = [
    pytest.param(context_item(2, CT, IMPLICIT), 2, "even", id="even id"),
    pytest.param(context_item(0, CT, IMPLICIT), 0, "even", id="id 0"),
    pytest.param(context_item(1, CT, IMPLICIT) + context_item(1, MR, IMPLICIT), 1, "twice", id="id twice"),
    pytest.param(context_item(1, CT, IMPLICIT) * 2, 1, "twice", id="the same twice"),
    pytest.param(item(0x20, b"\1"), 1, "0 abstract syntaxes", id="nothing behind the id"),
    pytest.param(item(0x20, b"\1\0\0\0"), 1, "0 abstract syntaxes", id="no abstract syntax"),
    pytest.param(
        item(0x20, b"\1\0\0\0" + uid_item(0x30, CT) + uid_item(0x30, MR)),
        1,
        "2 abstract syntaxes",
        id="two abstract syntaxes",
    ),
    pytest.param(
        item(0x20, b"\1\0\0\0\x30\0\0\x30" + CT.encode()), 1, "longer", id="sub-item beyond its item"
    ),
    pytest.param(context_item(1, "1." * 35, IMPLICIT), 1, "too long", id="UID of 70 characters"),
    pytest.param(context_item(1, "1.2.\xff", IMPLICIT), 1, "not ASCII", id="UID not ASCII"),
]


@pytest.mark.parametrize(("malformed", "context_id", "fault"), MALFORMED_CONTEXTS)
def test_a_malformed_presentation_context_is_refused_alone(
    malformed: bytes, context_id: int, fault: str
) -> None:
    request = decode_associate_request(body(context_item(5, MR, EXPLICIT), malformed))

    assert request.contexts[0] == PresentationContext(5, MR, (EXPLICIT,))
    assert [one.context_id for one in request.contexts] == [5, context_id]
    assert fault in (request.contexts[1].fault or "")
    results = negotiate(request, NegotiationPolicy())
    assert [(one.context_id, one.result) for one in results] == [
        (5, ContextResultCode.ACCEPTANCE),
        (context_id, ContextResultCode.NO_REASON),
    ]


def test_a_presentation_context_without_an_id_is_ignored() -> None:
    request = decode_associate_request(body(item(0x20, b""), context_item(5, MR, EXPLICIT)))

    assert [one.context_id for one in request.contexts] == [5]


@pytest.mark.parametrize("syntaxes", [(), ("1." * 35,), ("1.2.\xff",)])
def test_a_context_without_a_usable_transfer_syntax_is_answered_so(syntaxes: tuple[str, ...]) -> None:
    request = decode_associate_request(
        body(context_item(1, CT, *syntaxes), context_item(3, CT, "1." * 35, IMPLICIT))
    )

    assert [one.result for one in negotiate(request, NegotiationPolicy())] == [
        ContextResultCode.TRANSFER_SYNTAXES_NOT_SUPPORTED,
        ContextResultCode.ACCEPTANCE,
    ]


def decoded(data: bytes) -> AssociateRequest | None:
    """The request, or None for the one error that is allowed."""
    try:
        return decode_associate_request(data)
    except PDUError:
        return None


_KINDS = st.sampled_from((0x10, 0x20, 0x30, 0x40, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x99))
_CONTENT = st.one_of(st.binary(max_size=12), st.just(CT.encode()), st.just(b"\1\0\0\0" + uid_item(0x30, CT)))
_ITEM = st.recursive(
    st.builds(item, _KINDS, _CONTENT),
    lambda inner: st.builds(
        item,
        _KINDS,
        st.tuples(st.just(b"\1\0\0\0") | st.just(b""), st.lists(inner, max_size=3).map(b"".join)).map(
            b"".join
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=examples(300))
@given(st.binary(max_size=200) | st.lists(_ITEM, max_size=4).map(lambda items: body(*items)), st.data())
def test_any_bytes_are_a_request_or_a_pdu_error(data: bytes, draw: st.DataObject) -> None:
    if data and draw.draw(st.booleans()):
        position = draw.draw(st.integers(0, len(data) - 1))
        data = data[:position] + draw.draw(st.binary(max_size=3)) + data[position + 1 :]
    request = decoded(data)
    if request is not None:
        assert encode_associate_accept(request, negotiate(request, NegotiationPolicy()), max_pdu_length=0)


@given(st.integers(0, 10_000), st.integers(0, 255))
@example(4, 0xFF)
def test_a_damaged_real_request_is_a_request_or_a_pdu_error(position: int, value: int) -> None:
    data = bytearray(encoded(everything()))
    data[position % len(data)] = value
    request = decoded(bytes(data))
    assert request is None or request.reserved == bytes(data[4:68])


_UID = st.lists(st.integers(0, 99999), min_size=2, max_size=8).map(lambda parts: ".".join(map(str, parts)))
_CONTEXTS = st.dictionaries(
    st.integers(0, 127).map(lambda n: 2 * n + 1), st.tuples(_UID, st.lists(_UID, max_size=5)), max_size=20
)


@given(
    _CONTEXTS,
    st.integers(0, 2**32 - 1),
    st.dictionaries(_UID, st.tuples(st.booleans(), st.booleans()), max_size=4),
)
def test_what_is_encoded_is_decoded(
    contexts: dict[int, tuple[str, list[str]]], length: int, roles: dict[str, tuple[bool, bool]]
) -> None:
    role_items = [
        item(0x54, len(uid).to_bytes(2, "big") + uid.encode() + bytes((scu, scp)))
        for uid, (scu, scp) in roles.items()
    ]
    context_items = [context_item(n, uid, *syntaxes) for n, (uid, syntaxes) in contexts.items()]

    request = decode_associate_request(
        body(*context_items, user_item(item(0x51, length.to_bytes(4, "big")), *role_items))
    )

    assert request.contexts == tuple(
        PresentationContext(n, uid, tuple(ts)) for n, (uid, ts) in contexts.items()
    )
    assert (request.max_pdu_length, request.roles) == (length, roles)


def test_pynetdicom_decodes_our_accept() -> None:
    request = decode_associate_request(encoded(everything()))
    results = (
        ContextResult(1, ContextResultCode.ACCEPTANCE, EXPLICIT, CT),
        ContextResult(3, ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED, "", MR),
        ContextResult(5, ContextResultCode.TRANSFER_SYNTAXES_NOT_SUPPORTED, "", "1.2.3.4"),
    )
    pdu = A_ASSOCIATE_AC()

    pdu.decode(encode_associate_accept(request, results, max_pdu_length=131072))

    assert [c.context_id for c in pdu.presentation_context] == [1, 3, 5]
    assert [c.result for c in pdu.presentation_context] == [0, 3, 4]
    assert pdu.presentation_context[0].transfer_syntax == EXPLICIT
    assert pdu.application_context_name == APPLICATION_CONTEXT
    assert (pdu.called_ae_title.strip(), pdu.calling_ae_title.strip()) == ("ChRIS", "SCANNER_7")
    assert pdu.user_information.maximum_length == 131072
    assert pdu.user_information.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert pdu.user_information.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert {uid: (r.scu_role, r.scp_role) for uid, r in pdu.user_information.role_selection.items()} == {
        CT: (True, False)
    }
    assert pdu.user_information.async_ops_window is None
    assert pdu.user_information.user_identity is None


def test_the_reserved_fields_go_back_as_they_came() -> None:
    data = body(context_item(1, CT, IMPLICIT), called=b"\xff\0odd", calling=b"\nodd", rest=bytes(range(32)))

    accept = encode_associate_accept(decode_associate_request(data), (), max_pdu_length=0)

    assert accept[10:74] == data[4:68]
    assert accept[0] == 0x02
    assert int.from_bytes(accept[2:6], "big") == len(accept) - 6


def test_a_role_for_a_refused_class_is_not_answered() -> None:
    role = item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + b"\0\1")
    request = decode_associate_request(body(context_item(1, CT, IMPLICIT), user_item(role)))

    accept = encode_associate_accept(request, negotiate(request, NegotiationPolicy()), max_pdu_length=0)

    assert b"\x54\0" not in accept


def test_pynetdicom_decodes_our_short_pdus() -> None:
    reject, release, abort = A_ASSOCIATE_RJ(), A_RELEASE_RP(), A_ABORT_RQ()

    reject.decode(encode_associate_reject(2, 3, 2))
    release.decode(encode_release_response())
    abort.decode(encode_abort(2, 6))

    assert (reject.result, reject.source, reject.reason_diagnostic) == (2, 3, 2)
    assert release.encode() == encode_release_response()
    assert (abort.source, abort.reason_diagnostic) == (2, 6)


@pytest.mark.parametrize(
    ("data", "meant"), [(b"\0\0\2\6", (2, 6)), (b"\0\0\0\0", (0, 0)), (b"", (0, 0)), (b"\2", (0, 0))]
)
def test_an_abort_is_an_abort_however_short(data: bytes, meant: tuple[int, int]) -> None:
    assert decode_abort(data) == meant


@given(st.binary(min_size=1, max_size=300), st.sampled_from((0, 1, 7, 8, 9, 20, 100, 16384)))
def test_a_command_is_cut_as_the_peer_can_take_it(command: bytes, most: int) -> None:
    data = encode_command_data(5, command, most)
    fragments = []
    while data:
        length = int.from_bytes(data[2:6], "big")
        assert data[0] == 0x04
        assert not most or length <= max(most, 8)
        pdu = P_DATA_TF()
        pdu.decode(data[: length + 6])
        (pdv,) = pdu.presentation_data_value_items
        assert pdv.presentation_context_id == 5
        fragments.append(pdv.presentation_data_value)
        data = data[length + 6 :]

    assert b"".join(fragment[1:] for fragment in fragments) == command
    assert [fragment[0] for fragment in fragments] == [0x01] * (len(fragments) - 1) + [0x03]


def test_our_names_are_within_their_limits() -> None:
    assert IMPLEMENTATION_CLASS_UID.startswith("2.25.")
    assert len(IMPLEMENTATION_CLASS_UID) <= 64
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
