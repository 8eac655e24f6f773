"""What the Helm chart renders: hooks, scaling, names, security, settings and secrets."""

import pytest
import yaml

from processor.cli.main import parse
from processor.kafka.topics import wanted_topics
from processor.scanning.own import is_own
from processor.settings import Settings
from processor.settings_sources import settings_of
from tests.support.charts import CASES, Object, RenderError, named, needs_helm, pod_spec, render


@needs_helm
def test_helm_refuses_what_the_schema_refuses() -> None:
    with pytest.raises(RenderError, match="bootstrap_server"):
        render({"config": {"kafka": {"bootstrap_server": "kafka:9092"}}})


def hook_weight(one: Object) -> int:
    return int(one["metadata"]["annotations"]["helm.sh/hook-weight"])


def hooks(objects: list[Object]) -> list[Object]:
    found = [o for o in objects if "helm.sh/hook-weight" in (o["metadata"].get("annotations") or {})]
    return sorted(found, key=hook_weight)


@needs_helm
def test_hooks_come_in_order() -> None:
    objects = render(files=("ci/scanner-values.yaml",))

    order = [(one["kind"], one["metadata"]["name"]) for one in hooks(objects)]

    assert set(order[:2]) == {("ConfigMap", "tocsin-hooks"), ("NetworkPolicy", "tocsin-hooks")}
    assert order[2:] == [("Job", "tocsin-topics"), ("Job", "tocsin-rules"), ("Job", "tocsin-scan-rules")]


@needs_helm
def test_rules_are_there_before_the_first_matcher_and_change_after_it_was_upgraded() -> None:
    objects = render(files=("ci/minimal-values.yaml",))

    def events(suffix: str) -> set[str]:
        return set(named(objects, "Job", suffix)["metadata"]["annotations"]["helm.sh/hook"].split(","))

    assert events("-topics") == {"pre-install", "pre-upgrade", "pre-rollback"}
    assert events("-rules") == {"pre-install", "post-upgrade", "pre-rollback"}
    settings = named(objects, "ConfigMap", "-hooks")["metadata"]["annotations"]["helm.sh/hook"].split(",")
    assert set(settings) >= events("-topics") | events("-rules")


@needs_helm
def test_rules_come_after_topics_that_an_operator_makes() -> None:
    rule = {"name": "a", "action_type": "webhook", "action_target": "https://hooks.example.com"}

    job = named(render({"rules": [rule]}, files=("ci/strimzi-mtls-values.yaml",)), "Job", "-rules")

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade,pre-rollback"


@needs_helm
def test_rules_job_applies_the_rules_of_the_values_as_the_set_of_the_release() -> None:
    objects = render(files=("ci/minimal-values.yaml",), release="shop")

    job = named(objects, "Job", "-rules")
    rules = list(yaml.safe_load_all(named(objects, "ConfigMap", "-hooks")["data"]["rules.yaml"]))

    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[:7] == ["rules", "apply", "-f", "/etc/tocsin/files", "--set", "shop", "--prune"]
    assert [one["name"] for one in rules if one] == ["deploy-failures"]


@needs_helm
@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("fixed", set()),
        ("hpa", {"HorizontalPodAutoscaler"}),
        ("keda", {"ScaledObject"}),
    ],
)
def test_one_way_of_scaling_at_a_time(mode: str, kinds: set[str]) -> None:
    objects = render({"matcher": {"scaling": {"mode": mode}}})

    scalers = {one["kind"] for one in objects} & {"HorizontalPodAutoscaler", "ScaledObject"}

    assert scalers == kinds
    assert ("replicas" in named(objects, "StatefulSet", "-matcher")["spec"]) == (mode == "fixed")


