"""Tracing at the start of a process: without OTEL_* variables not even the SDK is imported."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

LISTENER = "from lapidicom.receiver.listener.__main__ import parts; parts()"
IMPORTS = (
    "import lapidicom.receiver.supervisor.app",
    LISTENER,
    "import lapidicom.receiver.relay.app",
    "import lapidicom.registrar.__main__",
)

START = """
import json, sys
{imports}
from lapidicom.common import telemetry
tracing = telemetry.start("lapidicom-test")
imported = sorted(name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "requests", "nats"))
resource = dict(tracing.provider.resource.attributes) if tracing else {{}}
print(json.dumps([imported, resource]))
"""


def started(environ: Mapping[str, str], imports: str = IMPORTS[0]) -> tuple[list[str], dict[str, str]]:
    """Which modules of OpenTelemetry and NATS a fresh process has imported, and what it calls itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", START.format(imports=imports)],
        env=inherited | dict(environ),
        capture_output=True,
        timeout=30,
        check=True,
    )
    imported, resource = json.loads(done.stdout.splitlines()[-1])
    return imported, resource


@pytest.mark.parametrize("imports", IMPORTS)
def test_without_variables_nothing_of_opentelemetry_or_nats_is_imported(imports: str) -> None:
    assert started({}, imports)[0] == []


def test_a_disabled_sdk_is_not_imported() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    assert started(environ)[0] == []


def test_an_endpoint_sets_tracing_up_with_the_name_of_the_service() -> None:
    imported, resource = started({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, LISTENER)
    assert "opentelemetry.sdk.trace" in imported
    assert resource["service.name"] == "lapidicom-test"


@pytest.mark.parametrize(
    "named",
    [{"OTEL_SERVICE_NAME": "pacs-bridge"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=pacs-bridge,site=a"}],
)
def test_the_variables_may_give_another_name(named: Mapping[str, str]) -> None:
    _, resource = started({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **named})
    assert resource["service.name"] == "pacs-bridge"


def test_a_wrong_value_costs_the_traces_and_not_the_service() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}
    assert started(environ)[1] == {}
