"""What helm tells after the installation: how to go on, and why things are as they are."""

from collections.abc import Mapping

import pytest

from tests.chart.conftest import CHART, VALUES
from tests.support.helm import Helm


@pytest.fixture(scope="module")
def notes(real_helm: Helm) -> Mapping[str, str]:
    """The notes for each file of values, in one line each."""
    told = {}
    for values in VALUES:
        result = real_helm.run("install", "imaging", CHART, "--values", values, "--dry-run=client")
        assert result.returncode == 0, result.stderr
        told[values.name.removesuffix("-values.yaml")] = " ".join(result.stdout.split("NOTES:")[1].split())
    return told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("trial", "helm -n default test imaging --logs"),
        (
            "trial",
            "registrationUnit=auto (`auto`: each instance with CUBE up to v5, a whole series with CUBE 6)",
        ),
        ("trial", "RabbitMQ is a single trial node"),
        ("trial", "networkPolicy.dicomFrom is empty"),
        ("cluster-keda", "AE title: CHRIS PROD Port 104 of the load balancer"),
        ("cluster-keda", "externalTrafficPolicy is Local: the receiver sees the PACS' own address"),
        ("cluster-keda", "At most 4 registrars x 4 registrations are under way at once; CUBE serves 16"),
        ("external-hpa", "Only nodes with a receiver answer"),
        ("hostport", "Port 11112 of each node that runs a receiver"),
        ("hostport", "(maxSurge 0): two pods cannot have one port of a node"),
        ("hostport", 'cannot enforce the "restricted" profile'),
        ("hostport", "kubectl -n default rollout status deployment/dicom-registrar"),
    ],
)
def test_the_notes_say_what_follows_from_the_values(notes: Mapping[str, str], values: str, told: str) -> None:
    assert told in notes[values]


def test_the_notes_say_nothing_of_what_was_not_chosen(notes: Mapping[str, str]) -> None:
    assert "trial node" not in notes["cluster-keda"]
    assert "dicomFrom is empty" not in notes["cluster-keda"]
    assert "maxSurge" not in notes["trial"]
    assert "externalTrafficPolicy" not in notes["trial"]
