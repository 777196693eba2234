"""Gives a RabbitMQ of our own: a container where an engine has the image, else the installed package."""

from pathlib import Path

from tests.support import rabbitmq_container, rabbitmq_node
from tests.support.broker import PASSWORD, USER, Broker, BrokerError
from tests.support.rabbitmq_container import ContainerBroker
from tests.support.rabbitmq_node import LocalBroker

__all__ = ["PASSWORD", "USER", "Broker", "BrokerError", "available", "open_broker"]

MISSING = "RabbitMQ is not installed (Debian, Ubuntu: the package rabbitmq-server)"


def available() -> bool:
    """Whether this machine can run one."""
    return rabbitmq_node.server_script() is not None or rabbitmq_container.image() is not None


def open_broker(vhosts: int = 4, folder: Path | None = None, *, die_with_parent: bool = True) -> Broker:
    """A broker that is not started yet.

    Args:
        vhosts: how many virtual hosts it has from the start.
        folder: where a local node keeps its data; without it in a temporary folder.
        die_with_parent: whether a local node ends with the thread that started it.

    Raises:
        BrokerError: there is neither an image nor a package.
    """
    image = rabbitmq_container.image()
    if image is not None:
        return ContainerBroker(vhosts, image)
    return LocalBroker(vhosts, folder, die_with_parent=die_with_parent)
