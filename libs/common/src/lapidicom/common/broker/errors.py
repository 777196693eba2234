"""What can go wrong with RabbitMQ, as four answers; library exceptions end here.

BrokerError
+-- Unroutable       no queue takes this message: nothing was stored
+-- Refused          the broker said no (nack, full queue, missing right, other arguments): nothing was stored
+-- UnknownOutcome   a publish was cut off or timed out: stored or not, publish again
+-- ConnectionLost   there is no connection, or the one that was there has ended
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiormq.exceptions import AMQPError, ChannelClosed, DeliveryError, PublishError
from aiormq.exceptions import ConnectionClosed as AmqpConnectionClosed
from pamqp.exceptions import PAMQPException

TRANSPORT_ERRORS = (OSError, RuntimeError, PAMQPException, StopAsyncIteration)
"""Besides AMQP errors (which are OSErrors or caught by name): ChannelInvalidStateError is a
RuntimeError, TimeoutError and ConnectionError are OSErrors."""


class BrokerError(Exception):
    """RabbitMQ did not do what was asked; the text holds no message content and no credentials."""


class Unroutable(BrokerError):
    """A mandatory message was returned: no queue is bound for its key."""


class Refused(BrokerError):
    """The broker answered, and the answer was no."""


class UnknownOutcome(BrokerError):
    """Nobody knows whether the message was stored; publishing it again is right."""


class ConnectionLost(BrokerError):
    """Not connected, or not any more."""


@asynccontextmanager
async def boundary(seconds: float, lost: type[BrokerError]) -> AsyncIterator[None]:
    """Bound one AMQP call in time and translate whatever it raises.

    aiormq cancels its callers when a link dies (seen as a CancelledError that nobody asked for):
    a cancellation is passed on only if somebody really cancelled this task. And `wait_for` of Python 3.11
    loses a cancellation that comes when its call ends: then it is passed on in the place of what that gave.

    Args:
        seconds: for the whole block.
        lost: what a time-out or a broken connection means here.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        try:
            async with asyncio.timeout(seconds):
                yield
            if task and task.cancelling() > before:
                raise asyncio.CancelledError
        except Exception as error:
            if task and task.cancelling() > before:
                raise asyncio.CancelledError from error
            raise
    except asyncio.CancelledError as error:
        if task and task.cancelling():
            raise
        raise lost("the connection was lost") from error
    except PublishError as error:
        raise Unroutable("no queue is bound for the routing key") from error
    except DeliveryError as error:
        raise Refused("the broker refused the message") from error
    except ChannelClosed as error:
        raise Refused(f"the broker closed the channel: {reply_of(error)}") from error
    except AmqpConnectionClosed as error:
        raise lost(f"the broker closed the connection: {reply_of(error)}") from error
    except TimeoutError as error:
        raise lost(f"no answer within {seconds:g} s") from error
    except AMQPError as error:
        raise lost(f"AMQP failed: {reply_of(error)}") from error
    except TRANSPORT_ERRORS as error:
        raise lost(f"the connection was lost: {type(error).__name__}") from error


def reply_of(error: Exception) -> str:
    """What broker or socket say: they name addresses, queues and exchanges, never a body or a password."""
    return " ".join(str(part) for part in error.args if part is not None)[:200] or type(error).__name__
