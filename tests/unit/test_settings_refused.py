"""Refused settings: each mistake is one line with the setting, where it was set, and what it should be."""

import base64
import json
from pathlib import Path

import pytest

from processor.settings import SettingsError, load_settings

KEY = base64.b64encode(bytes(range(32))).decode()


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tocsin.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(environ: dict[str, str], path: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(path, environ)
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("TOCSIN_TOPICS__PREFIXX", "did you mean TOCSIN_TOPICS__PREFIX?"),
        ("TOCSIN_TOPIC__PREFIX", "did you mean TOCSIN_TOPICS__PREFIX?"),
        ("TOCSIN_CONSOLE__LISTEN", "unknown setting"),
        ("TOCSIN_topics__prefix", "unknown setting"),
        ("TOCSIN__KAFKA__SSL_CA", "did you mean TOCSIN_KAFKA__SSL_CA?"),
        ("TOCSIN_KAFKA__PROPERTIES__DEBUG", "did you mean TOCSIN_KAFKA__PROPERTIES?"),
        ("TOCSIN_MATCHER__EVENT_FIELDS", "it is a group, set TOCSIN_MATCHER__EVENT_FIELDS__SEVERITY,"),
        ("TOCSIN_QQQQ__ZZZZ", "docs/settings.md lists them all"),
    ],
)
def test_unknown_variable_is_named(variable: str, hint: str) -> None:
    line = refusal({variable: "x"})
    assert line.startswith(f"{variable}: unknown setting")
    assert hint in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("matchr: {}", "matchr ({}): unknown setting; did you mean matcher?"),
        (
            "matcher: {event_topic: [a]}",
            "matcher.event_topic ({}): unknown setting; did you mean matcher.event_topics?",
        ),
        (
            "sender: {tls: {certificat: x}}",
            "sender.tls.certificat ({}): unknown setting; did you mean sender.tls.certificate?",
        ),
        ("console: {listen: x}", "console ({}): unknown setting"),
        ("kafka: 5", "kafka ({}): must be a map of settings"),
        ("[1]", "{}: must be a map of settings"),
        ("topics: {prefix: a., prefix: b.}", "{}: prefix is there twice, the second time in line 1"),
        (
            "topics:\n\tprefix: a",
            "{}: not YAML in line 2: found character '\\t' that cannot start any token",
        ),
        ("topics: {partitions: }", "topics.partitions ({}): must be a whole number"),
        ("topics: {prefix: 7}", "topics.prefix ({}): must be text (in the file: in quotes)"),
        ("topics: {partitions: yes}", "topics.partitions ({}): must be a whole number"),
        ("sender: {timeout: 5}", "sender.timeout ({}): a duration is a whole number and one of"),
        ("sender: {retry_schedule: 5s}", "sender.retry_schedule ({}): must be a list"),
        (
            "matcher: {start_from: 2026-11-23T10:00:00}",
            "matcher.start_from ({}): must be latest, earliest or a time",
        ),
    ],
)
def test_mistake_in_the_file_is_named_with_the_file(tmp_path: Path, text: str, line: str) -> None:
    path = file_of(tmp_path, text)
    assert refusal({}, path).startswith(line.replace("{}", str(path)))


@pytest.mark.parametrize(
    "text",
    [
        "kafka: {sasl_password: *hunter2}",
        "kafka: {sasl_password: !hunter2 x}",
        "kafka: {sasl_password: [hunter2}",
    ],
)
def test_broken_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    line = refusal({}, file_of(tmp_path, text))
    assert "in line 1" in line
    assert "hunter2" not in line


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"topics: \xff\xfe")
    assert "not YAML in UTF-8" in refusal({}, path)
    path.write_text("matcher: {start_from: 2026-13-45}")
    assert str(path) in refusal({}, path)


