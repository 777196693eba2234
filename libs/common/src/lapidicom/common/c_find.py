"""C-FIND as an SCU (PS3.4 annex C): how many instances of a series, or of each series of a study, has a PACS?

Asked is for NumberOfSeriesRelatedInstances (0020,1209) at the level SERIES of the Study Root model. It is an
optional key: a PACS that leaves it out is asked for the series' instances, and these are counted.

A call blocks, for its time limit at the most: it belongs into a thread. pynetdicom is imported by the
first call, so that a process that never asks does not pay for it.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lapidicom.common.pacs_address import PacsAddress

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

T = TypeVar("T")

MOST_MATCHES: Final = 100_000
"""Of one question; a PACS that sends more is at fault."""

_STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
_SERIES_INSTANCE_UID: Final = 0x0020000E
_RELATED_INSTANCES: Final = 0x00201209
_A_ASSOCIATE_RJ: Final = 0x03
_PENDING: Final = frozenset({0xFF00, 0xFF01})


class NoCount(StrEnum):
    """Why the number of instances is not known."""

    NO_ADDRESS = "no address"
    """CHRIS_PACS_ADDRESS does not name it."""
    ABSENT = "absent"
    """Nobody takes a connection at its address."""
    SLOW = "slow"
    """It has not answered within the time limit."""
    REFUSED = "refused"
    """It takes no association from us, or has no resources for the question."""
    NOT_SUPPORTED = "not supported"
    """It answers no C-FIND of the Study Root model."""
    WRONG = "wrong"
    """It failed, broke off, or its answer has no number."""
    NO_SUCH_SERIES = "no such series"
    """It answers, and knows no such series or study."""


Count = int | NoCount

RESTS: Final = frozenset({NoCount.ABSENT, NoCount.SLOW})
"""After one of these a PACS is left alone for a while: else each question would wait for it."""

REST_SECONDS: Final = 60.0


class PacsQueries:
    """The PACS that can be asked, by their names in paths.

    Args:
        addresses: of `parse_pacs_addresses`.
        calling: our AE title.
        seconds: for a question.
        rest: for how many seconds a PACS is left alone that has not answered.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        addresses: Mapping[str, PacsAddress],
        calling: str,
        seconds: float,
        *,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._addresses = addresses
        self._calling = calling
        self._seconds = seconds
        self._rest = rest
        self._clock = clock
        self._resting: dict[str, tuple[float, NoCount]] = {}

    def of_series(self, pacs_name: str, study_uid: str, series_uid: str) -> Count:
        """How many instances a PACS has of a series. Blocks; never raises for what the PACS does."""
        return self._ask(
            pacs_name,
            lambda pacs: count_of_series(pacs, self._calling, study_uid, series_uid, seconds=self._seconds),
        )

    def of_study(self, pacs_name: str, study_uid: str) -> Mapping[str, Count] | NoCount:
        """How many instances a PACS has of each series of a study. Blocks, and never raises, likewise."""
        return self._ask(
            pacs_name,
            lambda pacs: counts_of_study(pacs, self._calling, study_uid, seconds=self._seconds),
        )

    def _ask(self, pacs_name: str, ask: Callable[[PacsAddress], T | NoCount]) -> T | NoCount:
        address = self._addresses.get(pacs_name)
        if address is None:
            return NoCount.NO_ADDRESS
        until, why = self._resting.get(pacs_name, (0.0, NoCount.ABSENT))
        if self._clock() < until:
            return why
        answer = ask(address)
        if isinstance(answer, NoCount) and answer in RESTS:
            self._resting[pacs_name] = self._clock() + self._rest, answer
        return answer


def count_of_series(
    pacs: PacsAddress, calling: str, study_uid: str, series_uid: str, *, seconds: float
) -> Count:
    """How many instances of a series the PACS has. Never raises for what the PACS does.

    Args:
        pacs: whom to ask.
        calling: our AE title.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        seconds: for all of it.
    """
    found = _ask(pacs, calling, study_uid, series_uid, seconds)
    return found if isinstance(found, NoCount) else found[series_uid]


def counts_of_study(
    pacs: PacsAddress, calling: str, study_uid: str, *, seconds: float
) -> Mapping[str, Count] | NoCount:
    """How many instances the PACS has of each series of a study, by SeriesInstanceUID.

    Args:
        pacs: whom to ask.
        calling: our AE title.
        study_uid: StudyInstanceUID.
        seconds: for all of it.
    """
    return _ask(pacs, calling, study_uid, "", seconds)


def _ask(
    pacs: PacsAddress, calling: str, study_uid: str, series_uid: str, seconds: float
) -> Mapping[str, Count] | NoCount:
    with _Question(pacs, calling, seconds) as question:
        try:
            counts: dict[str, Count] = {}
            for row in question.find("SERIES", study_uid, series_uid):
                uid = _text(row, _SERIES_INSTANCE_UID)
                if uid and (not series_uid or uid == series_uid):
                    counts[uid] = _number(_text(row, _RELATED_INSTANCES))
            for uid, count in counts.items():
                if count is NoCount.NOT_SUPPORTED:
                    rows = question.find("IMAGE", study_uid, uid)
                    counts[uid] = sum(_text(row, _SERIES_INSTANCE_UID) in {"", uid} for row in rows)
        except _FailedError as failed:
            return failed.why
        except Exception:  # noqa: BLE001 (whatever the libraries make of what a peer sends is the peer's fault)
            return NoCount.WRONG
        return counts or NoCount.NO_SUCH_SERIES