@needs_helm
def test_keda_logs_in_as_tocsin_does() -> None:
    objects = render(files=("ci/keda-values.yaml",))

    triggers = named(objects, "ScaledObject")["spec"]["triggers"]
    login = named(objects, "TriggerAuthentication")

    assert [trigger["metadata"]["topic"] for trigger in triggers] == ["event-log", "audit-log"]
    for trigger in triggers:
        assert trigger["metadata"]["consumerGroup"] == Settings().topics.group("matcher")
        assert trigger["metadata"]["sasl"] == "scram_sha256"
        assert trigger["metadata"]["tls"] == "enable"
        assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}
    secrets = {one["parameter"]: (one["name"], one["key"]) for one in login["spec"]["secretTargetRef"]}
    assert secrets == {"username": ("tocsin-kafka", "username"), "password": ("tocsin-kafka", "password")}
    assert [one["name"] for one in login["spec"]["configMapTargetRef"]] == ["company-ca"]


@needs_helm
def test_fewest_replicas_above_the_most_are_refused() -> None:
    with pytest.raises(RenderError, match="minReplicas is above maxReplicas"):
        render({"sender": {"scaling": {"mode": "hpa", "minReplicas": 9, "maxReplicas": 3}}})


@needs_helm
def test_probe_is_let_through_by_name_in_a_locked_down_installation() -> None:
    objects = render(files=("ci/locked-down-values.yaml",))

    pod, service = named(objects, "Pod", "-probe"), named(objects, "Service", "-probe")
    arguments = pod["spec"]["containers"][0]["args"]
    url = arguments[arguments.index("--url") + 1]
    settings = yaml.safe_load(named(objects, "ConfigMap", "tocsin")["data"]["tocsin.yaml"])
    policy = named(objects, "NetworkPolicy", "-sender")["spec"]["egress"][-1]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert url == "http://tocsin-probe.tocsin.svc:8099"
    assert settings["sender"]["egress"]["allow_hosts"] == ["tocsin-probe.tocsin.svc"]
    assert settings["sender"]["egress"]["allow_ports"] == [8443, 8099]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert policy["to"] == [{"podSelector": {"matchLabels": service["spec"]["selector"]}}]
    assert policy["ports"] == [{"port": 8099, "protocol": "TCP"}]


LONGEST_RELEASE = "a-release-with-a-name-as-long-as-helm-lets-it-be-here"


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_names_fit_for_the_longest_release(name: str) -> None:
    assert len(LONGEST_RELEASE) == 53

    for one in render(files=(f"ci/{name}",), release=LONGEST_RELEASE):
        if one["kind"] == "KafkaTopic":  # Kafka's names, the release is not in them
            continue
        # Pods of a StatefulSet or DaemonSet carry its name, a hyphen and ten characters as a label.
        limit = 52 if one["kind"] in ("StatefulSet", "DaemonSet") else 63
        if one["kind"].startswith("ClusterRole"):  # the namespace is in front
            limit = 253
        assert len(one["metadata"]["name"]) <= limit, (one["kind"], one["metadata"]["name"])
        for label in (one["metadata"].get("labels") or {}).values():
            assert len(label) <= 63


