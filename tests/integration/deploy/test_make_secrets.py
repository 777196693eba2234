"""deploy/compose/make-secrets: files that containers of any user can read, and nobody else."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).parents[3] / "deploy/compose/make-secrets"


def make(folder: Path, **environ: str) -> str:
    done = subprocess.run(
        [SCRIPT, folder], check=True, capture_output=True, text=True, env={**os.environ, **environ}
    )
    return done.stderr


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_secrets_are_readable_in_a_container_and_hidden_on_the_host_by_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "secrets"
    make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes(folder) == dict.fromkeys(
        ("amqp_url", "amqp_management_url", "cube_password", "rabbitmq.conf", "rabbitmq_password"), 0o644
    )


def test_url_and_rabbitmqs_configuration_agree(tmp_path: Path) -> None:
    make(tmp_path, RABBITMQ_HOST="broker", CUBE_PASSWORD="of cube")
    url = urlsplit((tmp_path / "amqp_url").read_text())
    lines = (tmp_path / "rabbitmq.conf").read_text().splitlines()
    configuration = dict(line.split(" = ") for line in lines)
    assert (url.scheme, url.hostname, url.port) == ("amqp", "broker", 5672)
    assert configuration == {
        "default_user": url.username,
        "default_pass": url.password,
        "default_vhost": url.path.removeprefix("/"),
    }
    assert len(url.password or "") == 48
    management = urlsplit((tmp_path / "amqp_management_url").read_text())
    assert (management.username, management.password) == (url.username, url.password)
    assert (management.scheme, management.hostname, management.port) == ("http", "broker", 15672)
    assert (tmp_path / "cube_password").read_text() == "of cube"


def test_secrets_that_exist_are_kept_and_others_never_repeat(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    before = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert make(tmp_path / "one", CUBE_PASSWORD="another") == ""
    assert {path.name: path.read_text() for path in (tmp_path / "one").iterdir()} == before
    assert (tmp_path / "two" / "amqp_url").read_text() != before["amqp_url"]
