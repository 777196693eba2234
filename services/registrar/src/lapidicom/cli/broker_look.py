"""What `status` sees in RabbitMQ, and when it is bad: its queues by AMQP, and more by the management API."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.answers import Answer, Check, NotVisible, Result, checked, seen_or
from lapidicom.cli.broker_checks import FIX, check_reachable
from lapidicom.cli.by_http import Management, Queues, number
from lapidicom.cli.dead_letters import Busy, look
from lapidicom.cli.queues import Count, count
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.times import age
from lapidicom.common.broker import Refused
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology

_PATIENCE_SECONDS: Final = 0.5
_SAME: Final = timedelta(seconds=30)
"""For so long dead letters are not read again while their number stays the same."""

_MOST_REASONS: Final = 6


class WorkQueue(Answer):
    """Registrations that wait for a registrar; messages that one has in its hands are unacknowledged."""

    missing: bool = False
    ready: int = 0
    unacknowledged: int | NotVisible = 0
    consumers: int = 0

    def __str__(self) -> str:
        if self.missing:
            return "there is no such queue"
        consumers = f"{self.consumers} consumer{'' if self.consumers == 1 else 's'}"
        return f"{self.ready} ready; {seen_or(self.unacknowledged, '?')} unacknowledged; {consumers}"

    def checks(self) -> Iterator[Check]:
        """While CUBE or the volume is out a registrar consumes nothing on purpose: then that is the cause."""
        messages = self.ready + seen_or(self.unacknowledged, 0)  # ready is 0 while somebody looks
        if self.missing:
            yield checked("work queue", "declared", "there is no work queue", remedy=FIX)
        elif not self.consumers:
            fault = "no registrar consumes" + (f", {messages} messages wait" if messages else "")
            remedy = (
                "start a registrar; one that runs consumes nothing while CUBE or the volume is out: its "
                "/readyz tells (CHRIS_REGISTRAR_URL)"
            )
            bad = Result.FAIL if messages else Result.DEGRADED
            yield checked("work queue", "consumers", fault, remedy=remedy, bad=bad)


class DelayQueues(Answer):
    """All delay queues together: parked and retried messages, which nobody can tell apart.

    `held_back`: messages on their way to another queue by at-least-once dead-lettering, which AMQP counts 0.
    """

    messages: int
    missing: list[str] = []
    held_back: int | NotVisible

    def __str__(self) -> str:
        held_back = seen_or(self.held_back, "?")
        return f"{self.messages} parked or retried; {held_back} held back by dead-lettering"

    def checks(self) -> Iterator[Check]:
        """RabbitMQ tries within 180 s again to bring to its queue what it holds back."""
        if self.missing:
            remedy = f"set CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY as the services have them; {FIX}"
            fault = f"missing: {', '.join(self.missing)}"
            yield checked("delayed", "declared", fault, remedy=remedy, bad=Result.DEGRADED)
        if seen_or(self.held_back, 0):
            remedy = "if they stay for 5 minutes a binding or queue is missing: lapidicom doctor"
            fault = f"{self.held_back} messages are held back on their way to another queue"
            yield checked("delayed", "held back", fault, remedy=remedy, bad=Result.NOTE)


class OfReason(Answer):
    """Dead letters of one reason."""

    reason: str
    count: int
    oldest: datetime | None = None

    def __str__(self) -> str:
        return f"{self.count} {self.reason}" + (f" (oldest {age(self.oldest)})" if self.oldest else "")


class DeadLetters(Answer):
    """The dead letters, the most frequent reason first."""

    missing: bool = False
    count: int = 0
    reasons: list[OfReason] = []

    def __str__(self) -> str:
        if self.missing:
            return "there is no such queue"
        more = len(self.reasons) - _MOST_REASONS
        text = [*map(str, self.reasons[:_MOST_REASONS]), *([f"{more} more reasons"] if more > 0 else [])]
        return "; ".join(text) or "none"

    def checks(self) -> Iterator[Check]:
        """Each of them waits for an operator."""
        if self.missing:
            fault = "there is no queue for dead letters"
            yield checked("dead letters", "declared", fault, remedy=FIX, bad=Result.DEGRADED)
        elif self.count:
            fault, remedy = f"{self.count} dead letters", "lapidicom dlq list --group-by reason"
            yield checked("dead letters", "none", fault, remedy=remedy, bad=Result.DEGRADED)


@dataclass
class BrokerLook:
    """Looks at RabbitMQ, again and again."""

    settings: CommandSettings
    api: Management
    _letters: tuple[datetime, DeadLetters] | None = None

    async def look(self, link: AbstractConnection) -> dict[str, Any]:
        """What is seen on a connection, by the keys of `status`.

        Raises:
            BrokerError: the broker does not answer.
        """
        settings, queues = self.settings, await self.api.queues()
        names = [delay_queue(one) for one in topology(settings.retry_delays, settings.park_delay).delays]
        delays = {name: await count(link, name) for name in names}
        held_back = sum(seen_or(number(queues, name, "messages_dlx"), 0) for name in (WORK_QUEUE, *names))
        return {
            "broker": await check_reachable(link, self.api, settings.amqp_url.get_secret_value()),
            "work": _work(await count(link, WORK_QUEUE), queues),
            "delayed": DelayQueues(
                messages=sum(found.ready for found in delays.values() if found),
                missing=[name for name, found in delays.items() if found is None],
                held_back=queues if isinstance(queues, NotVisible) else held_back,
            ),
            "dead_letters": await self._dead_letters(link),
        }

    async def _dead_letters(self, link: AbstractConnection) -> DeadLetters | NotVisible:
        found = await count(link, DEAD_LETTER_QUEUE)
        if found is None:
            return DeadLetters(missing=True)
        if self._letters is not None:
            read_at, letters = self._letters
            if letters.count == found.ready and datetime.now(UTC) - read_at < _SAME:
                return letters
        try:
            letters = await _by_reason(link)
        except (Busy, Refused) as error:
            return NotVisible(str(error))
        self._letters = datetime.now(UTC), letters
        return letters


def _work(found: Count | None, queues: Queues | NotVisible) -> WorkQueue:
    if found is None:
        return WorkQueue(missing=True)
    unacknowledged = number(queues, WORK_QUEUE, "messages_unacknowledged")
    return WorkQueue(ready=found.ready, consumers=found.consumers, unacknowledged=unacknowledged)


async def _by_reason(link: AbstractConnection) -> DeadLetters:
    """How many dead letters there are for each reason; no body is kept."""
    counts: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    async with look(link, patience=_PATIENCE_SECONDS) as letters:
        async for letter, _ in letters:
            counts[letter.reason] += 1
            if letter.died_at is not None:
                oldest[letter.reason] = min(oldest.get(letter.reason, letter.died_at), letter.died_at)
    reasons = [
        OfReason(reason=reason, count=number, oldest=oldest.get(reason))
        for reason, number in counts.most_common()
    ]
    return DeadLetters(count=counts.total(), reasons=reasons)
