"""The breaker of one registrar, with what only asking CUBE can tell: does it still take what it took?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lapidicom.registrar.consumer.breaker import Blame, Breaker, Failure
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import SUCCESSES, Verdict, judge
from lapidicom.registrar.cube.probe import SHARED_SECONDS, SharedProbe
from lapidicom.registrar.cube.series_outcomes import SeriesKey, SeriesQuestion, judge_series


@dataclass(frozen=True, slots=True)
class KnownGood:
    """A registration that has succeeded.

    Attributes:
        request: its body.
        of: the path of the file, or the series.
    """

    request: bytes
    of: str | SeriesKey


class Circuit:
    """Says whose fault a failure is.

    A registration that is known to have succeeded is sent again where that is in doubt: if CUBE still
    takes it, the system is well.

    Args:
        cube: on which it is sent again.
        breaker: the rules.
        shared: seconds for which it is not sent again after it failed.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        cube: Cube,
        breaker: Breaker | None = None,
        shared: float = SHARED_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cube = cube
        self._breaker = breaker or Breaker()
        self._known_good: KnownGood | None = None
        self._resent = SharedProbe(self._send_known_good_again, shared=shared)
        self.now = clock

    @property
    def open_for(self) -> str | None:
        """The reason for which the system is to blame; None while it is not."""
        return self._breaker.open_for

    def succeeded(self, known_good: KnownGood | None = None) -> None:
        """A registration succeeded; one that can be sent again, unless it is None."""
        self._known_good = known_good or self._known_good
        self._breaker.succeeded(self.now())

    def succeeded_since(self, then: float) -> bool:
        """Whether a registration succeeded later than `then`."""
        return self._breaker.succeeded_since(then)

    async def blame(self, failure: Failure, waiting_since: float | None, *, is_final: bool) -> Blame:
        """Whose fault a failure is.

        Args:
            failure: what failed.
            waiting_since: when the same message failed for this reason first.
            is_final: whether the message would become a dead letter.
        """
        blame = self._breaker.failed(failure, self.now(), waiting_since)
        in_doubt = blame is Blame.SYSTEM or (blame is Blame.UNKNOWN and is_final)
        if in_doubt and self._known_good is not None and await self._resent.trouble() is None:
            self._breaker.succeeded(self.now())
            return Blame.MESSAGE
        return blame

    async def _send_known_good_again(self) -> str | None:
        if self._known_good is None:
            return "nothing has been registered yet"
        request, of = self._known_good.request, self._known_good.of
        if isinstance(of, str):
            verdict = judge(await self._cube.register(request), of)
            is_taken = isinstance(verdict, Verdict) and verdict.outcome in SUCCESSES
        else:
            judged = judge_series(await self._cube.register_series(request), of)
            is_taken = judged is SeriesQuestion.IS_IT_REGISTERED or (
                isinstance(judged, Verdict) and judged.outcome in SUCCESSES
            )
        return None if is_taken else "a registration that had succeeded fails now"
