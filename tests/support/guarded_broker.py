"""A Kafka of its own with ACLs: what comes over its second listener is the user `app`, who may only what a
test allows. Over the first one everything is allowed.
"""

from collections.abc import Iterable
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.brokers import free_port
from tests.support.java_broker import JavaBroker

PASSWORD = "app-password"

_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required user_app="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class GuardedBroker(JavaBroker):
    """Start it as any broker; `settings` are kafka settings of the user `app`."""

    def __init__(self, directory: Path) -> None:
        self._sasl = free_port()
        super().__init__(directory, _PROPERTIES.format(sasl=self._sasl, password=PASSWORD))

    @property
    def settings(self) -> dict[str, str]:
        return {
            "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self._sasl}",
            "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_plaintext",
            "TOCSIN_KAFKA__SASL_MECHANISM": "PLAIN",
            "TOCSIN_KAFKA__SASL_USERNAME": "app",
            "TOCSIN_KAFKA__SASL_PASSWORD": PASSWORD,
        }

    def allow(self, kind: str, name: str, operations: Iterable[str], *, prefixed: bool = True) -> None:
        """Let `app` do these on a topic, group or transactional_id (`kind`), or on all with the prefix."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        bindings = [
            AclBinding(
                ResourceType[kind.upper()],
                name,
                pattern,
                "User:app",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_acls(bindings, request_timeout=30).values():
            future.result(30)
