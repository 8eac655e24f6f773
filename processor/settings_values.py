"""The kinds of values that settings have: what each accepts, and what it says when it doesn't.

Every check raises ValueError with one sentence that says what is expected; `settings_sources` puts the
setting's name and its place in front. A message never holds a secret: the checks of secrets don't quote what
they were given.
"""

# ruff: noqa: TRY004  (pydantic turns a ValueError into a report, a TypeError it lets through)

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, SecretStr
from yarl import URL

HIDDEN = "***"
"""What stands in place of a secret wherever settings are printed."""

# Kafka: org.apache.kafka.common.internals.Topic; group.instance.id follows the same rule.
TOPIC_NAME_MAX = 249
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]*")
_HOST = re.compile(r"(?!-)[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*\.?")
_HOST_GLOB = re.compile(r"[a-z0-9._*?-]+")
_HEADER_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_KEY_ID = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _not_bool(value: object) -> object:
    # Python counts True as 1: `partitions: yes` in YAML would mean one partition.
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _share(value: object) -> float:
    try:
        share = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"must be a number above 0, at most 1 (got {value!r})")
    return share


def _topic_chars(value: str) -> str:
    if not _TOPIC_NAME.fullmatch(value):
        raise ValueError(
            f"may only hold letters, digits, '.', '_' and '-', as Kafka's names do (got {value!r})"
        )
    return value


def _kafka_name(value: str) -> str:
    if not value or len(value) > TOPIC_NAME_MAX or value in {".", ".."}:
        raise ValueError(
            f"must be a name of 1 to {TOPIC_NAME_MAX} characters other than '.' and '..' (got {value!r})"
        )
    return _topic_chars(value)


def _field_path(value: str) -> str:
    if not value or "" in value.split("."):
        raise ValueError(f"must be a dotted path into the event, such as log.level (got {value!r})")
    return value


