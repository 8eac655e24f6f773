"""`tocsin rules backtest`: what rules would have fired on events of the past."""

import argparse
import random
import re
import sys
import time
from pathlib import Path

from processor.cli.connecting import connected
from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_json
from processor.cli.parser import Subparsers
from processor.cli.rules.course import Axis, report, say
from processor.cli.rules.progress import Progress
from processor.cli.rules.trying import add_rule_flag, decoder_of, rules_of_files
from processor.cli.times import add_since
from processor.cli.waiting import add_timeout_flag
from processor.events.files import EventFileError, event_lines, stdin_lines
from processor.events.times import TimeField
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.records import position_of
from processor.kafka.scan import Stretch, cut, read, stretches
from processor.matching.backtest import MAX_SAMPLES, Backtest
from processor.matching.histogram import COUNT_WIDTHS, TIME_WIDTHS
from processor.matching.trial import Trial
from processor.settings import Settings

STDIN = "-"
_SAMPLES = 5
_SEED = 1
"""The same events give the same samples."""

_SELDOM = 0x3FF  # a look at the clock every so many lines
_OFFSETS = re.compile(r"(\d{0,18})\.\.(\d{0,18})")


def add_actions(actions: Subparsers) -> None:
    """Add `backtest`."""
    parser = actions.add_parser(
        "backtest",
        help="say what rules would have fired on the event log, or on a file of events",
        description="Reads events of the past and says how often each rule would have fired, when, and on"
        " what. Reads without a group and commits nothing; what comes in meanwhile is left out.",
    )
    add_rule_flag(parser, "rules to try; may be repeated")
    what = parser.add_mutually_exclusive_group(required=True)
    add_since(what, "events logged from then on")
    what.add_argument(
        "--offsets",
        type=_offsets,
        metavar="A..B",
        help="events from offset A to before B of each partition; A.. and ..B are fine too",
    )
    what.add_argument(
        "--input", metavar="FILE|-", help="events of a file, one a line; may be gzipped; no Kafka"
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="the topic to read (default: matcher.event_topics); may be repeated",
    )
    parser.add_argument(
        "--partition", action="append", default=[], type=_number, metavar="N", help="only these partitions"
    )
    parser.add_argument(
        "--event-time",
        metavar="PATH",
        help="with --input: the field with an event's time, dotted (default: lines are counted instead)",
    )
    parser.add_argument(
        "--samples",
        type=_samples,
        default=_SAMPLES,
        metavar="N",
        help=f"show N of the events that fired each rule, at most {MAX_SAMPLES} (default: {_SAMPLES})",
    )
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    _check(args)
    trial = Trial(rules_of_files(args.rule))
    axis = Axis.TIME if args.input is None or args.event_time else Axis.LINES
    backtest = Backtest(
        trial,
        decoder_of(settings),
        COUNT_WIDTHS if axis is Axis.LINES else TIME_WIDTHS,
        samples=args.samples,
        chance=random.Random(_SEED),
    )
    began = time.monotonic()
    with Progress(sys.stderr) as progress:
        if args.input is None:
            read_from = _read_log(args, settings, backtest, progress)
        else:
            read_from = _read_file(args, backtest, progress)
    seconds = time.monotonic() - began
    if args.output == "json":
        print_json(report(backtest, axis, read_from, seconds))
    else:
        for line in say(backtest, axis, read_from, seconds):
            print(line)
    return DONE


def _check(args: argparse.Namespace) -> None:
    if not args.rule:
        raise UsageError("rules backtest takes --rule FILE")
    if args.input is None and args.event_time:
        raise UsageError("--event-time goes with --input: the log has the times of its records")
    if args.input is not None and (args.topic or args.partition):
        raise UsageError("--topic and --partition are of the event log, not of --input")
    if args.input == STDIN and STDIN in args.rule:
        raise UsageError("standard input can be the rules or the events, not both")


def _read_file(args: argparse.Namespace, backtest: Backtest, progress: Progress) -> list[str]:
    source: str = args.input
    lines = stdin_lines(sys.stdin.buffer) if source == STDIN else event_lines(Path(source))
    name = "stdin" if source == STDIN else source
    times = TimeField(args.event_time) if args.event_time else None
    try:
        for number, line in lines:
            backtest.add(line, times.of(line) if times else number - 1, f"{name}:", number)
            if not backtest.events & _SELDOM:
                progress.show(backtest.events)
    except EventFileError as failure:
        raise CommandFailed(str(failure)) from None
    if not backtest.events:
        raise CommandFailed(f"{name}: no events in it")
    return [name]


def _read_log(
    args: argparse.Namespace, settings: Settings, backtest: Backtest, progress: Progress
) -> list[str]:
    with connected(args, settings) as cluster:
        wanted = _wanted(args, settings, cluster)
        progress.total = sum(one.end - one.start for one in wanted)
        marks = {one.position: f"{one.position}@" for one in wanted}
        patience = args.timeout.total_seconds()
        for records in read(
            client_config(settings.kafka, settings.topics.name("cli")), wanted, patience=patience
        ):
            for record in records:
                _, at = record.timestamp()
                if args.since is not None and at < args.since:
                    continue  # written before, though it stands behind a later one
                mark = marks[position_of(record)]
                backtest.add(record.value(), at if at > 0 else None, mark, record.offset() or 0)
            progress.show(backtest.events)
    return [f"{one.position} {one.start}..{one.end}" for one in wanted]


def _wanted(args: argparse.Namespace, settings: Settings, cluster: Cluster) -> list[Stretch]:
    """What is to be read, up to where the topics end now."""
    patience = args.timeout.total_seconds()
    wanted: list[Stretch] = []
    for topic in args.topic or settings.matcher.event_topics:
        info = cluster.topic(topic, timeout=patience)
        if info is None:
            raise CommandFailed(f"topic {topic} is missing: name your event topic with --topic")
        if missing := sorted(number for number in args.partition if number >= info.partitions):
            raise CommandFailed(f"topic {topic} has no partition {missing[0]}, it has {info.partitions}")
        numbers = sorted(set(args.partition)) if args.partition else None
        wanted += stretches(
            cluster, topic, partitions=numbers, since_ms=args.since, committed=True, timeout=patience
        )
    if args.offsets is not None:
        wanted = cut(wanted, *args.offsets)
    return wanted


def _offsets(text: str) -> tuple[int | None, int | None]:
    read = _OFFSETS.fullmatch(text) if text.isascii() else None
    if read is None:
        raise argparse.ArgumentTypeError(f"expected A..B, A.. or ..B, such as 1000..2000 (got {text[:40]!r})")
    start, end = (int(number) if number else None for number in read.groups())
    if start is not None and end is not None and start >= end:
        raise argparse.ArgumentTypeError(f"the first offset must be less than the second (got {text[:40]!r})")
    return start, end


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 (got {text[:40]!r})")
    return int(text)


def _samples(text: str) -> int:
    number = _number(text)
    if number > MAX_SAMPLES:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_SAMPLES} (got {number})")
    return number
