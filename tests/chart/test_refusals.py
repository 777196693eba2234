"""Values that cannot work are refused before anything is made, and the message names value and rule."""

from pathlib import Path

import pytest

from tests.chart.conftest import CHART
from tests.support.helm import Helm

KEDA = "registrar.autoscaling.kind=keda"
EXTERNAL = "rabbitmq.mode=external"

REFUSED = [
    # Shapes: values.schema.json
    (["regsitrar.replicas=2"], "additional properties 'regsitrar' not allowed"),
    (["receiver.aetitle=X"], "at '/receiver': additional properties 'aetitle' not allowed"),
    (["registrationUnit=study"], "at '/registrationUnit': value must be one of 'auto', 'instance', 'series'"),
    (["rabbitmq.mode=cube"], "at '/rabbitmq/mode': value must be one of 'external', 'cluster', 'trial'"),
    (["files.accessMode=ReadWriteOncePod"], "at '/files/accessMode': value must be one of"),
    (["receiver.service.port=70000"], "at '/receiver/service/port': maximum"),
    (["receiver.hostPort=0"], "at '/receiver/hostPort': minimum"),
    (["receiver.service.type=ExternalName"], "at '/receiver/service/type': value must be one of"),
    (["receiver.replicas=0"], "at '/receiver/replicas': minimum"),
    (["registrar.autoscaling.minReplicas=0"], "at '/registrar/autoscaling/minReplicas': minimum"),
    (["registrar.preStopSeconds=20"], "at '/registrar/preStopSeconds': maximum"),
    (["rabbitmq.cluster.replicas=2"], "at '/rabbitmq/cluster/replicas': value must be one of 3, 5"),
    (["receiver.settings.CHRIS_FYSNC=no"], "invalid propertyName 'CHRIS_FYSNC'"),
    (["receiver.settings.CHRIS_SCP_AET=X"], "invalid propertyName 'CHRIS_SCP_AET'"),
    (["receiver.settings.CHRIS_RECEIVER_ID=a"], "invalid propertyName 'CHRIS_RECEIVER_ID'"),
    (["registrar.settings.CHRIS_PASSWORD=x"], "invalid propertyName 'CHRIS_PASSWORD'"),
    (["otel.CHRIS_VERBOSE=yes"], "invalid propertyName 'CHRIS_VERBOSE'"),
    (["delays.retry={0}"], "at '/delays/retry/0'"),
    (["delays.retry=null"], "at '/delays'"),
    (["cube.url=chris:8000"], "at '/cube/url'"),
    (["cube.concurrentRequests=0"], "at '/cube/concurrentRequests': minimum"),
    (["files.size=lots", "files.existingClaim="], "at '/files/size'"),
    (["files.mountPath=data"], "at '/files/mountPath'"),
    (["securityContext.runAsUser=0"], "at '/securityContext/runAsUser': minimum"),
    (
        ["registrar.autoscaling.keda.managementUrl=http://u:p@host"],
        "at '/registrar/autoscaling/keda/managementUrl'",
    ),
    # Rules over several values
    (["image.prefix="], "image.prefix is not set"),
    (["cube.url="], "cube.url is not set"),
    (["cube.existingSecret="], "cube.existingSecret is not set"),
    (["files.existingClaim="], "files.existingClaim or files.size must be set"),
    (["files.size=1Ti"], "files.existingClaim and files.size are both set"),
    (["files.accessMode=ReadWriteOnce"], "ReadWriteOnce needs files.cubePodLabels"),
    ([EXTERNAL], "rabbitmq.external.existingSecret is not set"),
    (
        ["registrar.replicas=3"],
        "3 registrars x registrar.pusherThreads=2 are 6 registrations at once, more than",
    ),
    ([KEDA, "registrar.autoscaling.maxReplicas=3"], "more than cube.concurrentRequests=4"),
    (
        [KEDA, "registrar.autoscaling.minReplicas=3"],
        "registrar.autoscaling.minReplicas=3 is more than maxReplicas=2",
    ),
    (
        [KEDA, EXTERNAL, "rabbitmq.external.existingSecret=x"],
        "needs registrar.autoscaling.keda.managementUrl",
    ),
    (["receiver.service.nodePort=30000"], "receiver.service.type is ClusterIP"),
    (["receiver.service.loadBalancerClass=x"], "have no effect with receiver.service.type=ClusterIP"),
    (
        ["receiver.listenerProcesses=17"],
        "receiver.listenerThreads=16 is less than receiver.listenerProcesses=17",
    ),
    (["receiver.aeTitle=A\\\\B"], "printable ASCII characters without backslash"),
    (["receiver.aeTitle=SEVENTEEN_LETTERS"], "at '/receiver/aeTitle': maxLength"),
    (["receiver.podLabels.app\\.kubernetes\\.io/component=x"], "may not set app.kubernetes.io/component"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_nonsense_is_refused_with_the_reason(
    real_helm: Helm, trial_values: Path, settings: list[str], message: str
) -> None:
    options = [option for setting in settings for option in ("--set", setting)]
    result = real_helm.run("template", "imaging", CHART, "--values", trial_values, *options)
    assert result.returncode != 0
    assert message in result.stderr


def test_all_that_is_missing_is_told_at_once(real_helm: Helm) -> None:
    result = real_helm.run("template", "imaging", CHART)
    for name in (
        "image.prefix",
        "cube.url",
        "cube.existingSecret",
        "files.existingClaim",
    ):
        assert f"- {name}" in result.stderr