def test_missing_file_is_named_with_who_asked_for_it(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert refusal({}, missing) == f"--config: can't read {missing}: No such file or directory"
    assert refusal({"TOCSIN_CONFIG": str(missing)}).startswith(f"TOCSIN_CONFIG: can't read {missing}")
    assert refusal({"TOCSIN_TOPICS__PREFIX_FILE": str(missing)}).startswith(
        f"topics.prefix (TOCSIN_TOPICS__PREFIX_FILE): can't read {missing}"
    )


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [
        ("kafka.bootstrap_servers", "", "must be host:port"),
        ("kafka.bootstrap_servers", "a:9092,,b:9092", "must be host:port"),
        ("kafka.bootstrap_servers", "a:0", "must be host:port"),
        ("kafka.bootstrap_servers", "a:99999", "must be host:port"),
        ("kafka.security_protocol", "SSL", "must be 'plaintext', 'ssl', 'sasl_plaintext' or 'sasl_ssl'"),
        ("kafka.properties", "x", "must be JSON"),
        ("kafka.properties", "[]", "must be a map"),
        (
            "kafka.properties",
            '{"debug": null}',
            "the property debug must be text, a number, true or false",
        ),
        ("topics.prefix", "a/b", "may only hold letters"),
        ("topics.prefix", "a" * 230, "is too long"),
        ("topics.partitions", "0", "must be 1 or more (got '0')"),
        ("topics.partitions", "six", "must be a whole number (got 'six')"),
        ("topics.replication_factor", "0", "must be 1 or more"),
        ("matcher.event_topics", "event-log", "must be JSON"),
        ("matcher.event_topics", "[" * 100_000, "must be JSON"),
        ("matcher.event_topics", "[]", "must not be empty"),
        ("matcher.event_topics", '["a", "a"]', "a is there twice"),
        ("matcher.event_fields.message", "a..b", "must be a dotted path"),
        ("matcher.start_from", "beginning", "must be latest, earliest or a time such as"),
        ("matcher.start_from", "2026-11-23", "must be latest, earliest or a time such as"),
        ("matcher.start_from", "2026-13-23T10:00:00Z", "must be latest, earliest or a time such as"),
        ("matcher.instance_id", "pod 1", "may only hold letters"),
        ("matcher.replay_epoch", "-1", "must be 0 or more"),
        ("matcher.guarantee", "maybe", "must be 'exactly_once' or 'at_least_once'"),
        ("matcher.rules_max_wait", "0s", "must be longer than 0s"),
        ("sender.retry_schedule", "[]", "must not be empty"),
        ("sender.retry_schedule", '["15d"]', "15d is too long: 14d at most"),
        ("sender.timeout", "0s", "must be longer than 0s"),
        ("sender.connect_timeout", "5", "a duration is a whole number and one of"),
        ("sender.max_in_flight", "0", "must be 1 or more"),
        ("sender.destination_concurrency", "0", "must be 1 or more"),
        ("sender.circuit.window", "0s", "must be longer than 0s"),
        ("sender.circuit.failure_share", "0", "must be a number above 0, at most 1 (got '0')"),
        ("sender.circuit.failure_share", "50%", "must be a number above 0, at most 1 (got '50%')"),
        ("sender.circuit.failure_share", "1.01", "must be a number above 0, at most 1"),
        ("sender.circuit.failure_share", "nan", "must be a number above 0, at most 1"),
        ("sender.circuit.backoff_max", "0s", "must be longer than 0s"),
        ("sender.egress.proxy", "proxy:3128", "must be a URL without a path such as http://proxy.internal"),
        ("sender.egress.proxy", "socks5://proxy:1080", "must be a URL without a path"),
        ("sender.egress.proxy", "http://proxy:3128/x", "must be a URL without a path"),
        ("sender.egress.proxy", "http://proxy:3128?x", "must be a URL without a path"),
        ("sender.egress.proxy", "http://proxy:3128#x", "must be a URL without a path"),
        ("sender.egress.proxy", "http://:3128", "must be a URL without a path"),
        ("sender.egress.proxy", "http://proxy:0", "must be a URL without a path"),
        ("sender.egress.proxy", "http://proxy:99999", "must be a URL without a path"),
        ("sender.egress.proxy", "http://:word@proxy", "must be a URL without a path"),
        ("sender.egress.proxy", "http://pro xy", "must be a URL without a path"),
        ("sender.egress.proxy", "http://a%3Ab:c@proxy", "holds a colon in the user name"),
        ("sender.egress.proxy", "http://a:b%0Ac@proxy", "or a control character"),
        ("sender.tls.ca", "/none.pem", "can't read /none.pem"),
        ("secrets.directory", "/none", "there is no directory /none"),
        ("telemetry.listen", "9464", "must be host:port"),
        ("telemetry.listen", ":9464", "must be host:port"),
        ("telemetry.listen", "::1:9464", "must be host:port"),
        ("telemetry.listen", "0.0.0.0:70000", "must be host:port"),
        ("telemetry.otlp_endpoint", "collector:4318", "must be a URL such as http://collector:4318"),
        ("telemetry.otlp_endpoint", "http://u:p@collector:4318", "without user name and query"),
        ("telemetry.otlp_endpoint", "http://collector:4318?k=v", "without user name and query"),
        ("telemetry.otlp_endpoint", "grpc://collector:4317", "must be a URL such as http://collector:4318"),
        ("telemetry.otlp_headers", "Authorization=x", "must be JSON"),
        ("telemetry.otlp_headers", "[]", "must be a map of header names to values"),
        ("telemetry.otlp_headers", '{"a b": "x"}', "a header's name must be text"),
        ("telemetry.otlp_headers", '{"a": 1}', "the header a must be text in ASCII, without line breaks"),
        ("telemetry.otlp_ca", "/none.pem", "can't read /none.pem"),
        ("telemetry.trace_share", "0", "must be a number above 0, at most 1"),
        ("process.shutdown_timeout", "0s", "must be longer than 0s"),
        ("logging.level", "trace", "must be 'debug', 'info', 'warning' or 'error' (got 'trace')"),
    ],
)
def test_wrong_value_is_named_with_its_variable(setting: str, text: str, words: str) -> None:
    variable = "TOCSIN_" + setting.upper().replace(".", "__")
    line = refusal({variable: text})
    assert line.startswith(f"{setting} ({variable}): ")
    assert words in line


