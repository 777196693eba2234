"""Every pod keeps to the profile "restricted" of Kubernetes' Pod Security Standards."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.conftest import Rendered

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
HOST = ("hostNetwork", "hostPID", "hostIPC")


def offences(spec: Mapping[str, Any]) -> list[str]:
    """What the profile forbids, host ports aside."""
    pod = spec.get("securityContext", {})
    found = [f"{name} is set" for name in HOST if spec.get(name)]
    found += [
        f"volume {volume['name']} is none that is allowed"
        for volume in spec.get("volumes", [])
        if not VOLUMES & set(volume) and set(volume) != {"name"}
    ]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            found.append(f"{name}: runAsNonRoot")
        if own.get("runAsUser", pod.get("runAsUser")) == 0:
            found.append(f"{name}: runAsUser")
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append(f"{name}: allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or "add" in own["capabilities"]:
            found.append(f"{name}: capabilities")
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") != "RuntimeDefault":
            found.append(f"{name}: seccompProfile")
    return found


def test_each_pod_keeps_to_the_restricted_profile(rendered: Rendered) -> None:
    specs = rendered.pod_specs()
    assert len(specs) >= 4
    assert not {name: found for name, spec in specs.items() if (found := offences(spec))}


def test_only_a_host_port_that_is_asked_for_leaves_the_profile(all_rendered: dict[str, Rendered]) -> None:
    """A port of the node is forbidden there: NOTES and README say so."""
    with_host_ports = {
        name
        for name, rendered in all_rendered.items()
        for spec in rendered.pod_specs().values()
        for container in spec["containers"]
        for port in container.get("ports", [])
        if "hostPort" in port
    }
    assert with_host_ports == {"hostport"}


@pytest.mark.parametrize("forbidden", ["runAsNonRoot", "seccompProfile"])
def test_the_check_notices_what_is_left_out(all_rendered: dict[str, Rendered], forbidden: str) -> None:
    spec = all_rendered["trial"].deployment("receiver")["spec"]["template"]["spec"]
    context = {name: value for name, value in spec["securityContext"].items() if name != forbidden}
    assert offences({**spec, "securityContext": context}) == [f"receiver: {forbidden}"]


def test_each_root_file_system_is_read_only_and_no_token_is_mounted(rendered: Rendered) -> None:
    for name, spec in rendered.pod_specs().items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in spec["containers"]), name


def test_a_process_is_any_user_of_group_0_as_in_cubes_own_pods(all_rendered: dict[str, Rendered]) -> None:
    users = {
        name: {spec["securityContext"].get("runAsUser") for spec in _services(rendered)}
        for name, rendered in all_rendered.items()
    }
    assert users == {"trial": {1001}, "cluster-keda": {1001}, "external-hpa": {1001}, "hostport": {None}}
    assert {
        spec["securityContext"]["runAsGroup"] for one in all_rendered.values() for spec in _services(one)
    } == {0}


def test_the_group_of_the_volume_is_set_where_the_chart_makes_it_or_the_values_say_so(
    all_rendered: dict[str, Rendered],
) -> None:
    groups = {
        name: {spec["securityContext"].get("fsGroup") for spec in _services(rendered)}
        for name, rendered in all_rendered.items()
    }
    assert groups == {"trial": {None}, "cluster-keda": {0}, "external-hpa": {None}, "hostport": {1000650000}}


def _services(rendered: Rendered) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in rendered.of("Deployment")]
