"""OpenTelemetry's contrib packages are of one release, and know the libraries that we use."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path

import aio_pika
import pytest
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from lapidicom.common.broker.tracing import destination_name, instrument
from lapidicom.common.telemetry import Tracing

REPOSITORY = Path(__file__).parents[4]
CONTRIB = (
    "opentelemetry-instrumentation",
    "opentelemetry-instrumentation-aio-pika",
    "opentelemetry-instrumentation-httpx",
    "opentelemetry-semantic-conventions",
    "opentelemetry-util-http",
)


def test_all_contrib_packages_are_of_one_release() -> None:
    assert {version(name) for name in CONTRIB} == {"0.66b1"}


def test_the_lock_holds_them() -> None:
    locked = tomllib.loads((REPOSITORY / "uv.lock").read_text())["package"]
    assert {one["version"] for one in locked if one["name"] in CONTRIB} == {"0.66b1"}


def test_there_is_no_other_instrumentation() -> None:
    found = {one.name for one in distributions() if one.name.startswith("opentelemetry-instrumentation")}
    assert found <= set(CONTRIB)


@pytest.mark.parametrize("instrumentor", [AioPikaInstrumentor(), HTTPXClientInstrumentor()])
def test_the_instrumentations_know_the_installed_libraries(
    instrumentor: AioPikaInstrumentor | HTTPXClientInstrumentor,
) -> None:
    """One that does not know a version instruments nothing, and says so in a log line only."""
    assert get_dependency_conflicts(instrumentor.instrumentation_dependencies()) is None


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    yield Tracing(TracerProvider(shutdown_on_exit=False))
    AioPikaInstrumentor().uninstrument()


def test_aio_pika_is_instrumented_once(tracing: Tracing) -> None:
    publish, consume = aio_pika.Exchange.publish, aio_pika.Queue.consume
    instrument(tracing)
    instrument(tracing)
    assert aio_pika.Exchange.publish.__wrapped__ is publish  # type: ignore[attr-defined]
    assert aio_pika.Queue.consume.__wrapped__ is consume  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("exchange", "routing_key", "name"),
    [
        ("lapidicom", "instance.stored", "lapidicom:instance.stored:work"),
        ("lapidicom", "work", "lapidicom:work"),
        ("", "work", "work"),
    ],
)
def test_a_destination_is_named_as_the_conventions_for_rabbitmq_say(
    exchange: str, routing_key: str, name: str
) -> None:
    assert destination_name(exchange, routing_key, "work") == name
