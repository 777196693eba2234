"""What the values say is what Kubernetes is asked for: grace, surplus, scaling, peers."""

from pathlib import Path

import pytest

from tests.chart.conftest import Manifest, Render, Rendered


def pods(rendered: Rendered, component: str) -> Manifest:
    spec: Manifest = rendered.deployment(component)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("component", ["receiver", "registrar"])
def test_a_pod_has_its_grace_and_thirty_seconds_of_which_the_pause_takes_a_part(
    rendered: Rendered, component: str
) -> None:
    spec = pods(rendered, component)
    (container,) = spec["containers"]
    grace = {entry["name"]: entry.get("value") for entry in container["env"]}["CHRIS_SHUTDOWN_GRACE"]
    assert spec["terminationGracePeriodSeconds"] == int(grace) + 30
    deadline = rendered.deployment(component)["spec"]["progressDeadlineSeconds"]
    assert deadline > spec["terminationGracePeriodSeconds"]
    program, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert 0 < int(pause) <= 15


def test_heal_is_a_container_of_its_own_that_may_write_where_the_registrar_may_not(
    render: Render, trial_values: Path
) -> None:
    assert len(pods(render(trial_values), "registrar")["containers"]) == 1
    rendered = render(trial_values, "registrar.heal.enabled=true")
    registrar, heal = pods(rendered, "registrar")["containers"]
    assert (heal["name"], heal["image"], heal["env"]) == ("heal", registrar["image"], registrar["env"])
    assert heal["securityContext"] == registrar["securityContext"]
    mounts = [{one["name"]: one for one in container["volumeMounts"]} for container in (registrar, heal)]
    assert [one["files"].get("readOnly", False) for one in mounts] == [True, False]
    assert mounts[0].keys() == mounts[1].keys()


@pytest.mark.parametrize("component", ["receiver", "registrar"])
def test_health_is_asked_of_the_port_that_serves_it(rendered: Rendered, component: str) -> None:
    (container,) = pods(rendered, component)["containers"]
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": "health"},
        "livenessProbe": {"path": "/livez", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


def test_a_port_of_the_node_allows_no_surplus(all_rendered: dict[str, Rendered]) -> None:
    with_port, without = (
        all_rendered[name].deployment("receiver")["spec"]["strategy"]["rollingUpdate"]
        for name in ("hostport", "trial")
    )
    assert with_port == {"maxSurge": 0, "maxUnavailable": 1}
    assert without == {"maxSurge": 1, "maxUnavailable": 0}
    (container,) = pods(all_rendered["hostport"], "receiver")["containers"]
    assert container["ports"][0] == {"name": "scp", "containerPort": 11111, "hostPort": 11112}


def test_registrars_have_no_surplus_that_would_ask_more_of_cube(rendered: Rendered) -> None:
    strategy = rendered.deployment("registrar")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}


def test_what_scales_registrars_is_not_undone_by_an_upgrade(all_rendered: dict[str, Rendered]) -> None:
    said = {name: "replicas" in one.deployment("registrar")["spec"] for name, one in all_rendered.items()}
    assert said == {"trial": True, "cluster-keda": False, "external-hpa": False, "hostport": False}
    for name, kind in (("cluster-keda", "ScaledObject"), ("external-hpa", "HorizontalPodAutoscaler")):
        (scaler,) = all_rendered[name].of(kind)
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] == all_rendered[name].deployment("registrar")["metadata"]["name"]


def test_the_peers_own_address_is_kept_by_default(all_rendered: dict[str, Rendered]) -> None:
    services = {name: one.one("Service", "-receiver")["spec"] for name, one in all_rendered.items()}
    assert {name: (spec["type"], spec.get("externalTrafficPolicy")) for name, spec in services.items()} == {
        "trial": ("ClusterIP", None),
        "cluster-keda": ("LoadBalancer", "Local"),
        "external-hpa": ("NodePort", "Local"),
        "hostport": ("ClusterIP", None),
    }
    assert services["external-hpa"]["ports"][0]["nodePort"] == 32111
    assert services["cluster-keda"]["ports"][0]["port"] == 104


def test_a_volume_of_one_node_binds_all_pods_to_cubes(all_rendered: dict[str, Rendered]) -> None:
    for component in ("receiver", "registrar"):
        affinity = pods(all_rendered["external-hpa"], component)["affinity"]
        assert affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == [
            {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "chris-heart"}},
            }
        ]
    assert "nodeAffinity" in pods(all_rendered["external-hpa"], "receiver")["affinity"]
    assert "affinity" not in pods(all_rendered["trial"], "receiver")


def test_each_service_is_evicted_pod_by_pod(all_rendered: dict[str, Rendered]) -> None:
    budgets = {
        name: {b["metadata"]["name"] for b in r.of("PodDisruptionBudget")} for name, r in all_rendered.items()
    }
    own = {"imaging-lapidicom-receiver", "imaging-lapidicom-registrar"}
    assert budgets == {
        "trial": own,
        "cluster-keda": own | {"imaging-lapidicom-rabbitmq"},
        "external-hpa": own,
        "hostport": set(),
    }