@needs_helm
def test_two_long_names_stay_apart() -> None:
    first, second = (
        {one["metadata"]["name"] for one in render(release=f"{LONGEST_RELEASE[:-1]}{last}")} for last in "ab"
    )
    assert not first & second


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_every_pod_but_the_scanner_fits_pod_security_restricted(name: str) -> None:
    pods = [(o["metadata"]["name"], spec) for o in render(files=(f"ci/{name}",)) if (spec := pod_spec(o))]

    assert pods
    for pod_name, spec in pods:
        scanner = pod_name.endswith("-scanner")
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"].get("runAsNonRoot", False) is not scanner
        assert spec["enableServiceLinks"] is False
        assert spec["automountServiceAccountToken"] is scanner
        assert scanner or not any("hostPath" in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_rendered_settings_are_settings(name: str) -> None:
    settings = yaml.safe_load(
        named(render(files=(f"ci/{name}",)), "ConfigMap", "tocsin")["data"]["tocsin.yaml"]
    )
    # What comes from Secrets is not there, so what needs it can't be judged here.
    for managed in ("security_protocol", "sasl_mechanism"):
        settings["kafka"].pop(managed, None)

    assert Settings.model_validate(settings).telemetry.listen == "0.0.0.0:9464"


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_variables_of_pods_are_settings(name: str) -> None:
    known = {"TOCSIN_CONFIG"}
    for setting in settings_of(Settings):
        known |= {setting.variable, f"{setting.variable}_FILE"}

    specs = [spec for one in render(files=(f"ci/{name}",)) if (spec := pod_spec(one))]
    set_ones = {variable["name"] for spec in specs for variable in spec["containers"][0]["env"]}

    assert set_ones <= known


@needs_helm
def test_a_role_may_have_a_kafka_user_of_its_own() -> None:
    objects = render(files=("ci/sasl-ssl-values.yaml",))

    def secret(kind: str, suffix: str) -> str:
        spec = pod_spec(named(objects, kind, suffix))
        assert spec is not None
        (volume,) = (one for one in spec["volumes"] if one["name"] == "secrets")
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        (name,) = {s["name"] for s in sources if s["items"][0]["path"] == "kafka.sasl_password"}
        return str(name)

    assert secret("StatefulSet", "-matcher") == "tocsin-kafka-matcher"
    assert secret("StatefulSet", "-sender") == "tocsin-kafka-sender"
    assert (
        secret("Deployment", "-admin") == secret("Job", "-rules") == secret("Pod", "-probe") == "tocsin-kafka"
    )


@needs_helm
def test_secrets_go_to_the_roles_that_need_them() -> None:
    objects = render(files=("ci/sasl-ssl-values.yaml",))

    def given(kind: str, suffix: str) -> set[str]:
        spec = pod_spec(named(objects, kind, suffix))
        assert spec is not None
        (volume,) = (one for one in spec["volumes"] if one["name"] == "secrets")
        return {source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]}

    login = {"kafka.sasl_username", "kafka.sasl_password"}
    assert given("StatefulSet", "-matcher") == login
    assert given("StatefulSet", "-sender") == login | {"secrets.keys"}
    assert given("Deployment", "-admin") == login | {"secrets.keys", "admin.tokens_file"}
    assert given("Job", "-topics") == login | {"secrets.keys"}


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_scanner_leaves_out_the_logs_of_the_release_by_their_containers_names(name: str) -> None:
    specs = [spec for one in render(files=(f"ci/{name}",)) if (spec := pod_spec(one))]

    assert all(is_own({}, "", container["name"]) for spec in specs for container in spec["containers"])


@needs_helm
@pytest.mark.parametrize("name", CASES)
def test_commands_of_pods_are_ones_that_there_are(name: str) -> None:
    commands = [spec["containers"][0]["args"] for o in render(files=(f"ci/{name}",)) if (spec := pod_spec(o))]

    for command in commands:
        assert parse(command).command == command[0]


@needs_helm
def test_an_admin_nobody_could_use_is_refused() -> None:
    with pytest.raises(RenderError, match=r"admin\.tokens_file"):
        render({"admin": {"enabled": True}})


@needs_helm
def test_route_of_a_gateway_leads_to_the_admin_api() -> None:
    admin = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "internal"}], "hostnames": ["a.example"]}}

    route = named(render({"admin": admin}, files=("ci/locked-down-values.yaml",)), "HTTPRoute")

    assert route["spec"]["rules"] == [{"backendRefs": [{"name": "tocsin-admin", "port": 8080}]}]


@needs_helm
def test_pods_have_time_to_drain() -> None:
    objects = render({"config": {"process": {"shutdown_timeout": "2m"}}})

    spec = pod_spec(named(objects, "StatefulSet", "-sender"))

    assert spec is not None
    assert spec["terminationGracePeriodSeconds"] == 130


@needs_helm
def test_topic_resources_are_what_topics_apply_makes() -> None:
    config = {
        "topics": {"prefix": "Shop_", "partitions": 9},
        "sender": {"retry_schedule": ["60s", "90s", "1h"]},
    }
    values = {"topics": {"mode": "strimzi", "strimzi": {"cluster": "events"}}, "config": config}

    made = {
        one["spec"]["topicName"]: (one["spec"]["partitions"], one["spec"]["config"])
        for one in render(values)
        if one["kind"] == "KafkaTopic"
    }

    wanted = wanted_topics(Settings.model_validate(config), {})
    assert made == {spec.name: (spec.partitions, dict(spec.config)) for spec in wanted}
