"""The environment that the chart gives is one with which the services start."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.settings import CommandSettings
from lapidicom.common.settings import Section, load
from lapidicom.common.settings.load import is_secret, variable
from lapidicom.common.settings.unknown import names
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings
from tests.chart.conftest import CHART, Manifest, Rendered

SERVICES: Mapping[str, type[Section]] = {"receiver": ReceiverSettings, "registrar": RegistrarSettings}
SECRETS = {
    "/run/secrets/lapidicom/amqp/url": "amqp://user:password@rabbitmq:5672/cube",
    "/run/secrets/lapidicom/nats/url": "nats://lapidicom:password@nats:4222",
    "/run/secrets/lapidicom/cube/username": "chris",
    "/run/secrets/lapidicom/cube/password": "chris1234",
}
OF_NO_MODEL = {"SSL_CERT_FILE"}
"""Read by Python's ssl module; OTEL_* are OpenTelemetry's."""

OF_THE_COMMAND = {"receiver": frozenset[str](), "registrar": names(CommandSettings)}
"""Read by the operators' command, which is in the registrar's image."""

CHOSEN_BY_THE_POD = "CHRIS_RECEIVER_ID"
"""Must not be given to several pods at once; its default, the pod's name, is right."""


def container(rendered: Rendered, component: str) -> Manifest:
    (only,) = rendered.deployment(component)["spec"]["template"]["spec"]["containers"]
    return only


def environment(rendered: Rendered, component: str) -> dict[str, str | None]:
    entries = container(rendered, component)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value") for entry in entries}


def of_the_models(given: Mapping[str, str | None]) -> dict[str, str]:
    return {
        name: value
        for name, value in given.items()
        if value is not None and name not in OF_NO_MODEL and not name.startswith("OTEL_")
    }


@pytest.fixture(params=SERVICES)
def component(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_each_variable_is_one_that_the_service_knows(rendered: Rendered, component: str) -> None:
    given = of_the_models(environment(rendered, component))
    known = names(SERVICES[component]) | OF_THE_COMMAND[component]
    assert {name.removesuffix("_FILE") for name in given} <= known


def test_the_service_takes_its_environment(rendered: Rendered, component: str, tmp_path: Path) -> None:
    given = of_the_models(environment(rendered, component))
    for name, value in given.items():
        if name.endswith("_FILE"):
            secret = tmp_path / name
            secret.write_text(SECRETS[value] + "\n")
            given[name] = str(secret)
    settings = load(SERVICES[component], given)
    assert settings.model_dump().get("registration_unit", "auto") == "auto"


def test_each_file_of_a_secret_is_mounted(rendered: Rendered, component: str) -> None:
    spec = rendered.deployment(component)["spec"]["template"]["spec"]
    secrets = {one["name"]: one["secret"] for one in spec["volumes"] if "secret" in one}
    mounted = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in container(rendered, component)["volumeMounts"]
        if mount["name"] in secrets
        for item in secrets[mount["name"]]["items"]
    }
    files = {value for name, value in environment(rendered, component).items() if name.endswith("_FILE")}
    assert files == mounted


def test_no_password_stands_in_the_environment(rendered: Rendered, component: str) -> None:
    fields = SERVICES[component].model_fields.values()
    secrets = {variable(field): field for field in fields if is_secret(field)}
    given = set(environment(rendered, component))
    assert secrets
    assert not secrets.keys() & given
    assert {f"{name}_FILE" for name, field in secrets.items() if field.is_required()} <= given


def test_both_services_get_the_same_of_what_both_must_agree_on(rendered: Rendered) -> None:
    receiver, registrar = (environment(rendered, name) for name in SERVICES)
    for name in ("CHRIS_RETRY_DELAYS", "CHRIS_PARK_DELAY", "CHRIS_FILES_ROOT"):
        assert receiver[name] == registrar[name]


def test_every_other_setting_of_the_models_can_be_given_and_no_other(
    all_rendered: dict[str, Rendered], component: str
) -> None:
    """A new setting belongs into the schema, or into the chart's own values."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    allowed = schema["properties"][component]["properties"]["settings"]["propertyNames"]["enum"]
    given = [
        of_the_models(environment(all_rendered[values], component)) for values in ("trial", "external-hpa")
    ]
    set_by_the_chart = {name.removesuffix("_FILE") for one in given for name in one} | {CHOSEN_BY_THE_POD}
    assert set(allowed) == names(SERVICES[component]) - set_by_the_chart
    assert not set(allowed) & set_by_the_chart


def test_the_registrar_only_reads_the_volume_that_the_receiver_writes(rendered: Rendered) -> None:
    mounts: dict[str, Any] = {}
    for component in SERVICES:
        (mounts[component],) = [
            one for one in container(rendered, component)["volumeMounts"] if one["name"] == "files"
        ]
        assert mounts[component]["mountPath"] == environment(rendered, component)["CHRIS_FILES_ROOT"]
    assert mounts["registrar"].pop("readOnly") is True
    assert mounts["registrar"] == mounts["receiver"]


def test_the_ports_are_those_of_the_environment(rendered: Rendered, component: str) -> None:
    given = environment(rendered, component)
    ports = {port["name"]: str(port["containerPort"]) for port in container(rendered, component)["ports"]}
    assert ports == {"health": given["HEALTH_PORT"]} | (
        {"scp": given["PORT"]} if component == "receiver" else {}
    )


def test_keda_looks_at_the_work_queue_over_http(all_rendered: dict[str, Rendered]) -> None:
    seen = [one for rendered in all_rendered.values() for one in rendered.of("ScaledObject")]
    assert len(seen) == 2
    for scaled in seen:
        (trigger,) = scaled["spec"]["triggers"]
        assert trigger["metadata"]["queueName"] == WORK_QUEUE
        assert trigger["metadata"]["protocol"] == "http"
        assert trigger["metadata"]["mode"] == "QueueLength"
        assert scaled["spec"]["minReplicaCount"] >= 1


def test_both_services_are_told_where_pacs_answer(all_rendered: Mapping[str, Rendered]) -> None:
    for component in SERVICES:
        given = environment(all_rendered["cluster-keda"], component)
        assert given["CHRIS_PACS_ADDRESS"] == "BCH MAIN=10.1.0.7:104,MGH=pacs.example.org:11112"
        assert given["CHRIS_SCP_AET"] == "CHRIS PROD"
        assert environment(all_rendered["trial"], component)["CHRIS_PACS_ADDRESS"] == ""