def test_registrars_that_wait_for_cube_keep_no_node_from_being_drained(rendered: Rendered) -> None:
    own = [
        one["spec"] for one in rendered.of("PodDisruptionBudget") if "rabbitmq" not in one["metadata"]["name"]
    ]
    assert all(budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow" for budget in own)


def test_three_brokers_stand_on_three_machines_and_every_queue_grows_to_three(
    all_rendered: dict[str, Rendered],
) -> None:
    rendered = all_rendered["cluster-keda"]
    (cluster,) = rendered.of("RabbitmqCluster")
    assert cluster["spec"]["replicas"] == 3
    selected = {"matchLabels": {"app.kubernetes.io/name": cluster["metadata"]["name"]}}
    (apart,) = cluster["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert apart == {"topologyKey": "kubernetes.io/hostname", "labelSelector": selected}
    budget = rendered.one("PodDisruptionBudget", "-rabbitmq")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": selected}  # an unready broker counts, too
    assert "target_group_size = 3" in cluster["spec"]["rabbitmq"]["additionalConfig"]


def test_the_trial_broker_and_the_services_agree_on_its_address(all_rendered: dict[str, Rendered]) -> None:
    rendered = all_rendered["trial"]
    (secret,) = rendered.of("Secret")
    service = rendered.one("Service", "-rabbitmq")
    values = secret["stringData"]
    host = f"{service['metadata']['name']}.default.svc"
    assert values["uri"] == f"amqp://{values['username']}:{values['password']}@{host}:5672/"
    assert f"default_pass = {values['password']}\n" in values["lapidicom.conf"]
    amqp = next(volume for volume in pods(rendered, "receiver")["volumes"] if volume["name"] == "amqp")
    assert amqp["secret"]["secretName"] == secret["metadata"]["name"]


def test_a_receiver_may_speak_to_rabbitmq_and_a_registrar_to_cube_and_to_both_services_too(
    all_rendered: dict[str, Rendered],
) -> None:
    ports = {
        (name, component): {
            port["port"]
            for rule in rendered.one("NetworkPolicy", f"-{component}")["spec"]["egress"]
            for port in rule["ports"]
        }
        for name, rendered in all_rendered.items()
        if name != "hostport"
        for component in ("receiver", "registrar")
    }
    dns, amqp, otlp, health, pacs = {53, 5353}, {5671, 5672}, {4318}, {"health"}, {104, 11112}
    assert ports == {
        ("trial", "receiver"): dns | amqp,
        ("trial", "registrar"): dns | amqp | health | {8000},
        ("cluster-keda", "receiver"): dns | amqp | otlp | pacs,
        ("cluster-keda", "registrar"): dns | amqp | otlp | pacs | health | {443},
        ("external-hpa", "receiver"): dns | amqp | {4222},
        ("external-hpa", "registrar"): dns | amqp | health | {8000, 4222},
    }


def test_only_the_named_peers_and_helms_test_may_send_dicom(all_rendered: dict[str, Rendered]) -> None:
    policy = all_rendered["cluster-keda"].one("NetworkPolicy", "-receiver")["spec"]
    dicom, health = policy["ingress"]
    assert dicom["ports"] == [{"port": "scp"}]
    assert dicom["from"][0] == {"ipBlock": {"cidr": "10.1.2.3/32"}}
    echo = all_rendered["cluster-keda"].one("Pod", "-test-echo")["metadata"]["labels"]
    for rule in (dicom["from"][1], health["from"][0]):
        assert rule["podSelector"]["matchLabels"].items() <= echo.items()
    components = [
        rule["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for rule in health["from"]
    ]
    assert components == ["test", "registrar"]


def test_helms_test_asks_for_c_echo_and_for_readiness(rendered: Rendered) -> None:
    tests = {pod["metadata"]["name"].split("-test-")[1]: pod for pod in rendered.of("Pod")}
    assert all(pod["metadata"]["annotations"]["helm.sh/hook"] == "test" for pod in tests.values())
    service = rendered.one("Service", "-receiver")
    title = {
        entry["name"]: entry.get("value") for entry in pods(rendered, "receiver")["containers"][0]["env"]
    }
    (echo,) = tests["echo"]["spec"]["containers"]
    assert echo["args"][:2] == [service["metadata"]["name"], str(service["spec"]["ports"][0]["port"])]
    assert echo["args"][-1] == title["CHRIS_SCP_AET"]
    asked = {container["args"][0] for container in tests["ready"]["spec"]["containers"]}
    each = {
        one["metadata"]["name"] for one in rendered.of("Service") if one["spec"].get("clusterIP") == "None"
    }
    assert asked == {f"http://{name}:8080/readyz" for name in each}
    assert len(each) == 2
    of_registrar = {
        entry["name"]: entry.get("value") for entry in pods(rendered, "registrar")["containers"][0]["env"]
    }
    told = {of_registrar[f"CHRIS_{name}_URL"] for name in ("RECEIVER", "REGISTRAR")}
    assert told == {f"http://{name}:8080" for name in each}


@pytest.mark.parametrize(("key", "value"), [("cluster.tlsSecret", "x"), ("trial.storage", "1Gi")])
def test_values_of_another_broker_change_nothing(
    render: Render, trial_values: Path, key: str, value: str
) -> None:
    other = ("rabbitmq.mode=external", "rabbitmq.external.existingSecret=broker")
    assert render(trial_values, *other, f"rabbitmq.{key}={value}") == render(trial_values, *other)
