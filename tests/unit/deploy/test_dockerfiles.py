"""The Dockerfiles: built by every builder, pinned as the checkout is, run by nobody in particular."""

import re
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
SERVICES = ("receiver", "registrar")
FILES = {
    **{name: CHECKOUT / "services" / name / "Dockerfile" for name in SERVICES},
    "cube": CHECKOUT / "deploy/compose/cube/Dockerfile",
}
ALL = pytest.mark.parametrize("name", FILES)


def instructions(name: str) -> list[str]:
    """Whole ones, without comments."""
    lines = [line for line in FILES[name].read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


@ALL
def test_a_dockerfile_needs_no_buildkit(name: str) -> None:
    text = FILES[name].read_text()
    assert not re.search(r"^# *(syntax|escape|check) *=", text, re.MULTILINE)
    assert "<<" not in text
    assert not re.search(r"^(RUN|COPY|ADD) --(mount|link|chmod|parents|exclude|checksum)", text, re.MULTILINE)
    stages = {
        line.split(" AS ")[1] for line in instructions(name) if line.startswith("FROM") and " AS " in line
    }
    copied_from = set(re.findall(r"--from=(\S+)", text))
    assert copied_from <= stages


@ALL
def test_uv_is_the_one_of_the_checkout_and_comes_by_pip(name: str) -> None:
    pinned = re.search(r"^UV_VERSION=(\S+)", (CHECKOUT / "scripts/setup").read_text(), re.MULTILINE)
    assert pinned
    assert f"ARG UV_VERSION={pinned[1]}" in instructions(name)
    assert 'RUN python -m pip install --no-cache-dir "uv==${UV_VERSION}"' in instructions(name)


@ALL
def test_what_is_installed_is_locked_and_without_the_tools_of_development(name: str) -> None:
    syncs = [line for line in instructions(name) if "uv sync" in line]
    assert syncs
    assert all("--locked" in line and "--no-dev" in line for line in syncs)


@ALL
def test_all_members_of_the_workspace_are_there_when_the_lock_is_checked(name: str) -> None:
    members = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    copied = {line.split()[1] for line in instructions(name) if line.startswith("COPY")}
    assert {f"{member}/pyproject.toml" for member in members} <= copied


@ALL
def test_an_image_runs_as_any_user_of_group_0(name: str) -> None:
    assert [line for line in instructions(name) if line.startswith("USER")] == ["USER 1001:0"]
    assert any(
        "install --directory --owner=1001 --group=0 --mode=0775 /data" in i for i in instructions(name)
    )


@pytest.mark.parametrize(("name", "absent"), [("receiver", {"httpx"}), ("registrar", {"lapidicom.receiver"})])
def test_the_build_proves_that_an_image_imports_and_lacks_what_it_must(name: str, absent: set[str]) -> None:
    (smoke,) = (line for line in instructions(name) if "import_smoke.py \\" in line or "--absent" in line)
    wanted, unwanted = smoke.split("&&")[0].split("--absent")
    assert "lapidicom" in wanted.split()
    assert absent <= set(unwanted.split())


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_starts_the_command_of_its_distribution(name: str) -> None:
    project = tomllib.loads((CHECKOUT / "services" / name / "pyproject.toml").read_text())["project"]
    assert f'CMD ["{project["name"]}"]' in instructions(name)
    assert project["name"] in project["scripts"]


def test_the_builder_gets_what_is_copied_and_no_secret() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    for name in FILES:
        for line in instructions(name):
            if line.startswith("COPY") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source
    assert not any("secrets".startswith(entry) or entry in ("deploy", "deploy/compose") for entry in allowed)
