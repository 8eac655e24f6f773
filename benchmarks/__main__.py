"""`python -m benchmarks`: run the scenarios and write the table."""

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from benchmarks import (
    changes,
    engine,
    isolation,
    latency,
    matcher,
    scanner_cri,
    scanner_docker,
    sender,
    waiting,
    workload,
)
from benchmarks.ground import ROOT, Ground, say
from benchmarks.report import Report
from benchmarks.scale import QUICK, WHOLE, Scale

Scenario = Callable[[Ground, Scale, Report], None]


def _engine(_: Ground, scale: Scale, report: Report) -> None:
    engine.run(scale, report)
    changes.run(scale, report)


GROUPS: dict[str, tuple[Scenario, ...]] = {
    "matcher": (matcher.run, latency.run, _engine),
    "sender": (sender.run, isolation.run, waiting.run),
    "scanner": (scanner_cri.run, scanner_docker.run),
}
PARTS: dict[str, tuple[Scenario, ...]] = {
    "throughput": (matcher.run,),
    "latency": (latency.run,),
    "engine": (_engine,),
    "delivery": (sender.run,),
    "isolation": (isolation.run,),
    "waiting": (waiting.run,),
    "docker": (scanner_docker.run,),
    "cri": (scanner_cri.run,),
}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 when everything was measured, whether or not the targets were met."""
    options = _parser().parse_args(arguments)
    scale = QUICK if options.quick else WHOLE
    if options.full:
        scale = scale.with_ten_thousand_rules()
    if options.hits is not None:
        scale = replace(scale, hit_percents=(options.hits,))
    if options.rounds:
        scale = replace(scale, rounds=options.rounds, isolation_rounds=options.rounds)
    chosen = {**GROUPS, **PARTS}[options.only] if options.only else sum(GROUPS.values(), ())
    report = Report(shlex.join(["python", "-m", "benchmarks", *arguments]))
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _give_up)
    signal.alarm(scale.time_limit)
    try:
        with Ground() as ground:
            ground.warm_up(list(workload.events(scale.warm_up, 100)))
            for scenario in chosen:
                scenario(ground, scale, report)
                _write(options.output, report)  # what is measured is kept, whatever happens next
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        say(f"stopped: {stop or 'interrupted'}")
        return 1
    print(report.markdown())
    say(f"written to {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=[*GROUPS, *PARTS], help="one role, or one part of one")
    parser.add_argument("--quick", action="store_true", help="small and short, to try things out")
    parser.add_argument("--full", action="store_true", help="with 10,000 rules, too")
    parser.add_argument("--hits", type=int, choices=[0, 1, 100], help="only with so many percent of hits")
    parser.add_argument("--rounds", type=int, help="pairs of baseline and product per figure")
    parser.add_argument(
        "--output", type=Path, default=ROOT / ".tocsin" / "bench.md", metavar="FILE.md", help="where to"
    )
    return parser


def _write(path: Path, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.markdown(), encoding="utf-8")


def _give_up(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt("out of time" if number == signal.SIGALRM else "terminated")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
