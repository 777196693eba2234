"""When traces are wanted: the standard variables, alone and against each other."""

import pytest

from lapidicom.common.telemetry import Decision, decide

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "environ",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        ENDPOINT
        | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_PROTOCOL": ""},
    ],
)
def test_an_endpoint_or_the_exporter_turns_traces_on(environ: dict[str, str]) -> None:
    assert decide(environ) == Decision(on=True)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SERVICE_NAME": "pacs", "OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "true"},
        ENDPOINT | {"OTEL_SDK_DISABLED": " TRUE "},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_set_or_switched_off_means_no_traces(environ: dict[str, str]) -> None:
    assert decide(environ) == Decision(on=False)


@pytest.mark.parametrize(
    ("environ", "unsupported"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json"),
    ],
)
def test_what_we_cannot_do_is_said(environ: dict[str, str], unsupported: str) -> None:
    assert decide(ENDPOINT | environ) == Decision(on=False, unsupported=unsupported)
