"""The command's settings: the services' variables, of which only AMQP_URL must be set.

What is not set is *not visible from here*: the command says so and never guesses.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ByteSize, Field, SecretStr, field_validator

from lapidicom.common.amqp_url import is_usable
from lapidicom.common.settings import (
    AmqpSection,
    CubeSection,
    DelaySection,
    FilesSection,
    NatsSection,
    PacsSection,
    split_commas,
)

_Addresses = Annotated[
    tuple[Annotated[str, Field(pattern=r"^https?://[^/@]+/?$")], ...], BeforeValidator(split_commas)
]
_CUBE = CubeSection.model_fields
_FILES = FilesSection.model_fields


class CommandSettings(AmqpSection, DelaySection, PacsSection, NatsSection):
    """All settings of the command."""

    management_url: SecretStr | None = Field(
        default=None,
        alias="AMQP_MANAGEMENT_URL",
        description="RabbitMQ's management API, as http(s)://user:password@host:15672. Gives alarms, "
        "policies, bindings, what is unacknowledged and what at-least-once dead-lettering holds back. "
        "Unset: these are not visible.",
    )
    receiver_urls: _Addresses = Field(
        default=(),
        alias="CHRIS_RECEIVER_URL",
        description="Where receivers answer /readyz, such as http://receiver:8080; several with commas. Of a "
        "name with several addresses each is asked. Unset: what they say of themselves is not visible.",
    )
    registrar_urls: _Addresses = Field(
        default=(),
        alias="CHRIS_REGISTRAR_URL",
        description="Likewise, the registrars.",
    )
    cube_url: Annotated[str, Field(pattern=r"^https?://[^/]+/.*")] | None = Field(
        default=None, alias="CHRIS_URL", description=_CUBE["cube_url"].description
    )
    cube_username: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, alias="CHRIS_USERNAME", description=_CUBE["cube_username"].description
    )
    cube_password: SecretStr | None = Field(
        default=None, alias="CHRIS_PASSWORD", description=_CUBE["cube_password"].description
    )
    files_root: Path | None = Field(
        default=None, alias="CHRIS_FILES_ROOT", description=_FILES["files_root"].description
    )
    spool_dir: Path | None = Field(
        default=None,
        alias="CHRIS_SPOOL_DIR",
        description="The receiver's spool, for its journals. Unset: <CHRIS_FILES_ROOT>/.lapidicom.",
    )
    min_free_space: ByteSize = Field(
        default=ByteSize(1 << 30),
        alias="CHRIS_MIN_FREE_SPACE",
        description="Free space below which receivers refuse, as they have it set.",
    )

    audit_log: str = Field(
        default="stderr",
        alias="LAPIDICOM_AUDIT_LOG",
        description="Where acts of operators, and looks at patient data, are written down: a file, `stderr` "
        "or `syslog`. In a container /proc/1/fd/1, its own log.",
    )
    operator: str = Field(
        default="",
        alias="LAPIDICOM_OPERATOR",
        description="Who operates, for the audit log. Unset: who logged in; in a container nobody did, so "
        "that it must be set.",
    )

    @field_validator("management_url")
    @classmethod
    def _look_at(cls, url: SecretStr) -> SecretStr:
        if not is_usable(url.get_secret_value(), "http"):
            raise ValueError("must look like http://user:password@host:15672")
        return url

    @property
    def spool(self) -> Path | None:
        """The receiver's spool, if it can be seen from here."""
        if self.spool_dir is None and self.files_root is not None:
            return self.files_root / ".lapidicom"
        return self.spool_dir

    @property
    def cube(self) -> CubeSection | None:
        """CUBE's address and account; None unless all three variables are set."""
        account = {
            "CHRIS_URL": self.cube_url,
            "CHRIS_USERNAME": self.cube_username,
            "CHRIS_PASSWORD": self.cube_password,
        }
        return None if None in account.values() else CubeSection.model_validate(account)
