"""The compose files: what they ask of the engine, and that they say to the services what these know."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lapidicom.common.settings import Section
from lapidicom.common.settings.load import variable
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings

CHECKOUT = Path(__file__).parents[3]
TRIAL = CHECKOUT / "docker-compose.yml"
MINICHRIS = CHECKOUT / "deploy/compose/minichris.yml"
BOTH = pytest.mark.parametrize("file", [TRIAL, MINICHRIS], ids=lambda file: file.name)
OF_THE_COMMAND = {
    *("AMQP_MANAGEMENT_URL", "CHRIS_RECEIVER_URL", "CHRIS_REGISTRAR_URL", "LAPIDICOM_AUDIT_LOG"),
    "CHRIS_PACS_ADDRESS",
}
"""What the registrar's container is told for `lapidicom`, which runs in it."""
SETTINGS: dict[str, type[Section]] = {"receiver": ReceiverSettings, "registrar": RegistrarSettings}


def load(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@BOTH
def test_a_file_uses_nothing_that_docker_compose_1_29_does_not_know(file: Path) -> None:
    allowed = {"services", "networks", "volumes", "secrets"}
    assert {key for key in load(file) if not key.startswith("x-")} <= allowed
    for service in load(file)["services"].values():
        assert not {"develop", "provider", "models", "configs", "extends"} & service.keys()
        assert all(set(needed) == {"condition"} for needed in service.get("depends_on", {}).values())
        assert "start_interval" not in service.get("healthcheck", {})


@BOTH
def test_every_port_is_published_on_the_loopback_interface_only(file: Path) -> None:
    ports = [port for service in load(file)["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@BOTH
@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_told_only_settings_that_it_knows_and_every_one_that_it_needs(
    file: Path, service: str
) -> None:
    fields = {variable(field): field for field in SETTINGS[service].model_fields.values()}
    told = {name.removesuffix("_FILE") for name in load(file)["services"][service]["environment"]}
    assert told <= fields.keys() | (OF_THE_COMMAND if service == "registrar" else set())
    assert {name for name, field in fields.items() if field.is_required()} <= told


@BOTH
def test_secrets_come_as_files_that_make_secrets_makes(file: Path) -> None:
    compose = load(file)
    for service in SETTINGS:
        environment = compose["services"][service]["environment"]
        secret = [name for name in environment if "PASSWORD" in name or name.startswith("AMQP_")]
        assert secret
        assert all(name.endswith("_FILE") for name in secret)
        mounted = {f"/run/secrets/{name}" for name in compose["services"][service]["secrets"]}
        assert {environment[name] for name in secret} == mounted
    made = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert made == {"amqp_url", "amqp_management_url", "cube_password", "rabbitmq.conf"}


@BOTH
def test_services_run_unprivileged_on_a_root_that_cannot_be_written_and_may_end_in_peace(file: Path) -> None:
    for name in SETTINGS:
        service = load(file)["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        grace = int(service["environment"]["CHRIS_SHUTDOWN_GRACE"])
        assert service["stop_grace_period"] == f"{grace + 30}s"
        assert "container_name" not in service  # or it could not be scaled


@BOTH
def test_only_receivers_and_heal_may_write_into_the_storage(file: Path) -> None:
    services = load(file)["services"]
    mounts = {
        name: mount
        for name, service in services.items()
        for mount in service.get("volumes", [])
        if mount.startswith("files:")
    }
    assert (mounts.pop("receiver"), mounts.pop("heal")) == ("files:/data", "files:/data")
    assert set(mounts.values()) == {"files:/data:ro"}


@BOTH
def test_heal_runs_when_it_is_asked_for_as_the_registrar_but_for_its_mount(file: Path) -> None:
    services = load(file)["services"]
    heal, registrar = services["heal"], services["registrar"]
    assert (heal["profiles"], heal["restart"], heal["entrypoint"]) == (["heal"], "no", ["lapidicom", "heal"])
    for key in (
        "image",
        "environment",
        "secrets",
        "networks",
        "read_only",
        "cap_drop",
        "security_opt",
        "user",
    ):
        assert heal.get(key) == registrar.get(key)


def test_the_trial_starts_in_the_order_of_health() -> None:
    services = load(TRIAL)["services"]
    needs = {name: set(service.get("depends_on", {})) for name, service in services.items()}
    assert needs == {
        "rabbitmq": set(),
        "receiver": {"rabbitmq"},
        "cube": {"receiver"},
        "orthanc": {"receiver"},
        "heal": set(),
        "registrar": {"rabbitmq", "receiver", "cube"},
    }
    conditions = [c for service in services.values() for c in service.get("depends_on", {}).values()]
    assert {condition["condition"] for condition in conditions} == {"service_healthy"}


def test_beside_minichris_rabbitmq_is_our_own_and_not_in_its_network() -> None:
    compose = load(MINICHRIS)
    assert compose["services"]["lapidicom-rabbitmq"]["networks"] == ["broker"]
    assert not compose["networks"]["broker"]
    assert compose["networks"]["minichris"] == {"external": True, "name": "minichris-local"}
    assert compose["volumes"]["files"] == {"external": True, "name": "minichris-files"}
