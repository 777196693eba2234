"""The registrar's settings."""

from typing import Annotated

from pydantic import Field

from lapidicom.common.settings.sections import (
    AmqpSection,
    CubeSection,
    DelaySection,
    FilesSection,
    HealthSection,
    LogSection,
    UnitSection,
)


class RegistrarSettings(
    AmqpSection, DelaySection, CubeSection, FilesSection, UnitSection, HealthSection, LogSection
):
    """All settings of the registrar."""

    pusher_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4,
        alias="CHRIS_PUSHER_THREADS",
        description="Registrations under way at once; also the prefetch. "
        "Over all registrars no more than CUBE serves at once.",
    )
    http_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3,
        alias="CHRIS_HTTP_RETRIES",
        description="Retries of a registration that a healthy CUBE failed, before it is a dead letter.",
    )
    shutdown_grace: Annotated[float, Field(ge=0)] = Field(
        default=300,
        alias="CHRIS_SHUTDOWN_GRACE",
        description="Seconds that registrations under way have to end after SIGTERM.",
    )
