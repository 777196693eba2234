"""What `status` sees in the queues: by AMQP, and more by the management API."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.broker_checks import FIX, SET
from lapidicom.cli.by_http import Management, number
from lapidicom.cli.dead_letters import Busy, look
from lapidicom.cli.queues import Count, count
from lapidicom.cli.times import age
from lapidicom.common.broker import Refused
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue

WORK: Final = "work queue"
DELAYED: Final = "delayed"
LETTERS: Final = "dead letters"

_PATIENCE_SECONDS: Final = 0.5
_SAME: Final = timedelta(seconds=30)
"""For so long dead letters are not read again while their number stays the same."""

_MOST_REASONS: Final = 6


@dataclass
class QueueLook:
    """Looks at all queues, again and again.

    Attributes:
        api: RabbitMQ's management API.
        delays: seconds of the delay queues.
    """

    api: Management
    delays: Sequence[int]
    _letters: tuple[datetime, int, Check] | None = None

    async def look(self, link: AbstractConnection) -> list[Check]:
        """Checks of the work queue, the delay queues and the dead letters.

        Raises:
            BrokerError: the broker does not answer.
        """
        queues = await self.api.queues()
        names = [delay_queue(seconds) for seconds in self.delays]
        delays = {name: await count(link, name) for name in names}
        held_back = [number(queues, name, "messages_dlx") for name in (WORK_QUEUE, *names)]
        return [
            *check_work(await count(link, WORK_QUEUE), number(queues, WORK_QUEUE, "messages_unacknowledged")),
            *check_delays(delays, held_back),
            await self._dead_letters(link),
        ]

    async def _dead_letters(self, link: AbstractConnection) -> Check:
        found = await count(link, DEAD_LETTER_QUEUE)
        if found is None:
            fault = "there is no queue for dead letters"
            return checked(LETTERS, "declared", fault, remedy=FIX, bad=Result.DEGRADED)
        if self._letters is not None:
            read_at, ready, check = self._letters
            if ready == found.ready and datetime.now(UTC) - read_at < _SAME:
                return check
        counts: Counter[str] = Counter()
        oldest: dict[str, datetime] = {}
        try:
            async with look(link, patience=_PATIENCE_SECONDS) as letters:
                async for letter, _ in letters:
                    counts[letter.reason] += 1
                    if letter.died_at is not None:
                        oldest[letter.reason] = min(oldest.get(letter.reason, letter.died_at), letter.died_at)
        except (Busy, Refused) as error:
            return checked(LETTERS, "messages", NotVisible(str(error)))
        check = check_letters(counts, oldest)
        self._letters = datetime.now(UTC), counts.total(), check
        return check


def check_work(found: Count | None, unacknowledged: int | NotVisible) -> list[Check]:
    """Registrations that wait for a registrar; while CUBE or the volume is out it takes none on purpose."""
    if found is None:
        return [checked(WORK, "declared", "there is no work queue", remedy=FIX)]
    in_hand, unseen = (0, unacknowledged) if isinstance(unacknowledged, NotVisible) else (unacknowledged, "")
    messages = found.ready + in_hand  # ready alone is 0 while somebody looks
    fault = "no registrar consumes" + (f", {messages} messages wait" if messages else "")
    fault = "" if found.consumers else fault
    bad = Result.FAIL if messages else Result.DEGRADED
    consumers = f"{found.consumers} consumers"
    remedy = (
        "start a registrar; one that runs consumes nothing while CUBE or the volume is out: its /readyz "
        "tells (CHRIS_REGISTRAR_URL)"
    )
    return [
        checked(WORK, "ready", "", f"{found.ready} ready", count=found.ready),
        checked(WORK, "unacknowledged", unseen, f"{in_hand} unacknowledged", SET, count=in_hand),
        checked(WORK, "consumers", fault, consumers, remedy, bad=bad, count=found.consumers),
    ]


def check_delays(delays: Mapping[str, Count | None], held_back: Sequence[int | NotVisible]) -> list[Check]:
    """All delay queues together: parked and retried messages, which nobody can tell apart.

    Args:
        delays: by their names; None if there is none of that name.
        held_back: messages that are on their way to another queue by at-least-once dead-lettering, which AMQP
            counts 0. RabbitMQ tries again within 180 s.
    """
    messages = sum(found.ready for found in delays.values() if found is not None)
    missing = ", ".join(name for name, found in delays.items() if found is None)
    fault = f"missing: {missing}" if missing else ""
    well = f"{messages} parked, retried or settling"
    declare = f"set CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY as the services have them; {FIX}"
    held = sum(one for one in held_back if isinstance(one, int))
    unseen = next((one for one in held_back if isinstance(one, NotVisible)), "")
    note = f"{held} messages are held back on their way to another queue" if held else unseen
    wait = "if they stay for 5 minutes a binding or queue is missing: lapidicom doctor"
    return [
        checked(DELAYED, "messages", fault, well, declare, bad=Result.DEGRADED, count=messages),
        checked(DELAYED, "held back", note, "none held back", wait, bad=Result.NOTE, count=held),
    ]


def check_letters(counts: Counter[str], oldest: Mapping[str, datetime]) -> Check:
    """The dead letters by their reasons, the most frequent first: each of them waits for an operator."""
    named = [
        f"{number} {reason}" + (f" (oldest {age(oldest[reason])})" if reason in oldest else "")
        for reason, number in counts.most_common()
    ]
    if len(named) > _MOST_REASONS:
        named[_MOST_REASONS:] = [f"{len(named) - _MOST_REASONS} more reasons"]
    remedy, total = "lapidicom dlq list --group-by reason", counts.total()
    fault = f"{total} dead letters: {'; '.join(named)}" if named else ""
    return checked(LETTERS, "messages", fault, "none", remedy, bad=Result.DEGRADED, count=total)
