"""`tocsin rules test` and `tocsin rules backtest` as far as they need no Kafka."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from processor.cli.main import main
from processor.cli.rules.progress import Progress
from tests.support.logs import logging_as_before

ROOT = Path(__file__).parents[2]
RULES = """
name: errors
filter_severity: [error]
action_type: webhook
action_target: https://h.example/x
---
name: big
filter_message_regex: "[0-9]{3}"
action_type: webhook
action_target: https://h.example/x
---
name: "off"
enabled: false
action_type: webhook
action_target: https://h.example/x
"""

BAD = """name: bad
filter_pattern: {n: [{numerical: [">", 5]}]}
action_type: webhook
action_target: https://h.example/x
"""


class Run:
    """Runs `tocsin rules …` in a directory with rules.yaml; `out` and `err` are what it printed."""

    def __init__(self, captured: pytest.CaptureFixture[str], directory: Path) -> None:
        self._captured = captured
        self.directory = directory
        self.rules = self.write("rules.yaml", RULES)

    def write(self, name: str, content: str | bytes) -> str:
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def __call__(self, *arguments: str, expect: int = 0, environ: dict[str, str] | None = None) -> str:
        with logging_as_before():
            code = main(["rules", *arguments], environ or {})
        self.out, self.err = self._captured.readouterr()
        assert code == expect, self.err
        return self.out

    def tried(self, *arguments: str, expect: int = 0) -> Any:
        """The JSON of `rules test` with the rules of the directory."""
        return json.loads(self("test", "--rule", self.rules, *arguments, "-o", "json", expect=expect))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return Run(capsys, tmp_path)


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    buffer = io.BufferedReader(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=buffer, read=content.decode))


def test_an_event_is_tried_on_each_rule(run: Run) -> None:
    event = run.write("e.json", '{"severity": "error",\n "message": "12"}\n')

    lines = run("test", "--event", event, "--rule", run.rules).splitlines()

    assert [line.split(maxsplit=3) for line in lines] == [
        ["RULE", "FIRES", "FILTER", "REASON"],
        ["errors", "yes"],
        ["big", "no", "filter_message_regex", 'not found in the message "12"'],
        ["off", "no", "enabled", "the rule is disabled"],
    ]


def test_an_event_is_tried_as_json(run: Run) -> None:
    event = run.write("e.json", '{"severity": "error", "message": "123"}')

    [tried] = run.tried("--event", event)

    assert tried["event"] == event
    assert [(row["rule"], row["fires"], row["filter"]) for row in tried["rules"]] == [
        ("errors", True, None),
        ("big", True, None),
        ("off", False, "enabled"),
    ]


def test_several_events_come_one_a_line_from_a_file_or_from_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = b'{"severity":"error"}\n\n{"severity":"info"}\n'
    zipped = run.write("e.gz", gzip.compress(events))

    from_file = run.tried("--event", zipped)
    stdin(monkeypatch, events)
    from_stdin = run.tried("--event", "-")

    assert [tried["event"] for tried in from_file] == [f"{zipped}, line 1", f"{zipped}, line 3"]
    assert [tried["event"] for tried in from_stdin] == ["stdin, line 1", "stdin, line 3"]
    for tried in (from_file, from_stdin):
        assert [one["rules"][0]["fires"] for one in tried] == [True, False]
    run("test", "--event", zipped, "--rule", run.rules)
    assert run.out.count("RULE") == 2


def test_an_unreadable_event_is_said_and_the_others_are_tried(run: Run) -> None:
    events = run.write("e.ndjson", '{"severity":"error"}\nnope\n[]\n')

    tried = run.tried("--event", events, expect=1)

    assert [one["unreadable"] for one in tried] == [None, "not_json", "not_object"]
    assert len(tried[0]["rules"]) == 3
    assert f"{events}, line 2: no event, the matcher would dead-letter it: JSON is malformed" in run.err
    assert "(and 1 more)" in run.err


def test_events_are_read_with_the_paths_of_the_settings(run: Run) -> None:
    event = run.write("e.json", '{"log": {"level": "error"}}')
    environ = {"TOCSIN_MATCHER__EVENT_FIELDS__SEVERITY": "log.level"}

    run("test", "--event", event, "--rule", run.rules, environ=environ)

    assert run.out.splitlines()[1].split() == ["errors", "yes"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--event", "none.json"], 1, "none.json: No such file or directory"),
        (["--event", "empty.json"], 1, "empty.json: no events in it"),
        (["--event", "many.ndjson"], 1, "more than 1000 events; `rules backtest --input` takes any number"),
        (["--cases", "none.yaml"], 1, "none.yaml: No such file or directory"),
        (["--cases", "latin.yaml"], 1, "latin.yaml: is not UTF-8"),
        (["--event", "e.json", "--rule", "none"], 1, "none: No such file or directory"),
        (["--event", "e.json", "--rule", "bad.yaml"], 1, "invalid documents: 1 of 4"),
        (["--event", "e.json", "--rule", "empty.json"], 1, "invalid documents"),
        ([], 2, "one of the arguments --event --cases is required"),
        (["--event", "e.json", "--cases", "c.yaml"], 2, "not allowed with argument --event"),
        (["--event", "-", "--rule", "-"], 2, "standard input can be the rules or the events, not both"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(run.directory)
    run.write("empty.json", "\n")
    run.write("e.json", "{}")
    run.write("many.ndjson", "{}\n" * 1_001)
    run.write("latin.yaml", "cases: [{name: \xe9}]".encode("latin-1"))
    run.write("bad.yaml", BAD)

    run("test", "--rule", "rules.yaml", *arguments, expect=code)

    assert message in run.err.splitlines()[-1]


def test_an_invalid_rule_is_said_with_its_place(run: Run) -> None:
    bad = run.write("bad.yaml", f"{RULES}---\n{BAD}")

    run("test", "--event", run.write("e.json", "{}"), "--rule", bad, expect=1)

    assert "bad.yaml, document 4, line 17 (bad): filter_pattern.n[0].numerical: unknown operator" in run.err


CASES = """
cases:
  - name: an error
    event: {severity: error, message: "123"}
    fires: [errors, big]
  - event: {severity: info}
    fires: []
