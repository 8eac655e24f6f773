"""The admin API as a service: makes its parts from the settings, and owns the event loop and the threads."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from processor.admin import operations
from processor.admin.deliveries import MOST_LOOKUPS, Deliveries
from processor.admin.describing import Description
from processor.admin.following import Following
from processor.admin.index import DeliveryIndex
from processor.admin.known import Known
from processor.admin.operations import OPERATIONS
from processor.admin.protocol import Protocol
from processor.admin.rules import RuleRoutes
from processor.admin.scan_side import ScanSide
from processor.admin.server import Gate, Handler, Limits, headers_of_all, make_app
from processor.admin.status import Status
from processor.admin.targets import TargetCheck
from processor.admin.tokens import CurrentTokens
from processor.admin.trying import Trying
from processor.admin.writing import RuleWriter
from processor.delivery.http import Poster
from processor.delivery.proxy import Proxy
from processor.delivery.resolver import ThreadResolver
from processor.delivery.tls import TlsError, tls_context
from processor.egress import EgressPolicy
from processor.events import EventDecoder, EventFields
from processor.kafka.readiness import RightsReport
from processor.lifecycle import Deadline, Refused
from processor.observability.health import Health
from processor.observability.listening import listen_on, shown_address
from processor.rules.changes import Rehearsal, Writer
from processor.rules.live import LiveRules
from processor.rules.references import References
from processor.rules.resolve import Resolver
from processor.rules.sealing import KeyRing
from processor.rules.store import RuleStore
from processor.settings import Settings
from processor.settings_admin import AdminTlsSettings
from processor.settings_values import parse_host_port

log = logging.getLogger(__name__)

ROLE: Final = "admin"

LOOP_MAX_AGE: Final = 60.0
"""Seconds the event loop may go without a turn."""

STORE_TIMEOUT: Final = timedelta(seconds=10)
"""How long a write may take before it is given up."""

KEEP_ALIVE: Final = 75.0
"""Seconds an idle connection is kept."""

_REMEDY: Final = "choose another address (port 0 takes a free port)"
_BACKLOG = 128
_BEAT_EVERY = 1.0
_DRAIN_SHARE = 0.8


class Admin:
    """Serves the API on a thread of its own. Any number of processes may do so side by side."""

    def __init__(
        self,
        settings: Settings,
        rules: LiveRules,
        health: Health,
        *,
        sender: Callable[[], Mapping[str, object]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`rules` is started and stopped by whoever made it; `sender` tells of the sender in this process.

        Opens no connection yet. Raises Refused where the tokens file or a certificate can't be used.
        """
        self._settings = settings
        self._rules = rules
        self._tokens = CurrentTokens(settings.admin, time.monotonic)
        self._limits = limits or Limits()
        self._tls = _tls(settings.admin.tls)
        self._towards_receivers = _towards_receivers(settings)
        self._sender = sender
        self._index = DeliveryIndex()
        self._following = Following(settings, self._index)
        self._rights = RightsReport(settings, ROLE)
        self._executor = ThreadPoolExecutor(MOST_LOOKUPS, thread_name_prefix="admin-lookup")
        self._endpoint = parse_host_port(settings.admin.listen)
        self._beats = health.heartbeat("admin.loop", LOOP_MAX_AGE)
        self._listens = health.condition("admin.listening")
        health.ask("admin.table", lambda: rules.state()[2])
        writer = Writer.of(settings, ROLE)
        self._writer = RuleWriter(
            RuleStore(settings, writer, timeout=STORE_TIMEOUT),
            rules,
            lambda snapshot: Rehearsal(snapshot, writer),
        )
        self._scanning = ScanSide(settings, ROLE, writer, health, STORE_TIMEOUT)
        self._address: str | None = None
        self._stopping: Future[None] = Future()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    @property
    def name(self) -> str:
        """For logs."""
        return ROLE

    @property
    def address(self) -> str | None:
        """`host:port` as it is listened on, None before start()."""
        return self._address

    @property
    def failed(self) -> BaseException | None:
        """Why it ended by itself, if it did."""
        return self._failed or self._writer.failed or self._following.failed or self._scanning.failed

    def start(self) -> None:
        """Open the port and answer on it. Blocks for milliseconds. Raises Refused if it can't be had."""
        listener = listen_on("admin.listen", *self._endpoint, _REMEDY)
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(listener, started), name=ROLE, daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            listener.close()
            raise
        self._writer.start()
        self._following.start()
        self._rights.start()
        self._scanning.start()
        self._address = shown_address(listener.getsockname())
        self._listens.met()
        log.info("listening", extra={"fields": {"address": self._address, "tls": self._tls is not None}})

    def stop(self, deadline: Deadline) -> None:
        """Answer what has been asked, take nothing more, by the deadline."""
        if self._thread is None:
            return
        self._listens.failed("draining")
        if not self._stopping.done():
            self._stopping.set_result(None)
        self._thread.join(deadline.remaining())
        self._following.stop(deadline.remaining())
        self._rights.stop(deadline.remaining())
        self._writer.stop(deadline.remaining())
        self._scanning.stop(deadline)
        if self._thread.is_alive():
            raise TimeoutError("the admin API did not drain in time")

    def _run(self, listener: socket.socket, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listener, started))
        except BaseException as failure:  # noqa: BLE001 - handed on: to start() or, later, to lifecycle
            if started.done():
                self._failed = failure
            else:
                started.set_exception(failure)

    async def _serve(self, listener: socket.socket, started: Future[None]) -> None:
        async with self._poster() as poster:
            await self._answer(listener, started, self._handlers(poster))

    async def _answer(
        self, listener: socket.socket, started: Future[None], handlers: Mapping[str, Handler]
    ) -> None:
        tls = self._tls is not None
        app = make_app(OPERATIONS, handlers, Gate(self._tokens, self._limits), tls=tls)
        # For what is being answered; the rest of the time is the writing thread's.
        draining = _DRAIN_SHARE * self._settings.process.shutdown_timeout.total_seconds()
        runner = web.AppRunner(app, shutdown_timeout=draining)
        await runner.setup()
        if (manager := runner.server) is None:
            raise RuntimeError("the application has no server")
        loop, headers = asyncio.get_running_loop(), headers_of_all(tls=tls)

        def connected() -> Protocol:
            return Protocol(
                manager,
                headers,
                loop=loop,
                access_log=None,
                logger=_http_log(),
                keepalive_timeout=KEEP_ALIVE,
            )

        beating = asyncio.create_task(self._beat())
        try:
            server = await loop.create_server(connected, sock=listener, ssl=self._tls, backlog=_BACKLOG)
            try:
                started.set_result(None)
                await asyncio.wrap_future(self._stopping)
            finally:
                server.close()
        finally:
            await runner.cleanup()
            beating.cancel()
            self._beats.rest()
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def _beat(self) -> None:
        while True:
            self._beats.beat(time.monotonic())
            await asyncio.sleep(_BEAT_EVERY)

    def _poster(self) -> Poster:
        sender = self._settings.sender
        proxy = sender.egress.proxy
        return Poster(
            EgressPolicy.of(sender.egress),
            self._towards_receivers,
            timeout=sender.timeout.total_seconds(),
            connect_timeout=sender.connect_timeout.total_seconds(),
            proxy=None if proxy is None else Proxy.read(proxy.get_secret_value()),
        )

    def _handlers(self, poster: Poster) -> Mapping[str, Handler]:
        settings = self._settings
        targets = TargetCheck(
            EgressPolicy.of(settings.sender.egress),
            ThreadResolver(),
            time.monotonic,
            by_proxy=settings.sender.egress.proxy is not None,
        )
        rules = RuleRoutes(self._rules, self._writer, targets)
        paths = settings.matcher.event_fields.model_dump()
        trying = Trying(
            self._rules,
            poster,
            Resolver(KeyRing.of(settings), References(os.environ, settings.secrets.directory)),
            EventDecoder(EventFields(**paths)),
            paths,
        )
        held = (self._index, self._following, self._executor)
        known = Known(settings, self._rules, *held, self._scanning.rules, self._scanning.reports)
        deliveries = Deliveries(known)
        status = Status(known, sender=self._sender)
        about = Description()
        return {
            operations.TEST_RULE.id: trying.test_rule,
            operations.TRY_DRAFT.id: trying.try_draft,
            operations.LIST_DELIVERIES.id: deliveries.list,
            operations.GET_DELIVERY.id: deliveries.get,
            operations.REDELIVER.id: deliveries.redeliver,
            operations.STATUS.id: status.get,
            operations.LIST_RULES.id: rules.list,
            operations.CREATE_RULE.id: rules.create,
            operations.GET_RULE.id: rules.get,
            operations.REPLACE_RULE.id: rules.replace,
            operations.PATCH_RULE.id: rules.patch,
            operations.DELETE_RULE.id: rules.delete,
            operations.OPENAPI.id: about.openapi,
            operations.DOCS.id: about.docs,
            **self._scanning.handlers(),
        }


def _tls(settings: AdminTlsSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An encrypted key would make OpenSSL ask on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        name = "admin.tls.certificate" + (" or admin.tls.key" if settings.key is not None else "")
        raise Refused(f"{name}: {settings.certificate} can't be used: {error}") from None
    return context


def _towards_receivers(settings: Settings) -> ssl.SSLContext:
    tls = settings.sender.tls
    try:
        return tls_context(tls.ca, tls.certificate, tls.key)
    except TlsError as error:
        raise Refused(str(error)) from None


def _no_password() -> str:
    raise ValueError("the private key is encrypted; give it without a password")


def _http_log() -> logging.Logger:
    """aiohttp's own words, without a traceback for each client that does not speak HTTP."""
    logger = logging.getLogger("processor.admin.http")
    if not logger.filters:
        logger.addFilter(lambda r: not (r.exc_info and isinstance(r.exc_info[1], HttpProcessingError)))
    return logger
