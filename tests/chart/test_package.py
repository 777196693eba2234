"""The packaged chart names the images of its release, and carries what its user needs."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import CHART, Render
from tests.support.helm import Helm


@pytest.fixture(scope="module")
def archive(real_helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a release")
    path = f"{real_helm.program.parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [CHART.parent / "package", "registry.example.org/someone", folder],
        env={**os.environ, "PATH": path, "HOME": str(real_helm.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(result.stdout.strip())


def test_a_released_chart_needs_no_image_prefix(archive: Path, render: Render, tmp_path: Path) -> None:
    values = yaml.safe_load((CHART / "ci" / "trial-values.yaml").read_text())
    del values["image"]
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    rendered = render(file, chart=archive)
    (container,) = rendered.deployment("receiver")["spec"]["template"]["spec"]["containers"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container["image"] == f"registry.example.org/someone/lapidicom-receiver:{version}"


def test_it_carries_values_schema_and_readme_but_nothing_that_only_a_checkout_needs(archive: Path) -> None:
    with tarfile.open(archive) as package:
        names = {name.removeprefix("lapidicom/") for name in package.getnames()}
    assert {"Chart.yaml", "README.md", "values.yaml", "values.schema.json"} <= names
    assert not {name for name in names if name.startswith("ci/") or name == "README.head.md"}


def test_the_version_of_chart_application_and_sources_is_one() -> None:
    """The release workflow refuses a tag that is not all three."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    sources = (CHART.parents[2] / "pyproject.toml").read_text()
    assert chart["version"] == chart["appVersion"]
    assert f'version = "{chart["version"]}"\n' in sources
