"""One association, from the transport connection to its end: a thread that follows the state table.

Everything but P-DATA-TF in Sta6 goes through `state_table.transition`; what an action sends is sent here.
P-DATA-TF in Sta6 is the hot path: cell DT-2, whose state does not change, is done without a look-up.
"""

import socket
import threading
import time
import uuid
from contextlib import suppress

from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name
from lapidicom.receiver.association.application_entity import ApplicationEntity
from lapidicom.receiver.association.series import AssociationInfo
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.dimse.provider import AnswerGivenUp, DimseViolation, ServiceProvider
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.upper_layer.associate import (
    AssociateRequest,
    decode_associate_request,
    encode_associate_accept,
)
from lapidicom.receiver.upper_layer.negotiation import (
    ASSOCIATION_LIMIT_EXCEEDED,
    Rejection,
    negotiate,
    reject_reason,
)
from lapidicom.receiver.upper_layer.pdu import (
    ABORT_SOURCE_SERVICE_PROVIDER,
    ABORT_SOURCE_SERVICE_USER,
    AbortReason,
    PDUError,
    decode_abort,
    encode_abort,
    encode_associate_reject,
    encode_command_data,
    encode_release_response,
)
from lapidicom.receiver.upper_layer.pdu_reader import (
    VIEWS_END,
    Fragment,
    MalformedPDU,
    PDUReader,
    ViewsEnd,
)
from lapidicom.receiver.upper_layer.presentation_context import ContextResult
from lapidicom.receiver.upper_layer.state_table import (
    EVENT_OF_PDU_TYPE,
    Event,
    Sends,
    State,
    transition,
)
from lapidicom.receiver.upper_layer.transport import (
    PeerClosed,
    PeerSilent,
    acknowledger,
    set_timeout,
    socket_receiver,
)


