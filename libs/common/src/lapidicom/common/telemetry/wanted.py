"""Whether traces are wanted, as the OTEL_* variables say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"

HTTP_PROTOBUF: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether traces are wanted.

    Attributes:
        on: whether spans are made.
        unsupported: the variable, with its value, for which spans that were asked for are not made.
    """

    on: bool
    unsupported: str = ""


def decide(environ: Mapping[str, str]) -> Decision:
    """Read the variables.

    Traces are wanted when an endpoint of a collector is set, or OTEL_TRACES_EXPORTER is `otlp` (the
    endpoint is then http://localhost:4318), unless OTEL_SDK_DISABLED is `true` or the exporter is `none`.
    An empty variable counts as unset, as OpenTelemetry's specification demands.
    """
    exporter = _value(environ, EXPORTER)
    if _value(environ, DISABLED).lower() == "true" or exporter == "none":
        return Decision(on=False)
    if exporter not in ("", "otlp"):
        return Decision(on=False, unsupported=f"{EXPORTER}={exporter}")
    if not exporter and not any(_value(environ, name) for name in ENDPOINTS):
        return Decision(on=False)
    name = next((name for name in PROTOCOLS if _value(environ, name)), "")
    if name and _value(environ, name) != HTTP_PROTOBUF:
        return Decision(on=False, unsupported=f"{name}={_value(environ, name)}")
    return Decision(on=True)


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()
