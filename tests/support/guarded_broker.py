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
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from processor.kafka.access import COMPONENTS, Need
from processor.kafka.rights import OPERATIONS
from tests.support.brokers import free_port
from tests.support.java_broker import JavaBroker
from tests.support.receivers import Authority

PASSWORD = "app-password"

USERS: Final = ("app", *COMPONENTS)

_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{tls},\
CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://localhost:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
# Without a validator of its own Kafka takes unsecured tokens (RFC 7519, 6), with `sub` as the user.
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="broker";
listener.name.ssl.ssl.client.auth=required
listener.name.ssl.ssl.keystore.type=PEM
listener.name.ssl.ssl.keystore.location={keystore}
listener.name.ssl.ssl.truststore.type=PEM
listener.name.ssl.ssl.truststore.location={truststore}
listener.name.ssl.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class GuardedBroker(JavaBroker):
    """Start it as any broker; `settings` are kafka settings of the user `app`."""

    def __init__(self, directory: Path) -> None:
        self._sasl, self._tls = free_port(), free_port()
        self.authority = Authority.make(directory)
        keystore = self.authority.issue("localhost")
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
        super().__init__(
            directory,
            _PROPERTIES.format(
                sasl=self._sasl,
                tls=self._tls,
                users=users,
                keystore=keystore,
                truststore=self.authority.path,
            ),
        )

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

    @property
    def sasl_address(self) -> str:
        return f"127.0.0.1:{self._sasl}"

    @property
    def tls_address(self) -> str:
        """Takes clients with a certificate of `authority`, whose common name is the user."""
        return f"localhost:{self._tls}"

    def add_scram_user(self, user: str, mechanism: ScramMechanism) -> None:
        """Let a user log in with SCRAM and PASSWORD."""
        admin = self._admin()
        added = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4_096), PASSWORD.encode())
        for future in admin.alter_user_scram_credentials([added], request_timeout=30).values():
            future.result(30)

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
