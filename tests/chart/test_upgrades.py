"""An upgrade is one that Kubernetes takes: what is immutable does not change."""

import shutil
from pathlib import Path

import pytest

from tests.chart.conftest import CHART, Render, Rendered

SETTINGS = (
    "image.tag=9.9.9",
    "receiver.replicas=7",
    "receiver.aeTitle=OTHER",
    "receiver.service.type=NodePort",
    "receiver.podLabels.colour=blue",
    "registrar.autoscaling.kind=hpa",
    "commonLabels.team=imaging",
    "networkPolicy.enabled=false",
)


@pytest.fixture(scope="module")
def later(render: Render, trial_values: Path, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A later chart of a later application, with other values."""
    chart = tmp_path_factory.mktemp("later") / "lapidicom"
    shutil.copytree(CHART, chart)
    description = chart / "Chart.yaml"
    text = description.read_text()
    description.write_text(text.replace("version: 0.1.0", "version: 7.0.0").replace('"0.1.0"', '"8.0.0"'))
    return render(trial_values, *SETTINGS, chart=chart)


def test_no_selector_changes(all_rendered: dict[str, Rendered], later: Rendered) -> None:
    assert "lapidicom-7.0.0" in later.deployment("receiver")["metadata"]["labels"]["helm.sh/chart"]
    for before in (*all_rendered["trial"].of("Deployment"), *all_rendered["trial"].of("StatefulSet")):
        after = later.one(before["kind"], before["metadata"]["name"])
        assert after["spec"]["selector"] == before["spec"]["selector"]
        assert set(before["spec"]["selector"]["matchLabels"].items()) <= set(
            after["spec"]["template"]["metadata"]["labels"].items()
        )


def test_nothing_else_of_a_stateful_set_changes_but_its_pods(
    all_rendered: dict[str, Rendered], later: Rendered
) -> None:
    (before,), (after,) = all_rendered["trial"].of("StatefulSet"), later.of("StatefulSet")
    assert {key: value for key, value in before["spec"].items() if key != "template"} == {
        key: value for key, value in after["spec"].items() if key != "template"
    }


def test_selectors_name_no_version(rendered: Rendered) -> None:
    for manifest in rendered.manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        labels = selector.get("matchLabels", selector)
        assert not {"app.kubernetes.io/version", "helm.sh/chart", "app.kubernetes.io/managed-by"} & set(
            labels
        )


def test_two_releases_in_one_namespace_share_nothing(render: Render, trial_values: Path) -> None:
    one, other = (render(trial_values, release=release) for release in ("first", "second"))
    names = [{(m["kind"], m["metadata"]["name"]) for m in rendered.manifests} for rendered in (one, other)]
    assert not names[0] & names[1]
    assert one.deployment("receiver")["spec"]["selector"] != other.deployment("receiver")["spec"]["selector"]


def test_the_patients_images_outlive_the_release(all_rendered: dict[str, Rendered]) -> None:
    (claim,) = all_rendered["cluster-keda"].of("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
