"""Every manifest is one that Kubernetes, or the operator that it is for, knows."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.chart.conftest import CHART, VALUES, Manifest, Rendered
from tests.support.helm import Helm

OPERATORS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "crds").glob("*.json")
}
OLDEST, NEWEST = "1.27", "1.37"


def of_kubernetes(rendered: Rendered) -> Iterator[Manifest]:
    return (manifest for manifest in rendered.manifests if manifest["kind"] not in OPERATORS)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.name)
def test_helm_finds_nothing_to_complain_about(real_helm: Helm, values: Path) -> None:
    result = real_helm.run("lint", "--strict", CHART, "--values", values)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_each_manifest_fits_the_schema_of_kubernetes(rendered: Rendered, version: str) -> None:
    for manifest in of_kubernetes(rendered):
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}")


def test_the_oldest_version_that_is_validated_is_the_oldest_that_the_chart_allows() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


def test_each_custom_resource_fits_what_its_operator_documents(all_rendered: dict[str, Rendered]) -> None:
    seen = set()
    for rendered in all_rendered.values():
        for manifest in rendered.manifests:
            if manifest["kind"] in OPERATORS:
                jsonschema.validate(manifest, OPERATORS[manifest["kind"]])
                seen.add(manifest["kind"])
    assert seen == set(OPERATORS)


def test_no_two_manifests_have_one_name(rendered: Rendered) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered.manifests]
    assert len(names) == len(set(names))


def test_a_schema_notices_a_misspelt_field(all_rendered: dict[str, Rendered]) -> None:
    deployment = all_rendered["trial"].deployment("receiver")
    misspelt = {**deployment, "spec": {**deployment["spec"], "minReadySecond": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="minReadySecond"):
        kubernetes_validate.validate(misspelt, NEWEST, strict=True)