def parse_host_port(text: str) -> tuple[str, int]:
    """`host:port` or `[IPv6]:port` as (host without brackets, port 0..65535); raises ValueError otherwise."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            host = ""
    elif not _HOST.fullmatch(host):
        host = ""
    if not (colon and host and port.isascii() and port.isdigit() and int(port[:6]) <= 65535):
        raise ValueError(
            f"must be host:port with a port up to 65535, an IPv6 host in brackets (got {text!r})"
        )
    return host, int(port)


def _listen(value: str) -> str:
    if value:
        parse_host_port(value)
    return value


def _bootstrap(value: str) -> str:
    servers = [server.strip() for server in value.split(",")]
    for server in servers:
        # librdkafka takes a protocol in front and fills in port 9092.
        bare = server.partition("://")[2] or server
        with_port = bare if re.search(r":\d*$", bare) else f"{bare}:9092"
        try:
            _, port = parse_host_port(with_port)
        except ValueError:
            port = 0
        if not port:
            raise ValueError(f"must be host:port, or several with commas between (got {server!r})")
    return ",".join(servers)


def _cidr(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = value if isinstance(value, str) else ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"must be an address range such as 10.0.0.0/8 (got {value!r})") from None
    if str(network.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise ValueError(f"{text} has bits set after its prefix; write {network}")
    return network


def _host_glob(value: str) -> str:
    glob = value.lower().rstrip(".")
    if not _HOST_GLOB.fullmatch(glob):
        raise ValueError(
            f"must be a host name or a glob of one such as *.internal, no scheme or port (got {value!r})"
        )
    return glob


def _proxy_url(value: SecretStr) -> SecretStr:
    # It may hold a password: nothing of it is quoted.
    text = value.get_secret_value()
    try:
        url = URL(text if text.isprintable() and " " not in text else "")
        bare = url.raw_path_qs in {"", "/"} and not url.raw_fragment and bool(url.user or not url.password)
        right = bool(url.scheme in {"http", "https"} and url.host and url.port and bare)
        credentials = (url.user or "", url.password or "")
    except ValueError:
        right, credentials = False, ("", "")
    if not right:
        raise ValueError(
            "must be a URL without a path such as http://proxy.internal:3128, with user:password@ in front of"
            " the host if the proxy wants them"
        )
    # RFC 7617, 2: the user name ends at the first colon, and neither holds control characters.
    if ":" in credentials[0] or any(ord(char) < 32 or ord(char) == 127 for char in "".join(credentials)):
        raise ValueError("holds a colon in the user name, or a control character")
    return value


def _show_proxy_url(value: SecretStr) -> str:
    url = URL(value.get_secret_value())
    shown = str(url.with_user(None).origin())
    return shown if url.user is None else shown.replace("://", f"://{HIDDEN}@", 1)


def _callback(value: str) -> str:
    module, colon, function = value.partition(":")
    if not colon or not function.isidentifier() or not all(map(str.isidentifier, module.split("."))):
        raise ValueError(f"must be module:function, such as processor.kafka.msk:token (got {value!r})")
    return value


def _base_url(value: str) -> str:
    try:
        url = URL(value if value.isprintable() and " " not in value else "")
        right = bool(url.scheme in {"http", "https"} and url.host and url.port)
        right = right and not (url.raw_query_string or url.raw_fragment or "@" in url.raw_authority)
    except ValueError:
        right = False
    if not right:  # not quoted: it may hold a key
        raise ValueError("must be a URL such as http://collector:4318, without user name and query")
    return value


def _secret_headers(value: object) -> dict[str, SecretStr]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a map of header names to values")
    headers = {}
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError("a header's name must be text of letters, digits and '-'")
        secret = text.get_secret_value() if isinstance(text, SecretStr) else text
        if not isinstance(secret, str) or not _HEADER_VALUE.fullmatch(secret):
            raise ValueError(f"the header {name} must be text in ASCII, without line breaks")
        headers[name] = SecretStr(secret)
    return headers


def _start_from(value: object) -> str | datetime:
    if isinstance(value, str) and value in {"latest", "earliest"}:
        return value
    moment = value if isinstance(value, datetime) else None  # YAML reads an unquoted time as one
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError:
            moment = None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year < 9999:
        raise ValueError(
            f"must be latest, earliest or a time such as 2026-11-23T10:00:00Z (got {str(value)!r})"
        )
    return moment.astimezone(UTC)


def _show_start_from(value: str | datetime) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _readable_file(value: Path) -> Path:
    # Asked now, because a client library's words about a missing certificate name no setting.
    try:
        with value.open("rb"):
            return value
    except OSError as error:
        raise ValueError(f"can't read {value}: {error.strerror}") from None


def _directory(value: Path) -> Path:
    if not value.is_dir():
        raise ValueError(f"there is no directory {value}")
    return value


def _key_entry(value: SecretStr) -> SecretStr:
    key_id, colon, encoded = value.get_secret_value().partition(":")
    if not colon or not _KEY_ID.fullmatch(key_id):
        raise ValueError("must be id:base64-of-32-bytes, the id made of letters, digits, '.', '_' and '-'")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {key_id}: what follows the colon is not base64") from None
    if len(key) != 32:
        raise ValueError(f"key {key_id}: must be 32 bytes in base64, not {len(key)}")
    return value


def _show_key_entry(value: SecretStr) -> str:
    return f"{value.get_secret_value().partition(':')[0]}:{HIDDEN}"


# What would break a guarantee, and what has a setting of its own (an alias of librdkafka's beside its main
# name).
_OWN_SETTING = {
    "bootstrap.servers": "kafka.bootstrap_servers",
    "metadata.broker.list": "kafka.bootstrap_servers",
    "security.protocol": "kafka.security_protocol",
    "sasl.mechanism": "kafka.sasl_mechanism",
    "sasl.mechanisms": "kafka.sasl_mechanism",
    "sasl.username": "kafka.sasl_username",
    "sasl.password": "kafka.sasl_password",
    "sasl.oauthbearer.method": "kafka.oauth_token_endpoint",
    "sasl.oauthbearer.token.endpoint.url": "kafka.oauth_token_endpoint",
    "sasl.oauthbearer.client.id": "kafka.oauth_client_id",
    "sasl.oauthbearer.client.secret": "kafka.oauth_client_secret",
    "sasl.oauthbearer.scope": "kafka.oauth_scope",
    "ssl.ca.location": "kafka.ssl_ca",
    "ssl.certificate.location": "kafka.ssl_certificate",
    "ssl.key.location": "kafka.ssl_key",
    "client.id": "topics.prefix",
    "group.id": "topics.prefix",
    "group.instance.id": "matcher.instance_id or sender.instance_id",
    "transactional.id": "matcher.instance_id or sender.instance_id",
    "auto.offset.reset": "matcher.start_from",
}
_NEEDED = {
    "partitioner": "a job's partition decides who owns it, so every producer must choose it alike",
    "acks": "a job counts as written only when all replicas have it",
    "request.required.acks": "a job counts as written only when all replicas have it",
    "enable.idempotence": "exactly once rests on it",
    "transaction.timeout.ms": "the watchdog and the time to take over after a crash follow from it",
    "isolation.level": "aborted jobs must never be read",
    "group.*": "ownership of partitions rests on the group protocol that Tocsin sets",
    "partition.assignment.strategy": "the sender's retry partitions follow its cooperative assignment",
    "enable.auto.*": "offsets are committed in the transaction of what they led to, never apart from it",
    "auto.commit.enable": "offsets are committed in the transaction of what they led to, never apart from it",
    "enable.partition.eof": "the end of the rule table is known by it",
    "message.max.bytes": "it follows from the topics' max.message.bytes",
}
_SECRET_PROPERTY = re.compile(r"password|secret|token|key\.pem|oauthbearer\.config|jaas", re.IGNORECASE)

PropertyValue = str | int | float | bool


def _properties(value: object) -> dict[str, PropertyValue]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a map of librdkafka properties to values")
    for name, setting in value.items():
        if not isinstance(name, str):
            raise ValueError(f"a property's name must be text (got {name!r})")
        if not isinstance(setting, str | int | float | bool):
            raise ValueError(f"the property {name} must be text, a number, true or false")
        if instead := _OWN_SETTING.get(name):
            raise ValueError(f"{name} has a setting of its own; set {instead} instead")
        for refused, reason in _NEEDED.items():
            if fnmatchcase(name, refused):
                raise ValueError(f"{name} can't be changed: {reason}; leave it out")
    return dict(value)


def _show_properties(value: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    return {name: HIDDEN if _SECRET_PROPERTY.search(name) else set_to for name, set_to in value.items()}


Count = Annotated[int, BeforeValidator(_not_bool), Field(ge=1)]
CountFrom0 = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=2**63 - 1)]
Share = Annotated[float, BeforeValidator(_share)]
Port = Annotated[int, BeforeValidator(_not_bool), Field(ge=1, le=65535)]
TopicPrefix = Annotated[str, AfterValidator(_topic_chars)]
KafkaName = Annotated[str, AfterValidator(_kafka_name)]
FieldPath = Annotated[str, AfterValidator(_field_path)]
Listen = Annotated[str, AfterValidator(_listen)]
Bootstrap = Annotated[str, AfterValidator(_bootstrap)]
Cidr = Annotated[IPv4Network | IPv6Network, PlainValidator(_cidr), PlainSerializer(str, return_type=str)]
HostGlob = Annotated[str, AfterValidator(_host_glob)]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url), PlainSerializer(_show_proxy_url, return_type=str)]
StartFrom = Annotated[
    Literal["latest", "earliest"] | datetime,
    PlainValidator(_start_from),
    PlainSerializer(_show_start_from, return_type=str),
]
ReadableFile = Annotated[Path, AfterValidator(_readable_file)]
Directory = Annotated[Path, AfterValidator(_directory)]
Callback = Annotated[str, AfterValidator(_callback)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
SecretHeaders = Annotated[
    dict[str, SecretStr],
    PlainValidator(_secret_headers),
    PlainSerializer(lambda headers: dict.fromkeys(headers, HIDDEN), return_type=dict),
]
Secret = Annotated[SecretStr, PlainSerializer(lambda _: HIDDEN, return_type=str)]
KeyEntry = Annotated[SecretStr, AfterValidator(_key_entry), PlainSerializer(_show_key_entry, return_type=str)]
Properties = Annotated[
    dict[str, PropertyValue], PlainValidator(_properties), PlainSerializer(_show_properties, return_type=dict)
]
