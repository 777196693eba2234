"""An SCU that costs the machine as little as possible, so that the receiver is measured and not the sender.

It speaks the upper layer (PS3.8) over plain sockets, encodes each PDU before the clock starts, sets
TCP_NODELAY and has one process per association. Loopback only, standard library only.

    python -m benchmarks.sender --port 11111 --associations 4 FOLDER

prints one JSON document: instances, seconds, instances_per_s, mb_per_s, latencies in ms (first byte of
the C-STORE-RQ to the last of its response), statuses, failures, CPU seconds of the sender itself.
"""

import argparse
import json
import multiprocessing
import os
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Self

LOOPBACK = "127.0.0.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION_CLASS_UID = "2.25.176503118046893245604410384931275562017"
_MAX_PDU_LENGTH = 131_072

_A_ASSOCIATE_RQ, _A_ASSOCIATE_AC, _P_DATA_TF, _A_RELEASE_RQ = 0x01, 0x02, 0x04, 0x05
_COMMAND_LAST, _DATA_SET, _DATA_SET_LAST = 0x03, 0x00, 0x02
_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">BxIIBB")
_HEADER_LENGTH = 6


Work = Callable[[Connection, Sequence[Path], str], None]
"""What one association does in a process of its own: sends "ready", receives "go", sends an Outcome.

Its third argument tells it from others; empty where there is one."""


class SenderError(Exception):
    """The peer refused, aborted or answered what no SCP should answer."""