@pytest.mark.parametrize(
    ("setting", "items", "words"),
    [
        ("matcher.event_topics", ["ok", "not ok"], "may only hold letters"),
        ("matcher.event_topics", ["ok", 5], "must be text"),
        ("sender.retry_schedule", ["5s", "0s"], "must be longer than 0s"),
        ("sender.egress.allow_cidrs", ["10.0.0.0/8", "10.0.0.1/8"], "write 10.0.0.0/8"),
        ("sender.egress.allow_cidrs", ["::/0", "fd00::/129"], "must be an address range"),
        ("sender.egress.allow_cidrs", ["::/0", 10], "must be an address range"),
        ("sender.egress.allow_hosts", ["*.internal", "http://x"], "no scheme or port"),
        ("sender.egress.allow_ports", [443, 0], "must be 1 or more"),
        ("sender.egress.allow_ports", [443, 65536], "must be 65535 or less"),
        ("secrets.keys", [f"k1:{KEY}", KEY], "must be id:base64-of-32-bytes"),
        ("secrets.keys", [f"k1:{KEY}", "k2:AAAA"], "key k2: must be 32 bytes in base64, not 3"),
        ("secrets.keys", [f"k1:{KEY}", "k2:???"], "key k2: what follows the colon is not base64"),
    ],
)
def test_wrong_item_of_a_list_is_named_by_its_place(setting: str, items: list[object], words: str) -> None:
    variable = "TOCSIN_" + setting.upper().replace(".", "__")
    line = refusal({variable: json.dumps(items)})
    assert line.startswith(f"{setting}[1] ({variable}): ")
    assert words in line


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("bootstrap.servers", "set kafka.bootstrap_servers instead"),
        ("metadata.broker.list", "set kafka.bootstrap_servers instead"),
        ("sasl.password", "set kafka.sasl_password instead"),
        ("sasl.mechanisms", "set kafka.sasl_mechanism instead"),
        ("ssl.ca.location", "set kafka.ssl_ca instead"),
        ("client.id", "set topics.prefix instead"),
        ("group.id", "set topics.prefix instead"),
        ("group.instance.id", "set matcher.instance_id or sender.instance_id instead"),
        ("transactional.id", "set matcher.instance_id or sender.instance_id instead"),
        ("auto.offset.reset", "set matcher.start_from instead"),
        ("group.protocol", "can't be changed"),
        ("partitioner", "can't be changed"),
        ("acks", "can't be changed"),
        ("request.required.acks", "can't be changed"),
        ("enable.idempotence", "can't be changed"),
        ("transaction.timeout.ms", "can't be changed"),
        ("isolation.level", "can't be changed"),
        ("partition.assignment.strategy", "can't be changed"),
        ("enable.auto.commit", "can't be changed"),
        ("enable.auto.offset.store", "can't be changed"),
        ("enable.partition.eof", "can't be changed"),
        ("message.max.bytes", "can't be changed"),
    ],
)
def test_property_that_would_break_a_guarantee_is_refused_by_name(name: str, instead: str) -> None:
    line = refusal({"TOCSIN_KAFKA__PROPERTIES": json.dumps({"debug": "all", name: "hunter2"})})
    assert line.startswith(f"kafka.properties (TOCSIN_KAFKA__PROPERTIES): {name} ")
    assert instead in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"SECURITY_PROTOCOL": "sasl_ssl"},
            "kafka.sasl_mechanism (not set): is needed with security_protocol sasl_ssl",
        ),
        (
            {"SECURITY_PROTOCOL": "sasl_ssl", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "u"},
            "kafka.sasl_password (not set): is needed with sasl_mechanism PLAIN; set it in the file",
        ),
        ({"SASL_USERNAME": "u"}, "kafka.sasl_username (TOCSIN_KAFKA__SASL_USERNAME): has no effect"),
        ({"SSL_CA": __file__}, "kafka.ssl_ca (TOCSIN_KAFKA__SSL_CA): has no effect"),
        (
            {"SECURITY_PROTOCOL": "ssl", "SSL_CERTIFICATE": __file__},
            "kafka.ssl_key (not set): is needed too",
        ),
        (
            {"SECURITY_PROTOCOL": "ssl", "SSL_KEY": __file__},
            "kafka.ssl_certificate (not set): is needed too",
        ),
    ],
)
def test_kafka_settings_that_do_not_fit_together(environ: dict[str, str], line: str) -> None:
    assert refusal({f"TOCSIN_KAFKA__{name}": text for name, text in environ.items()}).startswith(line)


