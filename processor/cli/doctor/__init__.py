"""`tocsin doctor`: whether Tocsin can work here, and what stands in its way.

Looks at the connection, the rights, transactions, the topics and the newest events, and changes nothing (it
claims one transactional id of its own). cluster.py and events.py have the looks; each finding is a line.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from processor.cli.doctor.cluster import look_at_rights, look_at_topics, look_at_transactions
from processor.cli.doctor.events import look_at_events
from processor.cli.doctor.finding import Finding
from processor.cli.errors import DONE, CommandFailed
from processor.cli.output import add_output_flag, print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.waiting import add_timeout_flag
from processor.kafka.cluster import Cluster
from processor.kafka.connection import Obstacle, Unreachable, connect
from processor.kafka.errors import KafkaFailure
from processor.settings import KafkaSettings, Settings

_COLUMNS: Final = ("status", "check", "subject", "reason", "remedy")
_MOST: Final = 10_000
_REMEDIES: Final[dict[Obstacle, str]] = {
    "refused": "set kafka.bootstrap_servers to brokers that run, or start them",
    "name": "correct the host's name in kafka.bootstrap_servers, or its DNS",
    "login": "correct kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism",
    "tls": "correct kafka.ssl_ca (and ssl_certificate, ssl_key), or kafka.security_protocol",
    "silence": "look at kafka.bootstrap_servers and the firewall in between, and whether"
    " kafka.security_protocol is what that port speaks",
}


def _remedy(obstacle: Obstacle, kafka: KafkaSettings) -> str:
    if obstacle == "login" and kafka.sasl_mechanism == "OAUTHBEARER":
        if kafka.oauth_callback is not None:
            return f"look at the log lines of kafka.oauth_callback ({kafka.oauth_callback})"
        return "correct kafka.oauth_token_endpoint, oauth_client_id, oauth_client_secret and oauth_scope"
    if obstacle == "silence" and "ssl" in kafka.security_protocol and kafka.ssl_certificate is None:
        # TLS 1.3 lets a broker hang up without a word where it wants a certificate.
        return f"{_REMEDIES[obstacle]}, or wants a client certificate (kafka.ssl_certificate, ssl_key)"
    return _REMEDIES[obstacle]


def add_parser(subparsers: Subparsers) -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="look at connection, rights, transactions, topics and the newest events",
        description="Says what is wrong and what to do about it, each on a line; exits 1 if anything is.",
    )
    parser.add_argument(
        "--sample",
        type=_size,
        default=200,
        metavar="N",
        help="events to look at in each topic (default: 200)",
    )
    add_output_flag(parser)
    add_timeout_flag(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the findings; CommandFailed when something is wrong."""
    findings = list(_look(args, settings))
    if args.output == "json":
        print_json([finding.to_json() for finding in findings])
    else:
        print_rows([finding.to_json() for finding in findings], _COLUMNS, args.output)
    if wrong := sum(finding.status == "wrong" for finding in findings):
        raise CommandFailed(f"wrong: {wrong} of {len(findings)} findings")
    return DONE


def _look(args: argparse.Namespace, settings: Settings) -> Iterator[Finding]:
    timeout = args.timeout.total_seconds()
    where = settings.kafka.bootstrap_servers
    try:
        cluster = connect(settings.kafka, settings.topics.name("doctor"), timeout)
    except Unreachable as failure:
        yield Finding("wrong", "connection", where, str(failure), _remedy(failure.obstacle, settings.kafka))
        return
    yield Finding("ok", "connection", where, f"cluster {cluster.cluster_id(timeout=timeout)}")
    looks: list[tuple[str, Callable[[Cluster], Iterable[Finding]]]] = [
        ("rights", lambda cluster: look_at_rights(settings, cluster, timeout)),
        ("transactions", lambda cluster: look_at_transactions(settings, cluster, timeout)),
        ("topics", lambda cluster: look_at_topics(settings, cluster)),
        ("events", lambda cluster: look_at_events(settings, cluster, args.sample, timeout)),
    ]
    lacking = False
    for check, look in looks:
        try:
            for finding in look(cluster):
                lacking |= finding.check == "rights" and finding.status == "wrong"
                yield finding
        except KafkaFailure as failure:
            if lacking:
                yield Finding("skipped", check, "", str(failure), "mend the rights first")
            else:
                yield Finding("wrong", check, "", str(failure), "look at the brokers' logs, and try again")


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {_MOST} (got {text[:40]!r})")
    return int(text)
