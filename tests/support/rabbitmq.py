"""Gives a RabbitMQ of our own: a container where an engine has the image, else the installed package.

LAPIDICOM_RABBITMQ=container or package takes the one or the other, and nothing in its stead.
"""

import os
from pathlib import Path

from tests.support import rabbitmq_container, rabbitmq_node
from tests.support.broker import PASSWORD, USER, Broker, BrokerError
from tests.support.rabbitmq_container import ContainerBroker
from tests.support.rabbitmq_node import LocalBroker

__all__ = ["PASSWORD", "USER", "Broker", "BrokerError", "available", "kinds", "open_broker"]

MISSING = "there is no RabbitMQ: neither a container's image nor an installed package (rabbitmq-server)"


def kinds() -> list[str]:
    """What this machine can run of what may be taken: `container`, `package`; the best one first."""
    wanted = os.environ.get("LAPIDICOM_RABBITMQ") or ""
    if wanted not in ("", "container", "package"):
        raise ValueError(f"LAPIDICOM_RABBITMQ={wanted}: container or package")
    found = {
        "container": wanted != "package" and rabbitmq_container.image() is not None,
        "package": wanted != "container" and rabbitmq_node.server_script() is not None,
    }
    return [kind for kind, is_there in found.items() if is_there]


def available() -> bool:
    """Whether this machine can run one."""
    return bool(kinds())


def open_broker(vhosts: int = 4, folder: Path | None = None, *, die_with_parent: bool = True) -> Broker:
    """A broker that is not started yet.

    Args:
        vhosts: how many virtual hosts it has from the start.
        folder: where a local node keeps its data; without it in a temporary folder.
        die_with_parent: whether a local node ends with the thread that started it.

    Raises:
        BrokerError: there is neither an image nor a package.
    """
    kind = next(iter(kinds()), None)
    image = rabbitmq_container.image() if kind == "container" else None
    if image is not None:
        return ContainerBroker(vhosts, image)
    if kind is None:
        raise BrokerError(MISSING)
    return LocalBroker(vhosts, folder, die_with_parent=die_with_parent)
