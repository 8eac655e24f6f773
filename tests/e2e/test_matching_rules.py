"""The rules of matching on a real broker: each row of the table is a rule and an event of its own."""

import json
from collections.abc import Iterator

import pytest

from tests.support.brokers import Broker
from tests.support.matching import MatcherSite, place_of, rule_of
from tests.support.matching_table import MATCHING, PLAIN_EVENT
from tests.support.processes import Spawn


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[MatcherSite]:
    with MatcherSite(broker.bootstrap, prefix, partitions=2) as site:
        yield site


def test_every_row_of_the_table(site: MatcherSite, spawn: Spawn) -> None:
    """All rules are there at once, bad ones among them, and none stops another."""
    for rule_id, (name, rule, _, _) in enumerate(MATCHING, start=1):
        site.put_rule(rule_id, **{"name": name, **rule})
    values = [json.dumps({**PLAIN_EVENT, **event}).encode() for _, _, event, _ in MATCHING]
    matcher = site.start(spawn).wait_ready()
    places = site.append(values)

    rows = list(zip(places, MATCHING, strict=True))
    expected = {(place, rule_id) for rule_id, (place, row) in enumerate(rows, start=1) if row[3]}
    site.wait_drained()
    site.wait_for(lambda: expected <= set(site.fired()), what="a job of every row that fires")
    own = {(place, rule_id) for rule_id, (place, _) in enumerate(rows, start=1)}
    assert {MATCHING[rule - 1][0] for _, rule in (own & set(site.fired())) - expected} == set()
    invalid = sum(name.endswith("fires nothing") for name, _, _, _ in MATCHING)
    assert matcher.metric("tocsin_rules", status="invalid") == invalid
    assert matcher.metric("tocsin_rules", status="valid") == len(MATCHING) - invalid


def test_unknown_fields_reach_the_body_byte_for_byte(site: MatcherSite, spawn: Spawn) -> None:
    site.put_rule(7, name='sh"op <&> \u00e9')
    site.start(spawn).wait_ready()
    value = b'{ "b" : 1.50 ,"severity":"error","a":{"x":[1e5, -0.0,true,null]},"u":"\\u00e9\\/" }'
    (place,) = site.append([value])
    (job,) = [job for job in site.wait_jobs([place]) if place_of(job) == place]

    head = '{"type":"event_trigger","trigger_id":7,"trigger_name":"sh\\"op <&> é","event":'.encode()
    assert rule_of(job) == 7
    assert job.value is not None
    assert job.value.startswith(head + value + b',"timestamp":"')
    assert json.loads(job.value)["timestamp"].endswith("Z")
