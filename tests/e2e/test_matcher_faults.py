"""What may happen to a running matcher from outside, and that no event is lost by it in silence."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from processor.kafka.records import Position
from tests.support.brokers import Broker
from tests.support.java_broker import JavaBroker
from tests.support.matching import MatcherSite, Place, event
from tests.support.offsets import delete_before
from tests.support.processes import Spawn
from tests.support.raw_headers import library, produce_with_header
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[MatcherSite]:
    with MatcherSite(broker.bootstrap, prefix) as site:
        site.put_rule(1)
        yield site


def test_a_stop_while_events_wait_for_the_rules_commits_none_of_them(site: MatcherSite, spawn: Spawn) -> None:
    matcher = site.start(spawn).wait_ready()
    transaction = Producer(
        {"bootstrap.servers": site.bootstrap, "transactional.id": f"{site.prefix}somebody", "log_level": 0}
    )
    transaction.init_transactions(30)
    transaction.begin_transaction()
    transaction.produce(site.topics.rules, key=b"99", value=b"{}")
    transaction.flush(30)
    places = [site.append_at_once(event()) for _ in range(3)]
    matcher.wait_log("events wait for the rule table")
    assert matcher.stop() == 0
    assert site.fired() == []

    transaction.abort_transaction(30)
    site.start(spawn)
    site.wait_jobs(places)
    assert sorted(site.fired()) == [(place, 1) for place in places]


@pytest.mark.parametrize("when", ["while it is stopped", "while it runs"])
def test_events_deleted_before_they_were_read_are_counted_and_the_rest_is_read(
    site: MatcherSite, spawn: Spawn, when: str
) -> None:
    matcher = site.start(spawn).wait_ready()
    first = [site.append_at_once(event()) for _ in range(5)]
    site.wait_jobs(first)
    site.wait_drained()

    if when == "while it runs":
        matcher.freeze()
        first.append(site.append_at_once(event()))  # answers the fetch that is under way
    else:
        assert matcher.stop() == 0
    later = site.append([event() for _ in range(20)])
    delete_before(site.bootstrap, Position(site.event_topic, 0), later[15].offset)
    if when == "while it runs":
        matcher.thaw()
    else:
        matcher = site.start(spawn)

    site.wait_jobs(later[15:])
    assert sorted(site.fired()) == [(place, 1) for place in [*first, *later[15:]]]
    line = matcher.wait_log("records were deleted before they were read")
    assert '"lost": 15' in line
    assert matcher.metric("tocsin_events_lost_total") == 15
    matcher.wait_ready()


@pytest.mark.skipif(library() is None, reason="needs the client's wheel, which has librdkafka in it")
def test_a_header_with_a_name_that_is_not_utf8_costs_the_headers_alone(
    site: MatcherSite, spawn: Spawn
) -> None:
    matcher = site.start(spawn).wait_ready()
    for value in (event(), b"{"):
        produce_with_header(site.bootstrap, site.event_topic, value, b"caf\xe9")
    last = site.append_at_once(event())
    site.wait_jobs([Place(site.event_topic, 0, 0), last])
    site.wait_for(site.letters, what="the dead letter")
    assert len(site.fired()) == 2
    assert matcher.returncode is None


@pytest.mark.soak
def test_while_no_broker_answers_a_matcher_waits_alive_and_then_goes_on(
    own_broker: Broker, prefix: str, spawn: Spawn
) -> None:
    """Longer than the watchdog's limit, and than any sign of life may be missing."""
    if not isinstance(own_broker, JavaBroker):
        pytest.skip("only the broker that is a child process can be frozen")
    with MatcherSite(own_broker.bootstrap, prefix) as site:
        site.put_rule(1)
        matcher = site.start(spawn).wait_ready()
        site.wait_jobs([site.append_at_once(event())])
        feeder = Producer(
            {"bootstrap.servers": site.bootstrap, "log_level": 0, "linger.ms": 0, "enable.idempotence": True}
        )
        feeder.produce(site.event_topic, event())
        feeder.poll(0.01)
        own_broker.pause()
        began = time.monotonic()
        unready = False

        def long_enough() -> bool:
            nonlocal unready
            status, checks = matcher.get("/healthz")
            assert status == 200, checks
            unready = unready or matcher.get("/readyz")[0] == 503
            return time.monotonic() - began > 75

        wait_until(long_enough, 90, "75 s without a broker", every=0.5)
        assert unready
        own_broker.resume()
        assert feeder.flush(60) == 0
        place = site.append_at_once(event())
        site.wait_jobs([place], 60)
        matcher.wait_ready()
        assert len(site.fired()) == len(set(site.fired())) == 3
        assert matcher.stop() == 0
