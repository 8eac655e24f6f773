"""`tocsin run matcher|sender|admin|scanner|all`: the roles, as services of one process."""

from __future__ import annotations

import argparse
import gc
import logging
from collections.abc import Callable, Mapping

from processor import __version__
from processor.cli.parser import Subparsers
from processor.lifecycle import Service, run_services
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.observability.server import TelemetryServer
from processor.observability.tracing import open_tracing
from processor.rules.service import RulesService
from processor.settings import Settings, SettingsError

log = logging.getLogger(__name__)

NO_TOKENS = "nobody could use the API without a token; set at least one, or admin.tokens_file"

ROLES = {
    "matcher": "match events against the rules and write webhook jobs",
    "sender": "send webhook jobs, retry and dead-letter them",
    "admin": "serve the admin API: rules and deliveries over HTTP",
    "scanner": "tail container logs and files, and turn hits into events",
    "all": "matcher, sender and, where it has tokens, admin in one process, for small installations",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add `run` with a word for each role."""
    parser = subparsers.add_parser("run", help="run a role until SIGTERM or SIGINT, then drain")
    roles = parser.add_subparsers(dest="role", metavar="|".join(ROLES), required=True)
    for role, summary in ROLES.items():
        one = roles.add_parser(role, help=summary)
        if role == "scanner":
            one.add_argument(
                "--file",
                metavar="PATH|-",
                help="read this file or standard input to its end instead of scanner.sources, and end",
            )


GC_THRESHOLDS = (50_000, 20, 100)
"""Jobs and records live for a moment or for minutes and hardly ever form cycles: with the interpreter's own
thresholds the search for cycles took a fifth of a busy role's CPU.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run until a signal or a failure; 0 when drained after a signal."""
    if args.role == "admin" and not settings.admin.has_tokens:
        raise SettingsError(f'admin.tokens (not set): {NO_TOKENS}, such as {{"ops": "TOKEN"}}')
    gc.freeze()  # what has been imported stays
    gc.set_threshold(*GC_THRESHOLDS)
    metrics, health = Metrics(__version__), Health()
    if args.role == "scanner":
        return _scanner(args, settings, metrics, health)
    tracing = open_tracing(settings, args.role, __version__)
    rules = RulesService(settings, args.role, metrics, health)
    roles: list[Service] = []
    about = {"role": args.role, "version": __version__}
    parts: list[Callable[[], Mapping[str, object]]] = [lambda: about, rules.status]
    if args.role in ("matcher", "all"):
        from processor.matching.service import Matcher

        roles.append(Matcher(settings, rules.live, metrics, health, tracing))
    sender_status: Callable[[], Mapping[str, object]] | None = None
    if args.role in ("sender", "all"):
        from processor.delivery.service import Sender

        sender = Sender(settings, rules.live, metrics, health, tracing)
        sender_status = sender.status
        parts.append(sender_status)
        roles.append(sender)
    if args.role in ("admin", "all") and settings.admin.has_tokens:
        from processor.admin.service import Admin

        roles.append(Admin(settings, rules.live, health, sender=sender_status))
    elif args.role == "all":
        log.info("the admin API is off", extra={"fields": {"reason": f"admin.tokens: {NO_TOKENS}"}})
    telemetry = TelemetryServer(
        settings.telemetry.listen,
        metrics,
        health,
        lambda: {k: v for part in parts for k, v in part().items()},
    )
    background: list[Service] = [telemetry, rules] if tracing is None else [telemetry, rules, tracing]
    return run_services(roles, settings, background=background)


def _scanner(args: argparse.Namespace, settings: Settings, metrics: Metrics, health: Health) -> int:
    from processor.scanning.service import Scanner
    from processor.scanning.sources.once import OneFile

    one_file = OneFile(args.file) if args.file is not None else None
    scanner = Scanner(settings, metrics, health, one_file)
    about = {"role": "scanner", "version": __version__}
    telemetry = TelemetryServer(
        settings.telemetry.listen, metrics, health, lambda: {**about, **scanner.status()}
    )
    return run_services([scanner], settings, background=[telemetry])
