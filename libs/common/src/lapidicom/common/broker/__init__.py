"""RabbitMQ: publishing and consuming that lose nothing, with supervision of our own.

The rules behind each call are in docs/messages.md; they come from trying RabbitMQ 3.10 and 4.x.
"""

from lapidicom.common.amqp_url import redacted, with_heartbeat
from lapidicom.common.broker.backoff import Backoff
from lapidicom.common.broker.connection import connection
from lapidicom.common.broker.consumer import Consumer, Delivery, MakeDelivery, consumer
from lapidicom.common.broker.declare import declare
from lapidicom.common.broker.errors import BrokerError, ConnectionLost, Refused, UnknownOutcome, Unroutable
from lapidicom.common.broker.publisher import Envelope, Publisher, publishers
from lapidicom.common.headers import Header, own_headers

__all__ = [
    "Backoff",
    "BrokerError",
    "ConnectionLost",
    "Consumer",
    "Delivery",
    "Envelope",
    "Header",
    "MakeDelivery",
    "Publisher",
    "Refused",
    "UnknownOutcome",
    "Unroutable",
    "connection",
    "consumer",
    "declare",
    "own_headers",
    "publishers",
    "redacted",
    "with_heartbeat",
]
