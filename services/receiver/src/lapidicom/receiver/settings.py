"""The receiver's settings: sections that its processes share, and the whole that is read at the start."""

import re
import socket
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, model_validator

from lapidicom.common.settings.sections import (
    AmqpSection,
    DelaySection,
    FilesSection,
    HealthSection,
    LogSection,
    NatsSection,
    PacsSection,
    ProgressSection,
    Seconds,
    Section,
)


def _max_pdu_length(value: int) -> int:
    if value != 0 and not 4096 <= value <= 16_777_216:
        raise ValueError("0 (unlimited) or 4096 to 16777216")
    return value


def _receiver_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}", value):
        raise ValueError("1 to 63 of A-Z a-z 0-9 . - and first a letter or digit")
    return value


class SpoolSection(FilesSection):
    """The spool: temporary files, journals and the sentinel, on the volume of CHRIS_FILES_ROOT."""

    receiver_id: Annotated[str, AfterValidator(_receiver_id)] = Field(
        default_factory=lambda: re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:63] or "receiver",
        alias="CHRIS_RECEIVER_ID",
        description="Name of this receiver in journals and messages. Unset: the host's name. "
        "Need not be unique.",
        json_schema_extra={"default": "host name"},
    )
    journal_days: Annotated[float, Field(ge=0)] = Field(
        default=7,
        alias="CHRIS_JOURNAL_DAYS",
        description="Days for which relayed journal segments are kept for `lapidicom trace`.",
    )
    journal_takeover: Seconds = Field(
        default=120,
        alias="CHRIS_JOURNAL_TAKEOVER",
        description="Seconds without a heartbeat after which any relay finishes another's journal.",
    )
    journal_heartbeat: Seconds = Field(
        default=10,
        alias="CHRIS_JOURNAL_HEARTBEAT",
        description="Seconds between a journal's heartbeats: at most a quarter of CHRIS_JOURNAL_TAKEOVER.",
    )
    min_free_space: ByteSize = Field(
        default=ByteSize(1 << 30),
        alias="CHRIS_MIN_FREE_SPACE",
        description="Free space below which instances are refused (0xA700), such as 1GiB; "
        "accepted again above it plus 10 %.",
    )

    @model_validator(mode="after")
    def _heartbeat_is_seen(self) -> Self:
        if self.journal_heartbeat * 4 > self.journal_takeover:
            raise ValueError(
                f"CHRIS_JOURNAL_HEARTBEAT={self.journal_heartbeat:g} must be at most a quarter of "
                f"CHRIS_JOURNAL_TAKEOVER={self.journal_takeover:g}"
            )
        return self


class ScpSection(Section):
    """The C-STORE SCP: its limits and time-outs."""

    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=11111, alias="PORT", description="TCP port of the SCP; 0 takes a free one and logs it."
    )
    strict: bool = Field(
        default=False,
        alias="CHRIS_SCP_STRICT",
        description="Abort an association whose P-DATA-TF is longer than CHRIS_SCP_MAX_PDU_LENGTH.",
    )
    max_pdu_length: Annotated[int, AfterValidator(_max_pdu_length)] = Field(
        default=131_072,
        alias="CHRIS_SCP_MAX_PDU_LENGTH",
        description="Longest P-DATA-TF asked for, bytes; 0 = unlimited, else 4096 to 16777216.",
    )
    uncompressed_only: bool = Field(
        default=False,
        alias="CHRIS_SCP_UNCOMPRESSED_ONLY",
        description="Accept implicit and explicit VR little endian only.",
    )
    promiscuous: bool = Field(
        default=True,
        alias="CHRIS_SCP_PROMISCUOUS",
        description="Accept unknown (private) abstract syntaxes as storage SOP classes.",
    )
    listener_processes: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = Field(
        default="auto",
        alias="CHRIS_LISTENER_PROCESSES",
        description="Listener processes, 1 to 64; `auto`: as many as cores that the container may use, "
        "at most 8, fewer if its memory is short.",
    )
    listener_threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=16,
        alias="CHRIS_LISTENER_THREADS",
        description="Associations served at once, by all listeners together.",
    )
    acse_timeout: Seconds = Field(
        default=30,
        alias="CHRIS_SCP_ACSE_TIMEOUT",
        description="Seconds for A-ASSOCIATE-RQ to arrive, and for the peer to close (ARTIM timer).",
    )
    idle_timeout: Seconds = Field(
        default=600, alias="CHRIS_SCP_IDLE_TIMEOUT", description="Seconds without a byte before an abort."
    )
    admission_wait: Annotated[float, Field(ge=0)] = Field(
        default=10,
        alias="CHRIS_SCP_ADMISSION_WAIT",
        description="Seconds for which a newcomer waits for a place before A-ASSOCIATE-RJ (2, 3, 2).",
    )
    fsync: bool = Field(
        default=True,
        alias="CHRIS_FSYNC",
        description="`no`: success is answered before the instance is durable. "
        "A power cut then loses instances.",
    )
    store_timeout: Seconds = Field(
        default=60,
        alias="CHRIS_STORE_TIMEOUT",
        description="Seconds after which an instance that waits for the volume is answered 0xA700, "
        "and its association aborted.",
    )
    shutdown_grace: Annotated[float, Field(ge=0)] = Field(
        default=300,
        alias="CHRIS_SHUTDOWN_GRACE",
        description="Seconds that associations have to end after SIGTERM before they are aborted.",
    )

    @model_validator(mode="after")
    def _a_place_for_each_listener(self) -> Self:
        if self.listener_processes != "auto" and self.listener_threads < self.listener_processes:
            raise ValueError(
                f"CHRIS_LISTENER_THREADS={self.listener_threads} must be at least "
                f"CHRIS_LISTENER_PROCESSES={self.listener_processes}: each listener needs a place"
            )
        return self


class ListenerSettings(ScpSection, SpoolSection, LogSection):
    """What a listener process is given."""


class RelaySettings(
    PacsSection, ProgressSection, SpoolSection, DelaySection, AmqpSection, NatsSection, LogSection
):
    """What the relay process is given."""


class ReceiverSettings(ListenerSettings, RelaySettings, HealthSection):
    """All settings of the receiver."""

    child_timeout: Annotated[float, Field(ge=3, allow_inf_nan=False)] = Field(
        default=30,
        alias="CHRIS_CHILD_TIMEOUT",
        description="Seconds without a sign of life, at least 3, after which a listener or the relay is "
        "killed and replaced; at least 120 while it starts.",
    )
