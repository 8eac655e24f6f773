"""`tocsin run matcher|sender|admin|all`: the roles, as services of one process."""

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
    "all": "matcher, sender and, where it has tokens, admin in one process, for small installations",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add `run` with a word for each role."""
    parser = subparsers.add_parser("run", help="run a role until SIGTERM or SIGINT, then drain")
    roles = parser.add_subparsers(dest="role", metavar="|".join(ROLES), required=True)
    for role, summary in ROLES.items():
        roles.add_parser(role, help=summary)


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
