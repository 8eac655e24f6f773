"""A Kafka of its own with ACLs: what comes over its second listener is one of USERS, who may only what a test
allows. Over the first one everything is allowed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from processor.kafka.access import COMPONENTS, Need
from processor.kafka.rights import OPERATIONS
from tests.support.brokers import free_port
from tests.support.java_broker import JavaBroker

PASSWORD = "app-password"

USERS: Final = ("app", *COMPONENTS)

_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class GuardedBroker(JavaBroker):
    """Start it as any broker; `settings` are kafka settings of the user `app`."""

    def __init__(self, directory: Path) -> None:
        self._sasl = free_port()
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
        super().__init__(directory, _PROPERTIES.format(sasl=self._sasl, users=users))

    @property
    def settings(self) -> dict[str, str]:
        kafka = self.kafka("app")
        return {f"TOCSIN_KAFKA__{name.upper()}": value for name, value in kafka.items()}

    def kafka(self, user: str) -> dict[str, str]:
        """The settings group `kafka` of one of USERS."""
        return {
            "bootstrap_servers": f"127.0.0.1:{self._sasl}",
            "security_protocol": "sasl_plaintext",
            "sasl_mechanism": "PLAIN",
            "sasl_username": user,
            "sasl_password": PASSWORD,
        }

    def allow(self, kind: str, name: str, operations: Iterable[str], *, prefixed: bool = True) -> None:
        """Let `app` do these on a topic, group or transactional_id (`kind`), or on all with the prefix."""
        self._allow("app", ResourceType[kind.upper()], name, operations, prefixed=prefixed)

    def grant(self, user: str, needs: Iterable[Need]) -> None:
        """Let one of USERS do these, and nothing but what was granted before."""
        for need in needs:
            operations = [OPERATIONS[one] for one in need.operations]
            self._allow(user, _kind(need), need.name, operations, prefixed=need.prefixed)

    def revoke(self, user: str, need: Need) -> None:
        """Take from a user what was granted in these words."""
        kind, pattern = _kind(need), _pattern(prefixed=need.prefixed)
        operations = [AclOperation[OPERATIONS[one]] for one in need.operations]
        filters = [
            AclBindingFilter(
                kind, need.name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW
            )
            for operation in operations
        ]
        admin = self._admin()  # which must outlive its futures
        for future in admin.delete_acls(filters, request_timeout=30).values():
            future.result(30)

    def _allow(
        self, user: str, kind: ResourceType, name: str, operations: Iterable[str], *, prefixed: bool
    ) -> None:
        bindings = [
            AclBinding(
                kind,
                name,
                _pattern(prefixed=prefixed),
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        admin = self._admin()
        for future in admin.create_acls(bindings, request_timeout=30).values():
            future.result(30)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})


def _pattern(*, prefixed: bool) -> ResourcePatternType:
    return ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL


def _kind(need: Need) -> ResourceType:
    return ResourceType[need.kind.replace("-", "_").upper()]
