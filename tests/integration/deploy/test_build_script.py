"""deploy/images/build: what it asks of the engine, told by a `docker` that only writes it down."""

import os
import subprocess
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def test_all_images_are_built_with_the_labels_of_the_checkout_and_the_callers_arguments(
    tmp_path: Path,
) -> None:
    docker, told = tmp_path / "docker", tmp_path / "told"
    docker.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" >>{told}; printf "\\n\\0" >>{told}\n')
    docker.chmod(0o755)
    subprocess.run(
        [CHECKOUT / "deploy/images/build", "--pull", "--build-arg", "PYTHON_IMAGE=a b"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TAG": "test"},
    )
    calls = [call.split("\0")[:-1] for call in told.read_text().split("\n\0") if call]
    builds = [call for call in calls if call[0] == "build"]
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    assert [call[call.index("--tag") + 1] for call in builds] == [
        "lapidicom-receiver:test",
        "lapidicom-registrar:test",
        "lapidicom-cube-stand-in:test",
    ]
    for call in builds:
        assert f"org.opencontainers.image.version={version}" in call
        assert call[call.index("--pull") : call.index("--file")] == [
            "--pull",
            "--build-arg",
            "PYTHON_IMAGE=a b",
        ]
        assert (CHECKOUT / call[call.index("--file") + 1]).is_file()
        assert call[-1] == "."
