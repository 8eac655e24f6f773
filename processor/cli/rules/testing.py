"""`tocsin rules test`: which rules fire on an event, and which filter of the others says no."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_json, print_rows, printable
from processor.cli.parser import Subparsers
from processor.cli.rules.trying import add_rule_flag, decoder_of, rules_of_files, rules_of_table
from processor.cli.waiting import add_timeout_flag
from processor.events import EventDecoder, EventFields, Unreadable
from processor.events.files import EventFileError, event_lines, stdin_lines
from processor.matching.cases import Case, CaseFileError, Result, check_names, read_cases, run_cases, to_json
from processor.matching.trial import Trial, Verdict
from processor.settings import Settings

STDIN = "-"
_COLUMNS = ("rule", "fires", "filter", "reason")
_MAX_EVENTS = 1_000
"""Each is shown with every rule; `backtest` takes any number."""


def add_actions(actions: Subparsers) -> None:
    """Add `test`."""
    parser = actions.add_parser(
        "test",
        help="say which rules fire on an event, and which filter of the others says no",
        description="Tries rules on events, as the matcher would, and sends nothing. Without --rule the rules"
        " are those of the live table.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--event", metavar="FILE|-", help="an event as JSON, or several, one a line; may be gzipped"
    )
    what.add_argument(
        "--cases", metavar="FILE|-", help="events and the rules expected to fire; exits 1 if others do"
    )
    add_rule_flag(parser, "rules to try instead of the live table's; may be repeated")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if STDIN in args.rule and STDIN in (args.event, args.cases):
        raise UsageError("standard input can be the rules or the events, not both")
    # What is at hand is read first: a slip in it need not wait for a broker.
    cases = None if args.cases is None else _cases(args.cases)
    events = None if args.event is None else _events(args.event)
    trial = Trial(rules_of_files(args.rule) if args.rule else rules_of_table(args, settings))
    decoder = decoder_of(settings)
    if cases is not None:
        return _run_cases(cases, trial, decoder, args.output)
    return _run_events(events or [], trial, decoder, args.output)


def _events(source: str) -> list[tuple[str, bytes]]:
    """The events of a file with their places: the whole of it if that is one event, else one each line."""
    lines = stdin_lines(sys.stdin.buffer) if source == STDIN else event_lines(Path(source))
    name = "stdin" if source == STDIN else source
    found: list[tuple[int, bytes]] = []
    try:
        for number, line in lines:
            found.append((number, line))
    except EventFileError as failure:
        raise CommandFailed(str(failure)) from None
    if not found:
        raise CommandFailed(f"{name}: no events in it")
    # An object written over several lines: none of them is an object.
    whole = b"\n".join(line for _, line in found)
    if len(found) > 1 and _is_event(whole):
        return [(name, whole)]
    if len(found) > _MAX_EVENTS:
        raise CommandFailed(
            f"{name}: more than {_MAX_EVENTS} events; `rules backtest --input` takes any number"
        )
    return [(name if len(found) == 1 else f"{name}, line {number}", line) for number, line in found]


def _is_event(value: bytes) -> bool:
    return not isinstance(EventDecoder(EventFields()).decode(value), Unreadable)


def _run_events(events: Iterable[tuple[str, bytes]], trial: Trial, decoder: EventDecoder, output: str) -> int:
    tried = [(place, _verdicts(value, trial, decoder)) for place, value in events]
    if output == "json":
        print_json([_entry(place, verdicts) for place, verdicts in tried])
    else:
        for number, (place, verdicts) in enumerate(tried):
            if len(tried) > 1:
                print(f"{chr(10) if number else ''}{printable(place)}")
            if not isinstance(verdicts, Unreadable):
                print_rows([_row(verdict) for verdict in verdicts], _COLUMNS, output)
            elif len(tried) > 1:
                print(f"no event: {printable(verdicts.detail)}")
    unreadable = [(place, found) for place, found in tried if isinstance(found, Unreadable)]
    if unreadable:
        place, first = unreadable[0]
        more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        raise CommandFailed(f"{place}: no event, the matcher would dead-letter it: {first.detail}{more}")
    return DONE


def _verdicts(value: bytes, trial: Trial, decoder: EventDecoder) -> list[Verdict] | Unreadable:
    """Those that fire first."""
    event = decoder.decode(value)
    if isinstance(event, Unreadable):
        return event
    return sorted(trial.verdicts(event), key=lambda verdict: not verdict.fires)


def _row(verdict: Verdict) -> Mapping[str, object]:
    refusal = verdict.refusal
    return {
        "rule": verdict.rule.name,
        "fires": verdict.fires,
        "filter": refusal.filter if refusal else None,
        "reason": refusal.reason if refusal else None,
    }


def _entry(place: str, verdicts: list[Verdict] | Unreadable) -> Mapping[str, object]:
    if isinstance(verdicts, Unreadable):
        return {"event": place, "unreadable": verdicts.reason, "reason": verdicts.detail, "rules": []}
    return {"event": place, "unreadable": None, "reason": None, "rules": [_row(one) for one in verdicts]}


def _cases(source: str) -> list[tuple[str, Case]]:
    try:
        text = sys.stdin.read() if source == STDIN else Path(source).read_text(encoding="utf-8-sig")
    except OSError as failure:
        raise CommandFailed(f"{source}: {failure.strerror or failure}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{source}: is not UTF-8") from None
    try:
        return read_cases("stdin" if source == STDIN else source, text)
    except CaseFileError as failure:
        raise _invalid(failure) from None


def _run_cases(cases: list[tuple[str, Case]], trial: Trial, decoder: EventDecoder, output: str) -> int:
    try:
        check_names(cases, trial)
    except CaseFileError as failure:
        raise _invalid(failure) from None
    results = list(run_cases(cases, trial, decoder))
    failed = [result for result in results if not result.passed]
    if output == "json":
        print_json([to_json(result) for result in results])
    else:
        for result in failed:
            for line in _difference(result):
                print(printable(line))
    if failed:
        raise CommandFailed(f"failed cases: {len(failed)} of {len(results)}")
    if output != "json":
        print(f"all cases passed: {len(results)}")
    return DONE


def _difference(result: Result) -> Iterable[str]:
    yield f"FAILED {result.place}" + (f": {result.case.name}" if result.case.name else "")
    if result.unreadable is not None:
        yield f"  no event: {result.unreadable.detail}"
    for one in result.missing:
        yield f"  - {one.name}: expected, but {one.refusal.filter} says no: {one.refusal.reason}"
    for name in result.unexpected:
        yield f"  + {name}: fired, not expected"


def _invalid(failure: CaseFileError) -> CommandFailed:
    """All that is wrong on lines of their own, the last line says how much it is."""
    for line in failure.errors:
        print(printable(line), file=sys.stderr)
    return CommandFailed(
        f"invalid cases: {len(failure.errors)} errors" if len(failure.errors) > 1 else "invalid cases"
    )
