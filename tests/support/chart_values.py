"""What values.yaml can't say by itself: narrower forms of values, and the text around the table of them."""

from typing import Any, Final

MANAGED: Final = frozenset(
    {
        "matcher.instance_id",
        "matcher.cache_directory",
        "sender.instance_id",
        "secrets.directory",
        "admin.listen",
        "admin.tokens",
        "telemetry.listen",
        "scanner.node",
        "scanner.sources",
        "scanner.docker_socket",
        "scanner.cri_path",
        "scanner.files",
        "scanner.state_directory",
    }
)
"""Settings that the chart sets, or that have no place in it."""

SECRET_PROPERTY: Final = r"password|secret|token|key\.pem|oauthbearer\.config|jaas"
"""Properties of the Kafka client that don't belong into a ConfigMap."""

_NAME: Final = {"type": "string", "pattern": "^$|^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_ANY: Final = {"type": "object"}
_DURATION: Final = {"type": "string", "pattern": "^([0-9]+)(ms|s|m|h|d)$"}
_QUANTITY: Final = {"type": ["string", "number"]}
_RESOURCES: Final = {
    "type": "object",
    "properties": {
        "requests": {"type": "object", "additionalProperties": _QUANTITY},
        "limits": {"type": "object", "additionalProperties": _QUANTITY},
    },
    "additionalProperties": False,
}
_PORTS: Final = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
_AT_LEAST_1: Final = {"type": "integer", "minimum": 1}
_RULE: Final = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}

FORMS: Final[dict[str, dict[str, Any]]] = {
    "nameOverride": _NAME,
    "fullnameOverride": _NAME,
    "image.repository": {"type": "string", "minLength": 1},
    "image.digest": {"type": "string", "pattern": "^$|^sha256:[0-9a-f]{64}$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": {"type": "array", "items": {"type": "string"}},
    "listenAddress": {"enum": ["0.0.0.0", "[::]"]},
    "topics.mode": {"enum": ["none", "job", "strimzi"]},
    "topics.strimzi.apiVersion": {"enum": ["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"]},
    "rules": {"type": "array", "items": _RULE},
    "scanRules": {"type": "array", "items": _RULE},
    "jobs.brokerTimeout": _DURATION,
    "jobs.activeDeadlineSeconds": _AT_LEAST_1,
    "tests.within": _DURATION,
    "*.kind": {"enum": ["StatefulSet", "Deployment"]},
    "*.scaling.mode": {"enum": ["fixed", "hpa", "keda"]},
    "*.scaling.minReplicas": _AT_LEAST_1,
    "*.scaling.maxReplicas": _AT_LEAST_1,
    "*.scaling.targetCPU": {"type": "integer", "minimum": 1, "maximum": 100},
    "*.scaling.lagThreshold": _AT_LEAST_1,
    "*.resources": _RESOURCES,
    "*.cache.sizeLimit": _QUANTITY,
    "*.podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "scanner.maxUnavailable": {"type": ["integer", "string"]},
    "scanner.logsPath": {"type": "string", "pattern": "^/."},
    "scanner.linkedPaths": {"type": "array", "items": {"type": "string", "pattern": "^/."}},
    "scanner.statePath": {"type": "string", "pattern": "^/."},
    "*.affinity": _ANY,
    "*.env": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    "admin.service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "admin.httpRoute.hostnames": {"type": "array", "items": {"type": "string"}},
    "networkPolicy.kafka.ports": _PORTS,
    "networkPolicy.dns.ports": _PORTS,
    "networkPolicy.receivers.ports": _PORTS,
    "networkPolicy.receivers.cidrs": {"type": "array", "items": {"type": "string", "pattern": "/[0-9]+$"}},
    "monitoring.monitor": {"enum": ["none", "ServiceMonitor", "PodMonitor"]},
    "monitoring.interval": {"type": "string", "pattern": "^[0-9]+(s|m)$"},
    "monitoring.rules.disabled": {"type": "array", "items": {"type": "string"}},
    "monitoring.rules.failureShare": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "monitoring.dashboard.labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "keda.pollingInterval": _AT_LEAST_1,
}
"""By a value's path, or with `*` for its first part."""

README_HEAD: Final = """\
# tocsin

When an event like this appears on Kafka, call that URL.

```sh
helm install tocsin helm/tocsin --namespace tocsin --create-namespace -f my-values.yaml
```

needs a Kafka of your own and an image that the cluster can pull.
[docs/kubernetes.md](../../docs/kubernetes.md) has the rest: what is installed, secrets, scaling, upgrades.
[ci/](ci) has values for common cases. A value that is not in this table is an error.

## Values

| key | type | default | description |
|---|---|---|---|
"""
