"""The sections of settings that more than one process reads; each field names its environment variable.

A service's settings class inherits from the sections that it needs. A process that needs only
some of them receives a *slice*: an instance of one section, cut from the whole.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from lapidicom.common import amqp_url
from lapidicom.common.pacs_address import parse_pacs_addresses
from lapidicom.common.progress import DEFAULT_SPACE, is_space

S = TypeVar("S", bound="Section")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def split_commas(value: Any) -> Any:
    """The parts of a text; for a field that holds several values."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class Section(BaseModel):
    """A group of settings. Frozen: settings are read once, at the start of the process."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    def slice(self, section: type[S]) -> S:
        """Cut one section out of a service's settings, for the part that needs no more."""
        return section.model_construct(**{name: getattr(self, name) for name in section.model_fields})

    @classmethod
    def parse_slice(cls, data: str | bytes) -> Self:
        """Read what `dump_slice` wrote; a child process gets its settings so."""
        return cls.model_validate_json(data)

    def dump_slice(self) -> str:
        """Write the section as JSON with its secrets in clear: for a child's control socket, nothing else."""
        values = self.model_dump(mode="json", by_alias=False)
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                values[name] = value.get_secret_value()
        return json.dumps(values)


class AmqpSection(Section):
    """Where RabbitMQ is."""

    amqp_url: SecretStr = Field(
        alias="AMQP_URL",
        description="RabbitMQ, as amqp://user:password@host:5672/vhost. One vhost per CUBE.",
    )

    @field_validator("amqp_url")
    @classmethod
    def _check(cls, url: SecretStr) -> SecretStr:
        amqp_url.check(url.get_secret_value())
        return url


class NatsSection(Section):
    """Where NATS is, if anywhere."""

    nats_url: SecretStr | None = Field(
        default=None,
        alias="CHRIS_NATS_URL",
        description="NATS, as nats://user:password@host:4222 or tls://..., by which CUBE 6 shows how a "
        "series comes. Receiver and registrar alike. Unset: it shows nothing of that.",
    )

    @field_validator("nats_url")
    @classmethod
    def _check_nats(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:  # a slice says so
            return None
        text = url.get_secret_value()
        text = text if "://" in text else f"nats://{text}"
        try:
            parts = urlsplit(text)
            is_usable = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable or parts.path.strip("/") or parts.query:
            raise ValueError("must look like nats://user:password@host:4222")
        if find_spec("nats") is None:
            raise ValueError("needs the package nats-py: install the extra `nats` of this distribution")
        return SecretStr(text)

    @property
    def nats_address(self) -> str | None:
        """The address of NATS, with its password."""
        return self.nats_url.get_secret_value() if self.nats_url is not None else None


class DelaySection(Section):
    """The delay queues: the topology depends on them, so every process that declares it reads them."""

    retry_delays: Annotated[
        tuple[Annotated[int, Field(ge=1, le=86400)], ...], BeforeValidator(split_commas), Field(min_length=1)
    ] = Field(
        default=(5, 30, 120, 600),
        alias="CHRIS_RETRY_DELAYS",
        description="Seconds before retry 1, 2, ..., separated by commas; the last one repeats. "
        "Each is a delay queue.",
    )
    park_delay: Annotated[int, Field(ge=1, le=86400)] = Field(
        default=30,
        alias="CHRIS_PARK_DELAY",
        description="Seconds for which a message waits whose attempt was not spent. "
        "A delay queue of its own.",
    )


class FilesSection(Section):
    """The volume that the receiver shares with CUBE."""

    files_root: Path = Field(
        alias="CHRIS_FILES_ROOT",
        description="CUBE's storage root, as this process sees it: an existing directory.",
    )
    spool_dir: Path | None = Field(
        default=None,
        alias="CHRIS_SPOOL_DIR",
        description="The receivers' directory of temporary files and journals, on the same file system as "
        "CHRIS_FILES_ROOT; all services must have the same. Unset: <CHRIS_FILES_ROOT>/.lapidicom.",
    )

    @property
    def spool(self) -> Path:
        """The spool directory in effect."""
        return self.spool_dir or self.files_root / ".lapidicom"


def _with_slash(url: str) -> str:
    """Paths are joined to it: without a slash its last component would be replaced."""
    return url if url.endswith("/") else f"{url}/"


class CubeSection(Section):
    """CUBE's address and account."""

    cube_url: Annotated[str, Field(pattern=r"^https?://[^/]+/.*"), AfterValidator(_with_slash)] = Field(
        alias="CHRIS_URL", description="CUBE's API, such as http://chris:8000/api/v1/."
    )
    cube_username: Annotated[str, Field(min_length=1)] = Field(
        alias="CHRIS_USERNAME",
        description="CUBE's user. CUBE lets only the user named `chris` register PACS files.",
    )
    cube_password: SecretStr = Field(alias="CHRIS_PASSWORD", description="The password of CUBE's user.")


def _ae_title(value: str) -> str:
    if not value.strip() or not value.isascii() or not value.isprintable() or "\\" in value:
        raise ValueError("an AE title is 1 to 16 printable ASCII characters without backslash (PS3.5 6.2)")
    return value.strip()


def _pacs_address(value: str) -> str:
    parse_pacs_addresses(value)
    return value


class PacsSection(Section):
    """How PACS are asked for the number of a series' instances (C-FIND)."""

    aet: Annotated[str, Field(max_length=16), AfterValidator(_ae_title)] = Field(
        default="ChRIS",
        alias="CHRIS_SCP_AET",
        description="AE title by which PACS call this SCP, and with which they are asked. "
        "Not demanded: any called AE title is accepted.",
    )
    pacs_address: Annotated[str, AfterValidator(_pacs_address)] = Field(
        default="",
        alias="CHRIS_PACS_ADDRESS",
        description="Where PACS answer C-FIND, as AETITLE=host:port with commas: how many instances a series "
        "has there. Unset, or for other PACS: unknown.",
    )
    pacs_timeout: Seconds = Field(
        default=10,
        alias="CHRIS_PACS_TIMEOUT",
        description="Seconds for which a PACS may take to answer how many instances it has.",
    )


def _space(value: str) -> str:
    if not is_space(value):
        raise ValueError("`no`, or 1 to 20 of A-Z a-z 0-9 . - that name a folder")
    return value


class ProgressSection(Section):
    """Where files about the progress of series are."""

    progress_space: Annotated[str, AfterValidator(_space)] = Field(
        default=DEFAULT_SPACE,
        alias="CHRIS_PROGRESS_SPACE",
        description="PACS name, and folder below SERVICES/PACS, of the files that tell clients of CUBE up to "
        "v5 of the progress of a series. `no`: none are written.",
    )

    @property
    def space(self) -> str:
        """The space in effect; empty if no progress files are written."""
        return "" if self.progress_space == "no" else self.progress_space


class HealthSection(Section):
    """Where /livez and /readyz answer."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080,
        alias="HEALTH_PORT",
        description="TCP port of /livez and /readyz; 0 takes a free one and logs it.",
    )


class LogSection(Section):
    """How the process writes its log."""

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        alias="LOG_FORMAT",
        description="`json`, `console`, or `auto`: console at a terminal, else JSON.",
    )
    verbose: bool = Field(
        default=False,
        alias="CHRIS_VERBOSE",
        description="Log each stored or registered instance too. Never patient data, not even then.",
    )