def _text(row: "Dataset", tag: int) -> str:
    """The value as it was sent: pydicom would warn of, or raise on, what has not the form of its VR."""
    element = row.get_item(tag) if tag in row else None
    value = element.value if element is not None else None
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0")


def _number(text: str) -> Count:
    if not text:
        return NoCount.NOT_SUPPORTED
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else NoCount.WRONG


class _FailedError(Exception):
    """The question has no answer."""

    def __init__(self, why: NoCount) -> None:
        super().__init__(why.value)
        self.why = why


class _Question:
    """An association with a PACS, for a limited time.

    When the time is over its connection is shut down: pynetdicom waits for the rest of a PDU for ever.
    """

    def __init__(self, pacs: PacsAddress, calling: str, seconds: float) -> None:
        self._pacs = pacs
        self._calling = calling
        self._deadline = time.monotonic() + seconds
        self._is_rejected = False
        self._connection: socket.socket | None = None
        self._association: Association | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "_Question":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._timer.cancel()
        self._cut()
        if self._connection is not None:
            self._connection.close()

    def _left(self) -> float:
        return max(0.05, self._deadline - time.monotonic())

    def _cut(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def find(self, level: str, study_uid: str, series_uid: str) -> Iterator["Dataset"]:
        """The matches of a question; an empty UID asks for all.

        Raises:
            _FailedError: there is no whole answer.
        """
        if self._association is None:
            self._associate()
        association = self._association
        if association is None or not association.is_established:
            raise _FailedError(self._why_cut())
        association.dimse_timeout = self._left()
        responses = association.send_c_find(_identifier(level, study_uid, series_uid), _STUDY_ROOT_FIND)
        for matches, (status, row) in enumerate(responses):
            if "Status" not in status or time.monotonic() >= self._deadline:
                raise _FailedError(self._why_cut())
            if status.Status == 0:
                return
            if status.Status not in _PENDING:
                raise _FailedError(_why_failed(status.Status))
            if row is None or matches >= MOST_MATCHES:
                raise _FailedError(NoCount.WRONG)
            association.dimse_timeout = self._left()
            yield row
        raise _FailedError(self._why_cut())

    def _associate(self) -> None:
        from pynetdicom import AE, evt

        entity = AE(ae_title=self._calling)
        entity.connection_timeout = entity.acse_timeout = entity.network_timeout = self._left()
        entity.dimse_timeout = self._left()
        entity.add_requested_context(_STUDY_ROOT_FIND)
        host, port = self._address()
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, self._connected), (evt.EVT_PDU_RECV, self._received)]
        association = entity.associate(host, port, ae_title=self._pacs.ae_title, evt_handlers=handlers)
        self._association = association
        if association.is_established:
            _serve_nobody(association)
        elif self._is_rejected:
            raise _FailedError(NoCount.REFUSED)
        elif association.rejected_contexts:
            raise _FailedError(NoCount.NOT_SUPPORTED)
        else:
            raise _FailedError(self._why_cut() if self._connection else NoCount.ABSENT)

    def _address(self) -> tuple[str, int]:
        """Numeric address; pynetdicom looks up no names of IPv6."""
        try:
            found = socket.getaddrinfo(self._pacs.host, self._pacs.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _FailedError(NoCount.ABSENT) from error
        return str(found[0][4][0]), self._pacs.port

    def _connected(self, event: Any) -> None:
        self._connection = event.assoc.dul.socket.socket

    def _received(self, event: Any) -> None:
        """Note a rejection: pynetdicom itself may forget it when the peer closes the connection at once."""
        self._is_rejected |= event.pdu.pdu_type == _A_ASSOCIATE_RJ

    def _why_cut(self) -> NoCount:
        return NoCount.SLOW if time.monotonic() >= self._deadline - 0.1 else NoCount.WRONG


def _why_failed(status: int) -> NoCount:
    match status:
        case 0x0122:
            return NoCount.NOT_SUPPORTED
        case 0xA700 | 0x0124:
            return NoCount.REFUSED
        case _:
            return NoCount.WRONG


def _identifier(level: str, study_uid: str, series_uid: str) -> "Dataset":
    from pydicom import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    identifier.StudyInstanceUID = study_uid
    identifier.SeriesInstanceUID = series_uid
    if level == "IMAGE":
        identifier.SOPInstanceUID = ""
    else:
        identifier.NumberOfSeriesRelatedInstances = None
    return identifier


def _serve_nobody(association: "Association") -> None:
    """Keep pynetdicom's reactor from taking a response for a request.

    It looks for requests of the peer once more after a sender has paused it, and throws away a response that
    is there already: the sender then waits in vain. An SCU has no requests to serve.
    """
    get_msg = association.dimse.get_msg

    def only_for_senders(block: bool = False) -> Any:
        return get_msg(block=True) if block else (None, None)

    association.dimse.get_msg = only_for_senders  # type: ignore[method-assign]
