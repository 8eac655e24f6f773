"""How long rule changes hold the matcher's loop, in this process and without Kafka.

The table, what keeps the rule set as the table has it, and the compiler with its child are the matcher's;
only the topic is missing. Compiling goes on beside, as in a matcher.
"""

import json
import random
import time
from collections.abc import Callable

from benchmarks import workload
from benchmarks.ground import say
from benchmarks.matcher import TARGET
from benchmarks.report import Report, Target, ms, quantile
from benchmarks.scale import Scale
from processor.matching.building import ShardBuilder
from processor.matching.current import CurrentRules
from processor.matching.engine import RuleSet
from processor.patterns import Compiler
from processor.patterns.sets import SetCompiler
from processor.rules import RuleTable
from processor.rules.table import Changes
from tests.support.waiting import wait_until

HOLD_TARGET = 0.005
READY_TARGET = 15.0

CHANGES = 200
BETWEEN = 0.03
"""Seconds of a matcher's turns after each change, in which it takes in what has been compiled."""


class _Live:
    """The table as the matcher asks it."""

    def __init__(self, table: RuleTable) -> None:
        self.table = table
        self.next_offset = 0

    def changes(self, since: int) -> Changes:
        return self.table.changes(since)

    @property
    def version(self) -> int:
        return self.table.version

    def state(self) -> tuple[str | None, int, str | None]:
        return "id", self.next_offset, None

    def write(self, number: int, of: int, **more: str) -> None:
        value = json.dumps({**workload.rule(number, of, "open", TARGET), **more}).encode()
        self.table.apply(b"%d" % (number + 1), value, None, self.next_offset)
        self.next_offset += 1


def run(scale: Scale, report: Report) -> None:
    rules = scale.loaded_rules
    say(f"changes among {rules:,} rules")
    live, holds = _Live(RuleTable()), list[float]()
    with Compiler() as compiler:
        builder = ShardBuilder(SetCompiler(compiler))
        builder.start()
        rule_set = RuleSet(builder=builder)
        current = CurrentRules(live, rule_set)
        began = time.perf_counter()
        for number in range(rules):
            live.write(number, rules)
        read = time.perf_counter() - began
        wait_until(lambda: current.version() is not None and not rule_set.alone, 120, "all is compiled")
        ready = time.perf_counter() - began
        chance = random.Random(workload.SEED)
        for change in range(CHANGES):
            live.write(chance.randrange(rules), rules, filter_message_regex=f"changed {change} [a-z]+")
            _turns(current.version, holds)
        builder.stop()
    what, parameters = "rules in a matcher", f"{rules:,} rules, in process"
    seconds = "{:.1f} s".format
    report.alone(what, parameters, "read and checked", [read], seconds)
    report.alone(
        what,
        parameters,
        "and compiled, without a cache",
        [ready],
        seconds,
        target=Target("≤", READY_TARGET, seconds),
    )
    for share in (0.5, 0.99):
        report.alone(
            what,
            parameters,
            f"a turn holds the loop for changes, p{share * 100:.0f}",
            [quantile(holds, share)],
            ms,
        )
    limit = Target("≤", HOLD_TARGET, ms)
    report.alone(what, parameters, f"the longest of {len(holds):,} turns", [max(holds)], ms, target=limit)


def _turns(turn: Callable[[], object], holds: list[float]) -> None:
    until = time.perf_counter() + BETWEEN
    while time.perf_counter() < until:
        began = time.perf_counter()
        turn()
        holds.append(time.perf_counter() - began)
        time.sleep(0.002)
