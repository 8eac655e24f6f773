"""The compiler: one bad pattern never stalls the others, and nothing outlives its owner."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.patterns import (
    Compiled,
    CompileLimits,
    Compiler,
    CompilerClosedError,
    Confirmers,
    Database,
    DatabaseCache,
    FilteredSet,
    Pattern,
    compile_pattern,
    compiling,
    why_no_hyperscan,
)
from processor.patterns.compiler_child import together
from processor.patterns.database import compile_serialised
from tests.support.waiting import wait_until

hyperscan_is_here = pytest.mark.skipif(why_no_hyperscan() is not None, reason=why_no_hyperscan() or "")

# A minute and more of Hyperscan's time.
ENDLESS = "(?:" * 60 + "a" + ")*" * 60 + "z"
GOOD = ["failed: \\d+", "(?i)timeout", "^GET /\\S+ 5\\d\\d$", "disk.*full", "ошибка"]


def patterns(*sources: str) -> list[Pattern]:
    return [compile_pattern(source) for source in sources]


def found(compiled: Compiled, of: list[Pattern], message: bytes) -> set[int]:
    """Positions found by the database and what confirms it, and by the filtered set of the others."""
    database = Database(compiled.serialised, compiled.taken)
    others = FilteredSet([of[at] for at in compiled.refused], list(compiled.refused))
    confirmers = Confirmers()
    confirmed = {at for at in database.scan(message) if confirmers.search(of[at], message)}
    return confirmed | set(others.scan(message))


@pytest.fixture
def compiler() -> Iterator[Compiler]:
    with Compiler(CompileLimits(together=8, alone=1)) as compiler:
        yield compiler


@hyperscan_is_here
def test_all_patterns_are_taken_in_their_order(compiler: Compiler) -> None:
    all_of_them = patterns(*GOOD)
    compiled = compiler.compile(all_of_them)
    assert compiled.taken == (0, 1, 2, 3, 4)
    assert compiled.refused == {}
    assert found(compiled, all_of_them, b"GET /x 503") == {2}
    assert found(compiled, all_of_them, "TIMEOUT: ошибка, failed: 7".encode()) == {0, 1, 4}


@hyperscan_is_here
def test_no_patterns_make_an_empty_database(compiler: Compiler) -> None:
    assert compiler.compile([]) == (compile_serialised([]), (), {})


@hyperscan_is_here
def test_what_hyperscan_can_not_take_is_named_with_the_reason(compiler: Compiler) -> None:
    all_of_them = patterns("a", "x" * 401, "b^c|d", "[^[:word:]\\W]", "e")
    compiled = compiler.compile(all_of_them)
    assert compiled.taken == (0, 2, 4)
    assert compiled.refused == {
        1: "more than 400 characters",
        3: "Hyperscan refuses it: Pattern can never match.",
    }
    assert found(compiled, all_of_them, b"d" + b"x" * 401) == {1, 2}


@hyperscan_is_here
def test_one_endless_pattern_is_left_out_at_its_deadline() -> None:
    all_of_them = patterns(*GOOD[:2], ENDLESS, *GOOD[2:])
    with Compiler(CompileLimits(together=1.5, more_for_each=0, alone=1)) as compiler:
        compiled = compiler.compile(all_of_them)
        assert compiled.taken == (0, 1, 3, 4, 5)
        assert compiled.refused == {2: "Hyperscan took too long over it"}
        assert found(compiled, all_of_them, b"disk full: z") == {2, 4}


@hyperscan_is_here
def test_a_child_without_memory_leaves_all_to_google_re2_after_some_attempts() -> None:
    all_of_them = patterns(*(f"word{number}" for number in range(50)))
    with Compiler(CompileLimits(memory=20 << 20, culprits=3)) as compiler:
        compiled = compiler.compile(all_of_them)
    assert compiled.taken == ()
    assert "ended its process" in compiled.refused[0]
    assert compiled.refused[3] == compiled.refused[49] == "Hyperscan failed over 3 others"
    assert found(compiled, all_of_them, b"word49") == {4, 49}


@hyperscan_is_here
def test_patterns_that_fail_only_together_are_left_to_google_re2() -> None:
    many = patterns(*(f"{word}.*{word}" for word in ("ab", "cd", "ef", "gh", "ij", "kl")))
    with Compiler(CompileLimits(together=0, more_for_each=0, alone=5)) as compiler:
        compiled = compiler.compile(many)
    assert compiled.taken == ()
    assert set(compiled.refused) == set(range(6))
    assert found(compiled, many, b"ef ef") == {2}


@hyperscan_is_here
def test_a_killed_child_is_replaced(compiler: Compiler) -> None:
    compiler.compile(patterns("a"))
    for _ in range(3):
        assert compiler._child is not None
        os.kill(compiler._child.pid, signal.SIGKILL)
        assert compiler.compile(patterns("a", "b")).taken == (0, 1)


@hyperscan_is_here
def test_a_child_that_was_idle_leaves_and_another_one_comes() -> None:
    with Compiler(CompileLimits(idle=0.05)) as compiler:
        for _ in range(5):
            assert compiler.compile(patterns("a")).taken == (0,)
            wait_until(lambda: compiler._child is None or compiler._child.ended, timeout=10)


@hyperscan_is_here
def test_close_interrupts_a_compilation() -> None:
    compiler = Compiler(CompileLimits(together=120))
    caught: list[BaseException] = []

    def compile_it() -> None:
        try:
            compiler.compile(patterns(ENDLESS))
        except CompilerClosedError as error:
            caught.append(error)

    thread = threading.Thread(target=compile_it)
    thread.start()
    wait_until(lambda: compiler._child is not None, timeout=10)
    compiler.close()
    thread.join(timeout=10)
    assert len(caught) == 1
    with pytest.raises(CompilerClosedError):
        compiler.compile(patterns("a"))
    compiler.close()


@hyperscan_is_here
def test_threads_take_turns(compiler: Compiler) -> None:
    results: dict[int, Compiled] = {}

    def compile_it(number: int) -> None:
        results[number] = compiler.compile(patterns(f"word{number}", "x"))

    threads = [threading.Thread(target=compile_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for number in range(8):
        assert Database(results[number].serialised, (0, 1)).scan(b"word%d" % number) == [0]


@hyperscan_is_here
def test_the_child_ends_with_its_parent_even_if_it_is_busy() -> None:
    script = (
        "import sys, threading, time\n"
        "from processor.patterns import *\n"
        "compiler = Compiler(CompileLimits(together=120))\n"
        f"endless = [compile_pattern({ENDLESS!r})]\n"
        "work = threading.Thread(target=compiler.compile, args=(endless,), daemon=True)\n"
        "work.start()\n"
        "while compiler._child is None: time.sleep(0.01)\n"
        "print(compiler._child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not runs(child), timeout=20)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@hyperscan_is_here
def test_the_child_has_no_file_and_no_secret_of_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOCSIN_SECRET_X", "hush")
    with (tmp_path / "open").open("w") as mine, Compiler() as compiler:
        os.set_inheritable(mine.fileno(), True)
        compiler.compile(patterns("a"))
        assert compiler._child is not None
        about = Path(f"/proc/{compiler._child.pid}")
        files = {os.readlink(entry) for entry in (about / "fd").iterdir()}
        assert not any("open" in name for name in files)
        assert not any(name.startswith("socket:") for name in files)
        assert b"hush" not in (about / "environ").read_bytes()


def test_without_hyperscan_everything_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "why_no_hyperscan", lambda: "no wheel")
    with Compiler() as compiler:
        compiled = compiler.compile(patterns("a", "b"))
        assert compiled.refused == {0: "no wheel", 1: "no wheel"}
        assert found(compiled, patterns("a", "b"), b"b") == {1}


@hyperscan_is_here
def test_a_second_compiler_takes_it_from_the_cache(tmp_path: Path) -> None:
    all_of_them = patterns("a", "x" * 401, "[^[:word:]\\W]", "b")
    with Compiler(cache=DatabaseCache(tmp_path)) as compiler:
        first = compiler.compile(all_of_them)
    with Compiler(cache=DatabaseCache(tmp_path)) as compiler:
        assert compiler.compile(all_of_them) == first
        assert compiler._child is None
        assert compiler.compile([*all_of_them, *patterns("c")]).taken == (0, 3, 4)
        assert compiler._child is not None


@hyperscan_is_here
def test_refusals_among_hundreds_are_found() -> None:
    forms = [(f"code={number}", f"code={number}") for number in range(300)]
    forms[7] = ("a^b", "ab")
    forms[200] = ("(", "(")
    forms[299] = ("x\\A", "(")
    refused, serialised = together(forms)
    assert set(refused) == {200, 299}
    database = Database(serialised, [at for at in range(300) if at not in refused])
    assert database.scan(b"ab code=251") == [7, 251, 2, 25] or set(database.scan(b"ab code=251")) == {
        7,
        2,
        25,
        251,
    }


def test_waiting_for_a_child_ends_at_the_deadline() -> None:
    from processor.patterns.child import Child, ChildFailedError

    child = Child("processor.patterns.compiler_child", str(2 << 30), "60")
    try:
        with pytest.raises(ChildFailedError, match="took too long"):
            child.receive(time.monotonic() + 0.05)
    finally:
        child.end()