class Association:
    """Serves one transport connection; `run` returns when it is closed.

    Args:
        sock: the connected socket; closed at the end.
        peer_address: host:port, for records and logs.
        entity: what all associations share.
    """

    def __init__(self, sock: socket.socket, peer_address: str, entity: ApplicationEntity) -> None:
        self._sock = sock
        self._peer_address = peer_address
        self._entity = entity
        self._association_id = str(uuid.uuid4())
        self._log = entity.log.bind(association_id=self._association_id)
        self._counters = entity.tally.begin()
        self._reader = PDUReader(
            socket_receiver(sock),
            acknowledge=acknowledger(sock),
            max_p_data=entity.max_pdu_length if entity.strict and entity.max_pdu_length else None,
        )
        self._state = State.STA1
        self._has_place = False
        self._stop_requested = False
        self._thread = 0
        self.work = 0
        """Odd while the thread is at what the volume may hold up; another number each time."""
        self._released = False
        self._peer_max_pdu_length = 0
        self._request: AssociateRequest | None = None
        self._results: tuple[ContextResult, ...] = ()
        self._rejection: Rejection | None = None
        self._abort_reason = AbortReason.NOT_SPECIFIED
        self._scp: StoreSCP | None = None
        self._provider: ServiceProvider | None = None

    def run(self) -> None:
        """Serve the connection to its end. Never raises: one bad association disturbs no other."""
        self._thread = threading.get_ident()
        try:
            set_timeout(self._sock, socket.SO_SNDTIMEO, self._entity.acse_timeout)
            self._on(Event.EVT5_TRANSPORT_INDICATION)
            while self._state is not State.STA1:
                self._on(self._next_event())
            self._end_scp()
        except Exception:  # noqa: BLE001 -- logged; it must not end the listener
            self._log.exception("association_failed")
            with suppress(OSError):  # the peer has gone
                self._abort_after_error()
        finally:
            self._end()

    def stop(self) -> None:
        """Ask, from another thread, that the association be aborted now."""
        self._stop_requested = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def give_up(self, refusal: Refusal) -> None:
        """Answer and abort, from another thread, because the volume holds this one up; give its place back.

        Args:
            refusal: the answer to the instance in hand; one that has not arrived as a whole gets none.
        """
        answer = self._provider.give_up(refusal) if self._provider is not None else None
        self._stop_requested = True
        pdus = encode_abort(ABORT_SOURCE_SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)
        if answer is not None:
            pdus = encode_command_data(*answer, self._peer_max_pdu_length) + pdus
        with suppress(OSError):  # the peer has gone, or does not read
            self._sock.send(pdus, socket.MSG_DONTWAIT)
            self._sock.shutdown(socket.SHUT_RDWR)
        self._entity.places.release(self._thread)
        self._log.error("store_timed_out", answered=answer is not None, peer=self._peer_address)

    @property
    def is_bare(self) -> bool:
        """Whether it is no association, nor one that waits for a place: nothing asked, or all answered."""
        return not self._has_place and self._state is not State.STA3

    # -- events ---------------------------------------------------------------------------------

    def _next_event(self) -> Event:
        if self._state is State.STA3:
            return self._decide()
        if self._state is State.STA8:
            self._released = True
            self._end_scp()
            return Event.EVT14_RELEASE
        try:
            return self._receive()
        except AnswerGivenUp:
            return Event.EVT15_ABORT
        except PeerClosed:
            stopped = self._stop_requested and self._state is State.STA6
            return Event.EVT15_ABORT if stopped else Event.EVT17_TRANSPORT_CLOSED
        except PeerSilent:
            if self._state is State.STA6:
                self._log.warning("association_idle", seconds=self._entity.idle_timeout)
                return Event.EVT15_ABORT
            return Event.EVT18_ARTIM_EXPIRED
        except MalformedPDU as error:
            return self._invalid(AbortReason(error.reason), str(error))
        except DimseViolation as error:
            return self._invalid(AbortReason.INVALID_PDU_PARAMETER_VALUE, str(error))
        finally:
            if self.work & 1:
                self.work += 1

    def _receive(self) -> Event:
        read = self._reader.read
        if self._state is State.STA6 and self._provider is not None:
            take = self._provider.take
            while not self._stop_requested:
                got = read()
                if type(got) is Fragment:
                    self.work += 1
                    take(got)
                    self.work += 1
                elif got is VIEWS_END:
                    self.work += 1
                    self._provider.spill()
                    self.work += 1
                else:
                    break
            else:
                return Event.EVT15_ABORT
        else:
            got = read()
        if isinstance(got, ViewsEnd):  # nobody keeps any here
            return self._receive()
        if isinstance(got, Fragment):
            return Event.EVT10_DATA
        event = EVENT_OF_PDU_TYPE[got.type]
        if event is Event.EVT6_ASSOCIATE_RQ and self._state is State.STA2:
            self._reader.receive_into = socket_receiver(self._sock)
            try:
                self._request = decode_associate_request(got.body)
            except PDUError as error:
                self._abort_reason = error.reason
                self._log.warning("associate_request_malformed", fault=str(error), peer=self._peer_address)
        elif event is Event.EVT16_ABORT_PDU:
            source, reason = decode_abort(got.body)
            self._log.info("association_aborted_by_peer", source=source, reason=reason)
        elif event is not Event.EVT12_RELEASE_RQ:
            self._abort_reason = AbortReason.UNEXPECTED_PDU
        return event

    def _invalid(self, reason: AbortReason, fault: str) -> Event:
        self._abort_reason = reason
        self._log.warning("protocol_violation", fault=fault, peer=self._peer_address)
        return Event.EVT19_INVALID_PDU

    def _decide(self) -> Event:
        """Answer the A-ASSOCIATE indication (Sta3)."""
        request, entity = self._request, self._entity
        if request is None:
            return Event.EVT19_INVALID_PDU
        pacs = _pacs_name_or_none(request.calling_ae_title)
        self._rejection = reject_reason(request, calling_ae_title_usable=pacs is not None)
        if self._rejection is None and not entity.places.acquire(entity.admission_wait):
            self._rejection = ASSOCIATION_LIMIT_EXCEEDED
        if self._rejection is not None or pacs is None:
            return Event.EVT8_REJECT
        self._has_place = True
        self._peer_max_pdu_length = request.max_pdu_length
        self._results = negotiate(request, entity.policy)
        for context in request.contexts:
            if context.fault is not None:
                self._log.warning(
                    "presentation_context_malformed", context_id=context.context_id, fault=context.fault
                )
        association = AssociationInfo(
            self._association_id,
            request.calling_ae_title,
            request.called_ae_title,
            pacs,
            self._peer_address,
            entity.receiver_id,
        )
        self._scp = entity.open_scp(association, self._counters, self._log)
        contexts = {result.context_id: result for result in self._results if result.accepted}
        self._provider = ServiceProvider(contexts, self._scp, self._send_command)
        return Event.EVT7_ACCEPT

    # -- actions --------------------------------------------------------------------------------

    def _on(self, event: Event) -> None:
        action = transition(self._state, event)
        before, self._state = self._state, action.next_state
        if action.sends is not None:
            try:
                self._send(action.sends)
            except OSError:  # the peer has gone; what it was to be sent does not matter any more
                self._state = State.STA1
                return
        if self._state is not before and self._state in (State.STA2, State.STA13):
            self._start_artim()
        if event is Event.EVT19_INVALID_PDU and self._state is State.STA13:
            self._drain()

    def _start_artim(self) -> None:
        deadline = time.monotonic() + self._entity.acse_timeout
        self._reader.receive_into = socket_receiver(self._sock, deadline)

    def _send(self, pdu: Sends) -> None:
        match pdu:
            case Sends.ASSOCIATE_AC:
                self._accept()
            case Sends.ASSOCIATE_RJ:
                self._reject()
            case Sends.RELEASE_RP:
                self._sock.sendall(encode_release_response())
            case Sends.ABORT_BY_USER:
                self._abort(ABORT_SOURCE_SERVICE_USER, AbortReason.NOT_SPECIFIED)
            case Sends.ABORT_BY_PROVIDER:
                self._abort(ABORT_SOURCE_SERVICE_PROVIDER, self._abort_reason)

    def _accept(self) -> None:
        request = self._request
        if request is None:
            raise ValueError("an association is accepted only upon a request")
        set_timeout(self._sock, socket.SO_RCVTIMEO, self._entity.idle_timeout)
        self._sock.sendall(
            encode_associate_accept(request, self._results, max_pdu_length=self._entity.max_pdu_length)
        )
        self._counters.associations += 1
        self._log.info(
            "association_accepted",
            calling=request.calling_ae_title,
            called=request.called_ae_title,
            peer=self._peer_address,
            contexts=sum(result.accepted for result in self._results),
            contexts_refused=sum(not result.accepted for result in self._results),
        )

    def _reject(self) -> None:
        rejection = self._rejection
        if rejection is None:
            raise ValueError("an association is rejected only with a reason")
        self._sock.sendall(encode_associate_reject(rejection.result, rejection.source, rejection.reason))
        self._counters.associations_rejected += 1
        self._log.warning(
            "association_rejected",
            result=rejection.result,
            source=rejection.source,
            reason=rejection.reason,
            peer=self._peer_address,
        )

    def _abort(self, source: int, reason: AbortReason) -> None:
        self._counters.associations_aborted += 1
        self._end_scp()
        self._sock.sendall(encode_abort(source, reason))

    def _abort_after_error(self) -> None:
        """After an unexpected exception: A-ABORT, whose source is the service provider (PS3.8 9.3.8)."""
        if self._state is State.STA1:
            return
        self._state = State.STA13
        self._abort(ABORT_SOURCE_SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)
        self._start_artim()
        self._drain()

    def _send_command(self, context_id: int, command: bytes) -> None:
        pdus = encode_command_data(context_id, command, self._peer_max_pdu_length)
        try:
            try:
                sent = self._sock.send(pdus, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent < len(pdus):
                self._send_slowly(pdus[sent:])
        except OSError as error:
            raise PeerClosed from error

    def _send_slowly(self, rest: bytes) -> None:
        """Send to a peer that does not read: neither the mark waits for it, nor is it a volume that hangs."""
        if self._scp is not None:
            self._scp.settle()
        self.work += 1
        try:
            self._sock.sendall(rest)
        finally:
            self.work += 1

    def _drain(self) -> None:
        """After an invalid PDU the stream has lost its frame: wait for the peer to close, or for ARTIM."""
        scratch = memoryview(bytearray(4096))
        try:
            while True:
                self._reader.receive_into(scratch, False)
        except PeerClosed:
            self._on(Event.EVT17_TRANSPORT_CLOSED)
        except PeerSilent:
            self._on(Event.EVT18_ARTIM_EXPIRED)

    # -- end ------------------------------------------------------------------------------------

    def _end_scp(self) -> None:
        """Write the end records, and give the place to the next one."""
        scp, self._scp = self._scp, None
        try:
            if scp is not None:
                self.work += 1
                scp.end(released=self._released)
        finally:
            if self.work & 1:
                self.work += 1
            if self._has_place:
                self._has_place = False
                self._entity.places.release()

    def _end(self) -> None:
        try:
            established = self._scp is not None or self._provider is not None
            self._end_scp()
            if established:
                self._log.info(
                    "association_ended",
                    released=self._released,
                    stored=self._counters.instances_stored,
                    refused=sum(self._counters.instances_refused.values()),
                    bytes=self._counters.bytes_stored,
                )
        finally:
            self._entity.tally.end(self._counters)
            self._sock.close()


def _pacs_name_or_none(calling_ae_title: str) -> str | None:
    try:
        return pacs_name(calling_ae_title)
    except PathError:
        return None
