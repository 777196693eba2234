"""Settings: sections shared by the services, and how they are read from the environment."""

from lapidicom.common.settings.load import SettingsError, load
from lapidicom.common.settings.sections import (
    AmqpSection,
    CubeSection,
    DelaySection,
    FilesSection,
    HealthSection,
    LogSection,
    NatsSection,
    PacsSection,
    ProgressSection,
    Section,
    split_commas,
)

__all__ = [
    "AmqpSection",
    "CubeSection",
    "DelaySection",
    "FilesSection",
    "HealthSection",
    "LogSection",
    "NatsSection",
    "PacsSection",
    "ProgressSection",
    "Section",
    "SettingsError",
    "load",
    "split_commas",
]