"""


def test_cases_that_pass_are_counted(run: Run) -> None:
    cases = run.write("c.yaml", CASES)

    assert run("test", "--cases", cases, "--rule", run.rules) == "all cases passed: 2\n"
    assert [result["passed"] for result in run.tried("--cases", cases)] == [True, True]


def test_a_failed_case_shows_the_difference_and_exits_1(run: Run) -> None:
    cases = run.write("c.yaml", CASES.replace("fires: [errors, big]", "fires: ['off']"))

    run("test", "--cases", cases, "--rule", run.rules, expect=1)

    assert run.out.splitlines() == [
        f"FAILED {cases}, cases[0]: an error",
        "  - off: expected, but enabled says no: the rule is disabled",
        "  + big: fired, not expected",
        "  + errors: fired, not expected",
    ]
    assert run.err.splitlines()[-1] == "tocsin: failed cases: 1 of 2"
    results = run.tried("--cases", cases, expect=1)
    assert [result["passed"] for result in results] == [False, True]
    assert results[0]["unexpected"] == ["big", "errors"]


def test_wrong_cases_are_named_each_on_its_line(run: Run) -> None:
    cases = run.write("c.yaml", CASES.replace("errors", "error").replace("fires: []", "fires: [x]"))

    run("test", "--cases", cases, "--rule", run.rules, expect=1)

    assert run.err.splitlines() == [
        f"{cases}, cases[0].fires[0]: there is no rule 'error' among those that are tried",
        f"{cases}, cases[1].fires[0]: there is no rule 'x' among those that are tried",
        "tocsin: invalid cases: 2 errors",
    ]


def test_a_backtest_of_a_file_says_how_often_when_and_on_what(run: Run) -> None:
    lines = [
        json.dumps({"severity": "error" if n % 4 == 0 else "info", "message": f"m{n % 90}", "at": 60 * n})
        for n in range(1, 101)
    ]
    events = run.write("e.ndjson", "\n".join([*lines, "nope"]))

    out = run("backtest", "--rule", run.rules, "--input", events, "--event-time", "at").splitlines()

    assert out[0].startswith("101 events read in ")
    assert out[1:3] == [f"  {events}", "unreadable, the matcher would dead-letter them: 1 (not_json 1)"]
    start = out.index("errors: fires on 25 of 100 events (25 %)")
    assert out[start + 1].split() == ["from", "fired", "events", "per", "5m"]
    assert out[start + 2].split()[:3] == ["1970-01-01T00:00:00Z", "1", "4"]
    assert out[start + 3].split() == ["1970-01-01T00:05:00Z", "1", "5", "#" * 20]
    assert "  5 of them" in out
    assert "big: fires on none of 100 events" in out
    assert "off: is disabled and fires nothing" in out
    assert sum(f"{events}:" in line and "  error    m" in line for line in out) == 5


def test_a_backtest_as_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, gzip.compress(b'{"severity":"error","message":"m"}\n' * 3 + b"[]\n"))

    found = json.loads(run("backtest", "--rule", run.rules, "--input", "-", "--samples", "1", "-o", "json"))

    assert found["events"] == 4
    assert found["unreadable"] == {"not_object": 1}
    assert (found["axis"], found["untimed"], found["read"]) == ("lines", 0, ["stdin"])
    errors, big, off = found["rules"]
    assert (errors["name"], errors["fired"]) == ("errors", 3)
    assert errors["buckets"] == [{"start": n, "width": 1, "events": 1, "fired": 1} for n in (1, 2, 3)]
    [sample] = errors["samples"]
    assert sample == {
        "place": f"stdin:{sample['at']}",
        "at": sample["at"],
        "severity": "error",
        "source": "",
        "message": "m",
    }
    assert (big["fired"], off["fired"], off["enabled"]) == (0, 0, False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--input", "e.ndjson"], 2, "rules backtest takes --rule FILE"),
        (["--rule", "rules.yaml"], 2, "one of the arguments --since --offsets --input is required"),
        (["--rule", "rules.yaml", "--input", "e.ndjson", "--since", "1h"], 2, "not allowed with argument"),
        (["--rule", "rules.yaml", "--since", "soon"], 2, "expected a duration such as 1h or a time"),
        (["--rule", "rules.yaml", "--offsets", "5"], 2, "expected A..B, A.. or ..B, such as 1000..2000"),
        (["--rule", "rules.yaml", "--offsets", "9..9"], 2, "the first offset must be less than the second"),
        (
            ["--rule", "rules.yaml", "--offsets", "1..2", "--event-time", "t"],
            2,
            "--event-time goes with --input",
        ),
        (
            ["--rule", "rules.yaml", "--input", "e.ndjson", "--topic", "t"],
            2,
            "--topic and --partition are of the",
        ),
        (["--rule", "-", "--input", "-"], 2, "standard input can be the rules or the events, not both"),
        (["--rule", "rules.yaml", "--input", "e.ndjson", "--samples", "1001"], 2, "expected at most 1000"),
        (["--rule", "rules.yaml", "--input", "none"], 1, "none: No such file or directory"),
        (["--rule", "rules.yaml", "--input", "empty"], 1, "empty: no events in it"),
    ],
)
def test_a_backtest_that_can_not_be_says_why(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(run.directory)
    run.write("e.ndjson", "{}\n")
    run.write("empty", "")

    run("backtest", *arguments, expect=code)

    assert message in run.err


def test_the_projects_own_rules_fire_on_its_own_events(run: Run) -> None:
    events, rules = ROOT / "config/demo/events.ndjson", ROOT / "config/rules"

    found = json.loads(run("backtest", "--rule", str(rules), "--input", str(events), "-o", "json"))

    assert (found["events"], found["unreadable"]) == (100, {})
    assert {rule["name"] for rule in found["rules"] if not rule["fired"]} == set()


def test_progress_is_written_over_on_a_terminal_and_nowhere_else() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with Progress(stream, iter([100.0, 100.0, 101.0, 101.1]).__next__) as progress:
            progress.total = 5_000
            for done in (10, 2_000, 2_100):
                progress.show(done)

    text = "2,000 of at most 5,000 events, 2,000/s"
    assert terminal.getvalue() == f"\r{text}\r{' ' * len(text)}\r"
    assert pipe.getvalue() == ""


def test_progress_takes_the_time_anew_for_each_thing_it_counts() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with Progress(terminal, iter([100.0, 101.0, 101.5, 103.0, 103.0, 104.0]).__next__) as progress:
        progress.report("rules checked", 10)
        progress.report("rules written", 500, 1_000)
        progress.report("rules written", 1_000, 1_000)

    lines = [line.rstrip() for line in terminal.getvalue().split("\r") if line.strip()]
    assert lines == [
        "10 rules checked, 20/s",
        "500 of at most 1,000 rules written",
        "1,000 of at most 1,000 rules written, 1,000/s",
    ]
