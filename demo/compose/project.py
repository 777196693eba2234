"""A project of docker-compose.yml: started, looked at, its containers killed; by either Compose."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.polling import eventually

CHECKOUT = Path(__file__).parents[2]
HEALTHY_SECONDS = 300.0


class ProjectError(Exception):
    """Engine or Compose did not do what was asked; the text is theirs."""


def compose_command(environ: Mapping[str, str]) -> list[str]:
    """COMPOSE if it is set, else Compose v2 where the engine's client has it, else docker-compose.

    Raises:
        ProjectError: there is none.
    """
    if environ.get("COMPOSE"):
        return environ["COMPOSE"].split()
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            subprocess.run([*command, "version"], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            continue
        return command
    raise ProjectError("neither `docker compose` nor `docker-compose` is installed")


class Project:
    """One project.

    Args:
        name: None = Compose's own choice, the checkout's project.
        settings: variables that the compose file asks for.
    """

    def __init__(self, name: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._environ = {**os.environ, **(settings or {})}
        self.command = compose_command(self._environ)
        self.told_as = " ".join(self.command)
        if name is not None:
            self.command += ["--project-name", name]

    def make_secrets(self) -> None:
        """Make those that are missing."""
        _run([str(CHECKOUT / "deploy/compose/make-secrets")], self._environ)

    def amqp_url(self) -> str:
        """RabbitMQ, as the services know it."""
        return (CHECKOUT / "deploy/compose/secrets/amqp_url").read_text()

    def up(self) -> None:
        """Start what does not run yet, each service after the health of those that it needs."""
        self.compose("up", "--detach", seconds=1800)

    def down(self) -> None:
        """Remove containers, network and volumes."""
        self.compose("down", "--volumes", "--timeout", "20")

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Run a command of Compose; returns what it prints."""
        return _run([*self.command, *arguments], self._environ, seconds)

    def docker(self, *arguments: str) -> str:
        """Run a command of the engine; returns what it prints."""
        return _run(["docker", *arguments], self._environ)

    def containers(self, *services: str) -> list[str]:
        """The ids of the containers of these services, else of all."""
        return self.compose("ps", "--all", "--quiet", *services).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", container))
        return found[0]

    def health(self) -> dict[str, str]:
        """The health of every container, by its name."""
        found = {}
        for container in self.containers():
            about = self.inspect(container)
            found[about["Name"].lstrip("/")] = health_of(about["State"])
        return found

    def wait_until_healthy(self) -> None:
        """Wait until every container is.

        Raises:
            ProjectError: one is not in time.
        """
        try:
            eventually(lambda: set(self.health().values()) == {"healthy"}, HEALTHY_SECONDS, every=1)
        except AssertionError:
            raise ProjectError(f"not healthy within {HEALTHY_SECONDS:g} s: {self.health()}") from None

    def port(self, service: str, port: int) -> int:
        """The port of this machine at which a container's port is published."""
        (container,) = self.containers(service)
        bound: str = self.inspect(container)["NetworkSettings"]["Ports"][f"{port}/tcp"][0]["HostPort"]
        return int(bound)

    def volume(self, service: str, folder: str) -> str:
        """The volume that a service has mounted at a folder."""
        mounts = self.inspect(self.containers(service)[0])["Mounts"]
        (name,) = (mount["Name"] for mount in mounts if mount["Destination"] == folder)
        return str(name)


def health_of(state: Mapping[str, Any]) -> str:
    """`healthy`, `unhealthy` or `starting`; of one that does not run, or has no health check, its status."""
    if state["Status"] != "running" or "Health" not in state:
        return str(state["Status"])
    return str(state["Health"]["Status"])


def _run(command: Sequence[str], environ: Mapping[str, str], seconds: float = 120) -> str:
    try:
        done = subprocess.run(
            command, check=False, cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(str(error)) from None
    if done.returncode:
        raise ProjectError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout
