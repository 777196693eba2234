"""The DIMSE service provider: puts messages together from PDV fragments and answers them.

PS3.7 section 6.3 and PS3.8 annex E: a message is a command set and, if the command says so, a data
set, in one presentation context; the fragments of two messages never mix.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from lapidicom.receiver.dimse.command import (
    MOST_COMMAND_BYTES,
    Command,
    CommandDecoder,
    CommandError,
    CommandField,
)
from lapidicom.receiver.dimse.response import encode_c_store_response, encode_response
from lapidicom.receiver.errors import Refusal, SOPClassNotSupported, UnrecognisedOperation
from lapidicom.receiver.upper_layer.abstract_syntaxes import VERIFICATION_SOP_CLASS
from lapidicom.receiver.upper_layer.pdu_reader import Fragment
from lapidicom.receiver.upper_layer.presentation_context import ContextResult


class DimseViolation(Exception):
    """The peer broke the rules of message exchange: the association must be aborted."""


class AnswerGivenUp(Exception):
    """The answer was given by `give_up`: there is nothing more to say to this peer."""


class StorageSCP(Protocol):
    """Who stores what C-STORE-RQs bring, one after the other."""

    def begin(self, command: Command, context: ContextResult) -> None:
        """Take a C-STORE-RQ; its data set follows by `feed`."""

    def feed(self, data: memoryview) -> None:
        """Take a fragment of the data set. It is kept as a view until `spill` or `finish`."""

    def spill(self) -> None:
        """Write out what is kept, because the buffer it lies in is needed."""

    def finish(self) -> None:
        """Store the instance whose last fragment was fed.

        Raises:
            Refusal: the status to answer with; anything else means success (0x0000).
        """

    def settle(self) -> None:
        """The answer to `finish` went out, or could not be sent."""

    def prepare(self) -> None:
        """The SCU is about to send its next instance."""


class ServiceProvider:
    """Answers the messages of one association: C-ECHO, C-STORE, and a refusal of everything else.

    Args:
        contexts: the accepted presentation contexts by id.
        scp: the C-STORE SCP.
        send: sends an encoded command set in a context.
    """

    def __init__(
        self,
        contexts: Mapping[int, ContextResult],
        scp: StorageSCP,
        send: Callable[[int, bytes], None],
    ) -> None:
        self._contexts = contexts
        self._scp = scp
        self._send = send
        self._decoder = CommandDecoder()
        self._partial = bytearray()  # a command set that came in several fragments
        self._partial_context = 0
        self._command: Command | None = None  # its data set is awaited
        self._command_context = 0
        self._storing = False
        self._unanswered: list[tuple[int, Command]] = []
        """The C-STORE-RQ that is complete: whichever of two threads takes it out answers it."""

    def take(self, fragment: Fragment) -> None:
        """Take the next fragment; answers when it completes a message.

        Raises:
            DimseViolation: if it does not fit to what came before.
            AnswerGivenUp: the message was answered meanwhile.
        """
        context_id, is_command, is_last, data = fragment
        if self._command is None:
            if not is_command:
                raise DimseViolation("a data set fragment without a command")
            self._take_command(context_id, is_last, data)
        elif is_command or context_id != self._command_context:
            raise DimseViolation("a fragment of another message inside a data set")
        elif not self._storing:
            if is_last:
                self._answer(context_id, self._command)
        else:
            self._scp.feed(data)
            if is_last:
                self._answer(context_id, self._command)

    def spill(self) -> None:
        """The fragments taken so far are about to be overwritten."""
        if self._storing:
            self._scp.spill()

    def _take_command(self, context_id: int, is_last: bool, data: memoryview) -> None:
        if self._partial and context_id != self._partial_context:
            raise DimseViolation("a fragment of another message inside a command set")
        if not is_last:
            self._partial_context = context_id
            self._partial += data
            if len(self._partial) > MOST_COMMAND_BYTES:
                raise DimseViolation("command set longer than 16 KiB")
            return
        if self._partial:
            encoded = bytes(self._partial) + bytes(data)
            self._partial.clear()
        else:
            encoded = bytes(data)
        context = self._contexts.get(context_id)
        if context is None:
            raise DimseViolation("presentation context was not accepted")
        try:
            command = self._decoder.decode(encoded)
        except CommandError as error:
            raise DimseViolation(f"command set: {error}") from error
        self._storing = command.command_field == CommandField.C_STORE_RQ
        if self._storing:
            self._scp.begin(command, context)
        if command.has_data_set:
            self._command, self._command_context = command, context_id
        else:
            self._answer(context_id, command)

    def _answer(self, context_id: int, command: Command) -> None:
        """Answer a message that is complete; what else is to be done comes after the answer."""
        self._command = None
        is_store, self._storing = self._storing, False
        if is_store:
            self._unanswered.append((context_id, command))
        try:
            response = self._response(context_id, command, is_store=is_store)
            if is_store and self._take_unanswered() is None:
                raise AnswerGivenUp
            if response is not None:
                self._send(context_id, response)
        finally:
            if is_store:
                self._scp.settle()
        if is_store:
            self._scp.prepare()

    def give_up(self, refusal: Refusal) -> tuple[int, bytes] | None:
        """Answer in place of the thread that stores, which hangs; to be called by another thread.

        Returns:
            The presentation context and the command set to send; None if no complete message waits for an
            answer. What the thread that stores has to say later is not sent.
        """
        unanswered = self._take_unanswered()
        if unanswered is None:
            return None
        context_id, command = unanswered
        return context_id, encode_c_store_response(
            command, refusal.status, refusal.comment, refusal.offending
        )

    def _take_unanswered(self) -> tuple[int, Command] | None:
        try:
            return self._unanswered.pop()
        except IndexError:
            return None

    def _response(self, context_id: int, command: Command, *, is_store: bool) -> bytes | None:
        """Do what a message asks for; the command set that answers it, None if nobody waits for one."""
        try:
            if is_store:
                self._scp.finish()
                return encode_c_store_response(command, 0)
            if command.command_field == CommandField.C_ECHO_RQ:
                return self._echo(context_id, command)
            if not command.expects_response:
                return None
            raise UnrecognisedOperation("this SCP knows C-STORE and C-ECHO")
        except Refusal as error:
            encode = encode_c_store_response if is_store else encode_response
            return encode(command, error.status, error.comment, error.offending)

    def _echo(self, context_id: int, command: Command) -> bytes:
        if self._contexts[context_id].abstract_syntax != VERIFICATION_SOP_CLASS:
            raise SOPClassNotSupported("C-ECHO outside a context of Verification", (0x00000002,))
        return encode_response(command, 0)