class Instance(NamedTuple):
    """What a DICOM file says about how it is sent, and its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


@dataclass
class Outcome:
    """What one association did. Times are of the monotonic clock, which all processes share."""

    began: float = 0.0
    ended: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    size: int = 0
    cpu_seconds: float = 0.0
    failure: str | None = None


class Association:
    """The SCU side of one association with one presentation context per SOP class and transfer syntax."""

    def __init__(
        self, port: int, contexts: Iterable[tuple[str, str]], *, called: str, calling: str, timeout: float
    ) -> None:
        self._ids = {context: 2 * index + 1 for index, context in enumerate(dict.fromkeys(contexts))}
        self._socket = socket.create_connection((LOOPBACK, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_associate_rq(called, calling, self._ids))
        kind, body = self._receive()
        if kind != _A_ASSOCIATE_AC:
            raise SenderError(f"no association: PDU type {kind}, {body[:4].hex()}")
        accepted, self._peer_max = _read_associate_ac(body)
        refused = [context for context, number in self._ids.items() if number not in accepted]
        if refused:
            raise SenderError(f"presentation contexts refused: {refused}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def release(self) -> None:
        """Release the association; how the peer ends it is not looked at."""
        self._socket.sendall(_HEADER.pack(_A_RELEASE_RQ, 4) + bytes(4))
        self._receive()

    def encode(self, instance: Instance, message_id: int) -> bytes:
        """Return the PDUs of a C-STORE-RQ (PS3.7 9.3.1.1) and of its data set."""
        context, pdus = self._request(instance, message_id)
        step = self._step
        data = instance.data_set
        for start in range(0, len(data), step):
            control = _DATA_SET_LAST if start + step >= len(data) else _DATA_SET
            pdus.append(_p_data_tf(context, control, data[start : start + step]))
        return b"".join(pdus)

    def send_with_zeros(self, instance: Instance, zeros: int) -> int:
        """Send an instance whose data set ends in that many zero bytes, which are nowhere held.

        Returns:
            The status.
        """
        context, pdus = self._request(instance, 1)
        step = self._step
        pdus.append(_p_data_tf(context, _DATA_SET, instance.data_set))
        self._socket.sendall(b"".join(pdus))
        repeated = _p_data_tf(context, _DATA_SET, bytes(step))
        whole, rest = divmod(zeros - 1, step)
        for _ in range(whole):
            self._socket.sendall(repeated)
        self._socket.sendall(_p_data_tf(context, _DATA_SET_LAST, bytes(rest + 1)))
        kind, body = self._receive()
        return _status(_HEADER.pack(kind, len(body)) + body)

    def _request(self, instance: Instance, message_id: int) -> tuple[int, list[bytes]]:
        context = self._ids[instance.sop_class_uid, instance.transfer_syntax_uid]
        command = _element(0x0002, instance.sop_class_uid.encode())
        command += _element(0x0100, struct.pack("<H", 0x0001))
        command += _element(0x0110, struct.pack("<H", message_id))
        command += _element(0x0700, struct.pack("<H", 0x0000))
        command += _element(0x0800, struct.pack("<H", 0x0001))
        command += _element(0x1000, instance.sop_instance_uid.encode())
        command = _element(0x0000, struct.pack("<I", len(command))) + command
        return context, [_p_data_tf(context, _COMMAND_LAST, command)]

    @property
    def _step(self) -> int:
        return (self._peer_max or 1 << 20) - _HEADER_LENGTH

    def send(self, messages: Sequence[bytes], outcome: Outcome) -> None:
        """Send each message when the one before is answered; read the answers after the clock has stopped."""
        responses: list[bytes] = []
        answered, latency = responses.append, outcome.latencies.append
        sendall, receive, clock = self._socket.sendall, self._socket.recv, time.monotonic
        outcome.began = clock()
        for message in messages:
            began = clock()
            sendall(message)
            response = receive(4096)
            while len(response) < _HEADER_LENGTH or len(response) < _pdu_length(response):
                more = receive(4096)
                if not more:
                    raise SenderError("the peer closed the connection")
                response += more
            latency(clock() - began)
            if response[0] != _P_DATA_TF:
                raise SenderError(f"PDU type {response[0]} in place of a response")
            answered(response)
        outcome.ended = clock()
        outcome.statuses.update(f"0x{_status(response):04X}" for response in responses)

    def _receive(self) -> tuple[int, bytes]:
        kind, length = _HEADER.unpack(self._exactly(_HEADER_LENGTH))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            chunk = self._socket.recv(count - len(received))
            if not chunk:
                raise SenderError("the peer closed the connection")
            received += chunk
        return received


def read_file(path: Path) -> Instance:
    """Read a DICOM file (PS3.10 section 7)."""
    raw = path.read_bytes()
    if raw[128:132] != b"DICM":
        raise SenderError(f"{path} is no DICOM file")
    position, meta = 132, dict[int, str]()
    while raw[position : position + 2] == b"\x02\x00":
        element, vr, length = struct.unpack_from("<H2sH", raw, position + 2)
        position += 8
        if vr in (b"OB", b"UN", b"UT"):
            (length,) = struct.unpack_from("<I", raw, position)
            position += 4
        meta[element] = raw[position : position + length].rstrip(b"\0 ").decode("ascii", "replace")
        position += length
    return Instance(meta[0x0002], meta[0x0003], meta[0x0010], raw[position:])


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _associate_rq(called: str, calling: str, ids: dict[tuple[str, str], int]) -> bytes:
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    body += _item(0x10, _APPLICATION_CONTEXT.encode())
    for (abstract_syntax, transfer_syntax), number in ids.items():
        syntaxes = _item(0x30, abstract_syntax.encode()) + _item(0x40, transfer_syntax.encode())
        body += _item(0x20, bytes([number, 0, 0, 0]) + syntaxes)
    user = _item(0x51, struct.pack(">I", _MAX_PDU_LENGTH)) + _item(0x52, _IMPLEMENTATION_CLASS_UID.encode())
    body += _item(0x50, user)
    return _HEADER.pack(_A_ASSOCIATE_RQ, len(body)) + body


def _read_associate_ac(body: bytes) -> tuple[set[int], int]:
    """Return the ids of the accepted contexts and the peer's maximum PDU length."""
    accepted, peer_max = set[int](), 16384
    for kind, item in _items(body, 68):
        if kind == 0x21 and item[2] == 0:
            accepted.add(item[0])
        elif kind == 0x50:
            for sub_kind, value in _items(item, 0):
                if sub_kind == 0x51:
                    (peer_max,) = struct.unpack(">I", value)
    return accepted, peer_max


def _items(body: bytes, position: int) -> Iterable[tuple[int, bytes]]:
    while position < len(body):
        kind, length = struct.unpack_from(">BxH", body, position)
        yield kind, body[position + 4 : position + 4 + length]
        position += 4 + length


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) & 1)
    return struct.pack("<HHI", 0x0000, element, len(value)) + value


