"""What hinders the registrar now: the reasons of /readyz."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """Kept up to date by the registrar.

    Attributes:
        cube: why CUBE takes no registrations; None if it does.
        consuming: whether deliveries come.
        stopping: whether the end has begun.
        publishing: tells whether there is a connection to publish on.
    """

    cube: str | None = "CUBE: not yet asked"
    consuming: bool = False
    stopping: bool = False
    publishing: Callable[[], bool] = field(default=lambda: False)

    def reasons(self) -> list[str]:
        """Why the registrar is not ready; empty if it is."""
        told = [] if self.cube is None else [self.cube]
        if not self.consuming and self.cube is None:
            told.append("RabbitMQ: not consuming")
        if not self.publishing():
            told.append("RabbitMQ: no connection to publish on")
        if self.stopping:
            told.append("shutting down")
        return told