def test_sasl_without_a_password_is_fine_where_the_mechanism_needs_none() -> None:
    environ = {
        "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
        "TOCSIN_KAFKA__SASL_MECHANISM": "GSSAPI",
    }
    assert load_settings(None, environ).kafka.sasl_mechanism == "GSSAPI"


def test_receiver_key_without_certificate_is_refused() -> None:
    line = refusal({"TOCSIN_SENDER__TLS__KEY": __file__})
    assert line.startswith("sender.tls.certificate (not set): is needed too")


def test_same_key_id_twice_is_refused() -> None:
    line = refusal({"TOCSIN_SECRETS__KEYS": json.dumps([f"k1:{KEY}", f"k1:{KEY}"])})
    assert line == "secrets.keys (TOCSIN_SECRETS__KEYS): the id k1 is there twice; every key needs its own"


@pytest.mark.parametrize(
    "output",
    [
        "trigger-rules",
        "webhook-jobs",
        "webhook-jobs.retry.10m",
        "webhook-jobs.retry.3m",
        "webhook-jobs.dead",
        "webhook-deliveries",
        "events.dead",
    ],
)
def test_output_as_event_topic_is_refused(output: str) -> None:
    line = refusal({"TOCSIN_MATCHER__EVENT_TOPICS": json.dumps(["event-log", f"tocsin.{output}"])})
    assert line.startswith(
        f"matcher.event_topics (TOCSIN_MATCHER__EVENT_TOPICS): tocsin.{output} is a topic that"
    )


def test_several_mistakes_make_one_line_that_counts_them() -> None:
    line = refusal(
        {"TOCSIN_TOPICS__PARTITIONS": "0", "TOCSIN_LOGGING__LEVEL": "x", "TOCSIN_SENDER__TIMEOUT": "y"}
    )
    assert line.endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TOCSIN_SECRETS__KEYS", '["hunter2"]'),
        ("TOCSIN_SECRETS__KEYS", '["k:hunter2"]'),
        ("TOCSIN_SECRETS__KEYS", "hunter2"),
        ("TOCSIN_SECRETS__KEYS", '{"k1": "hunter2"}'),
        ("TOCSIN_KAFKA__PROPERTIES", '{"ssl.key.password": ["hunter2"]}'),
        ("TOCSIN_KAFKA__SASL_PASSWORD", "hunter2"),
        ("TOCSIN_KAFKA__SASL_PASWORD", "hunter2"),
        ("TOCSIN_TELEMETRY__OTLP_HEADERS", '{"a": "hunter2\\n"}'),
        ("TOCSIN_TELEMETRY__OTLP_HEADERS", '{"hunter2 ": "x"}'),
        ("TOCSIN_TELEMETRY__OTLP_ENDPOINT", "http://u:hunter2@collector"),
        ("TOCSIN_SENDER__EGRESS__PROXY", "ftp://u:hunter2@proxy"),
        ("TOCSIN_SENDER__EGRESS__PROXY", "http://u:hunter2@[proxy"),
        ("TOCSIN_SENDER__EGRESS__PROXY", "http://u:hunter2@proxy:port"),
        ("TOCSIN_SENDER__EGRESS__PROXY", "http://u:hunter2%0A@proxy"),
    ],
)
def test_refusal_never_quotes_a_secret(variable: str, text: str) -> None:
    assert "hunter2" not in refusal({variable: text})


def test_variable_and_its_file_together_are_refused() -> None:
    line = refusal({"TOCSIN_TOPICS__PREFIX": "a.", "TOCSIN_TOPICS__PREFIX_FILE": "/x"})
    assert line.startswith("topics.prefix (TOCSIN_TOPICS__PREFIX_FILE): TOCSIN_TOPICS__PREFIX is set as well")