def _p_data_tf(context: int, control: int, fragment: bytes) -> bytes:
    size = len(fragment)
    return _PDV_HEADER.pack(_P_DATA_TF, size + 6, size + 2, context, control) + fragment


def _pdu_length(head: bytes) -> int:
    return _HEADER_LENGTH + int.from_bytes(head[2:6], "big")


def _status(response: bytes) -> int:
    """The Status (0000,0900) of a response that is one PDV in one PDU, as every known SCP sends it."""
    position = 12
    while position < len(response):
        element, length = struct.unpack_from("<2xHI", response, position)
        if element == 0x0900:
            return int(struct.unpack_from("<H", response, position + 8)[0])
        position += 8 + length
    raise SenderError("a response without a status")


def _associate_and_send(
    port: int, calling: str, called: str, pipe: Connection, files: Sequence[Path], title: str
) -> None:
    outcome, calling = Outcome(), calling + title
    try:
        instances = [read_file(file) for file in files]
        contexts = [(instance.sop_class_uid, instance.transfer_syntax_uid) for instance in instances]
        with Association(port, contexts, called=called, calling=calling, timeout=120) as association:
            instances.reverse()  # what is encoded need not be kept beside its PDUs
            messages: list[bytes] = []
            while instances:
                messages.append(association.encode(instances.pop(), len(messages) % 65535 + 1))
            pipe.send("ready")
            pipe.recv()
            before = sum(os.times()[:2])
            association.send(messages, outcome)
            outcome.cpu_seconds = sum(os.times()[:2]) - before
            association.release()
    except (OSError, SenderError, EOFError) as error:
        outcome.failure = f"{type(error).__name__}: {error}"
    outcome.size = sum(file.stat().st_size for file in files[: len(outcome.latencies)])
    pipe.send(outcome)


def deal_out(work: Work, files: Sequence[Path], associations: int) -> list[Outcome]:
    """Deal the files out in blocks to processes, wait until each is ready, and let all go at once."""
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    for number, some in enumerate(shares(len(files), associations)):
        ours, theirs = context.Pipe()
        title = str(number + 1) if associations > 1 else ""
        mine = files[some.start : some.stop]
        process = context.Process(target=work, args=(theirs, mine, title), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
    first = [pipe.recv() for pipe in pipes]
    failed = [answer for answer in first if isinstance(answer, Outcome)]
    if failed:
        return failed
    for pipe in pipes:
        pipe.send("go")
    return [pipe.recv() for pipe in pipes]


def shares(count: int, associations: int) -> list[range]:
    """Which of `count` files each association sends: blocks that differ by one at most."""
    bounds = [number * count // associations for number in range(associations + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


def document(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """What all associations together come to."""
    latencies = sorted(latency for outcome in outcomes for latency in outcome.latencies)
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if failures or not latencies:
        return {"instances": len(latencies), "failures": failures or ["nothing was sent"]}
    seconds = max(o.ended for o in outcomes) - min(o.began for o in outcomes)
    statuses = sum((outcome.statuses for outcome in outcomes), Counter[str]())

    def percentile(share: float) -> float:
        return round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1e3, 3)

    return {
        "instances": len(latencies),
        "seconds": round(seconds, 4),
        "ended": max(o.ended for o in outcomes),
        "instances_per_s": round(len(latencies) / seconds, 1),
        "mb_per_s": round(sum(o.size for o in outcomes) / seconds / 1e6, 1),
        "p50_ms": percentile(0.5),
        "p99_ms": percentile(0.99),
        "max_ms": percentile(1.0),
        "statuses": dict(statuses),
        "cpu_seconds": round(sum(o.cpu_seconds for o in outcomes), 3),
        "failures": [],
    }


def main() -> int:
    """Send the files of a folder in the order of their names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="its files are dealt out to the associations in blocks")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", default="ChRIS")
    parser.add_argument("--calling", default="BENCH")
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="send only the first N files")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.iterdir())[: arguments.limit]
    work = partial(_associate_and_send, arguments.port, arguments.calling, arguments.called)
    answer = document(deal_out(work, files, arguments.associations))
    print(json.dumps(answer))
    return 1 if answer["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
