"""The chart, rendered once for each of its ci/*-values.yaml."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import Helm, helm

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "lapidicom"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The manifests of one file of values."""

    manifests: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """The manifest of this kind whose name ends so."""
        (found,) = [one for one in self.of(kind) if one["metadata"]["name"].endswith(name)]
        return found

    def deployment(self, component: str) -> Manifest:
        return self.one("Deployment", f"-{component}")

    def pod_specs(self) -> dict[str, Manifest]:
        """Each pod's specification, by kind and name of what makes it."""
        specs = {}
        for manifest in self.manifests:
            name = f"{manifest['kind']}/{manifest['metadata']['name']}"
            if manifest["kind"] == "Pod":
                specs[name] = manifest["spec"]
            elif "template" in manifest.get("spec", {}):
                specs[name] = manifest["spec"]["template"]["spec"]
        return specs


Render = Callable[..., Rendered]


@pytest.fixture(scope="session")
def real_helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def render(real_helm: Helm) -> Render:
    """Renders the chart: `render(values_file, "key=value", ..., chart=folder)`."""

    def rendered(values: Path, *settings: str, chart: Path = CHART, release: str = "imaging") -> Rendered:
        options = [option for setting in settings for option in ("--set", setting)]
        result = real_helm.run("template", release, chart, "--values", values, *options)
        assert result.returncode == 0, result.stderr
        return Rendered(tuple(one for one in yaml.safe_load_all(result.stdout) if one))

    return rendered


@pytest.fixture(scope="session")
def all_rendered(render: Render) -> Mapping[str, Rendered]:
    """What each file of values gives, by its name without `-values.yaml`."""
    return {values.name.removesuffix("-values.yaml"): render(values) for values in VALUES}


@pytest.fixture(params=[values.name.removesuffix("-values.yaml") for values in VALUES])
def rendered(request: pytest.FixtureRequest, all_rendered: Mapping[str, Rendered]) -> Rendered:
    """Every file of values in turn."""
    return all_rendered[request.param]


@pytest.fixture(scope="session")
def trial_values() -> Path:
    """The least that can be said."""
    return CHART / "ci" / "trial-values.yaml"
