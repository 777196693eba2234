"""The registrar's settings."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lapidicom.common.settings.sections import (
    AmqpSection,
    CubeSection,
    DelaySection,
    FilesSection,
    HealthSection,
    LogSection,
    NatsSection,
    Seconds,
    Section,
)


def _by_title(value: Any) -> Any:
    """AE titles and seconds of a text such as `CT1=120,MR 2=60`."""
    if not isinstance(value, str):
        return value
    pairs = [part.rpartition("=") for part in value.split(",")]
    if not all(title.strip() for title, _, _ in pairs):
        raise ValueError("must look like CT1=120,MR2=60")
    return {title.strip(): seconds.strip() for title, _, seconds in pairs}


class SeriesSection(Section):
    """When a series has come, where CUBE registers whole series (v6)."""

    settle_seconds: Literal["auto"] | Seconds = Field(
        default="auto",
        alias="SERIES_SETTLE_SECONDS",
        description="CUBE 6: seconds without a change after which a series has come; `auto`: 10 on a local "
        "file system, on a network's more than twice the time for which a client may show an old directory.",
    )
    settle_seconds_by_title: Annotated[dict[str, Seconds], BeforeValidator(_by_title)] = Field(
        default={},
        alias="SERIES_SETTLE_SECONDS_BY_AET",
        description="The same for calling AE titles that bring a series by several associations with longer "
        "pauses, such as CT1=120,MR2=60.",
    )
    incomplete_seconds: Seconds = Field(
        default=600,
        alias="SERIES_INCOMPLETE_SECONDS",
        description="CUBE 6: seconds without a change for which the rest of a series is waited for that the "
        "PACS has more of.",
    )


class RegistrarSettings(
    AmqpSection,
    DelaySection,
    CubeSection,
    FilesSection,
    SeriesSection,
    NatsSection,
    HealthSection,
    LogSection,
):
    """All settings of the registrar."""

    registration_unit: Literal["auto", "instance", "series"] = Field(
        default="auto",
        alias="REGISTRATION_UNIT",
        description="What one POST to CUBE registers: `instance` (CUBE up to v5), `series` (CUBE 6), or "
        "`auto`: CUBE is asked at the start and after each outage.",
    )
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
