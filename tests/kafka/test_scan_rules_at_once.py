"""Writes of scan rules that come at once and touch the same family: each is made, or refused for itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from processor.settings import Settings
from tests.support.admin import TOKENS, Answer, Api, serving
from tests.support.brokers import Broker
from tests.support.rules import rules_settings
from tests.support.scan_rules import fields
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

RULES = "/log-scan-rules"
FAMILIES = 12


@pytest.fixture
def api(broker: Broker, prefix: str) -> Iterator[Api]:
    for name in ("trigger-rules", "log-scan-rules", "scanner-status"):
        create_topic(broker.bootstrap, f"{prefix}{name}", 1, {"cleanup.policy": "compact"})
    given = rules_settings(broker.bootstrap, prefix).model_dump()
    given["admin"] = {"listen": "127.0.0.1:0", "tokens": TOKENS}
    with serving(Settings.model_validate(given)) as (served, _):
        wait_until(lambda: served.get(RULES).status == 200, 20, "the table is whole")
        yield served


def test_a_global_rule_is_deleted_while_its_overrides_are_changed(api: Api) -> None:
    families: list[tuple[int, int]] = []
    for number in range(FAMILIES):
        oom = api.post(RULES, fields(f"oom-{number}")).json["id"]
        mine = api.post(RULES, fields("mine", workload=f"w{number}", overrides=oom)).json["id"]
        families.append((oom, mine))

    def change(mine: int) -> Answer:
        return api.ask("PATCH", f"{RULES}/{mine}", {"severity": "fatal"})

    def delete(oom: int) -> Answer:
        return api.ask("DELETE", f"{RULES}/{oom}")

    with ThreadPoolExecutor(2 * FAMILIES) as pool:
        changes = [pool.submit(change, mine) for _, mine in families]
        deletions = [pool.submit(delete, oom) for oom, _ in families]
        answers = [one.result(60) for one in changes]
        assert {one.result(60).status for one in deletions} == {204}

    # Before the deletion it was changed; after it there was nothing left to change. Never anything between.
    assert {one.status for one in answers} <= {200, 404}
    assert api.get(RULES).json["items"] == []
