"""Several signing secrets at once: what a write makes of them, which of them sign when, and what is kept in
memory."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.rules import KeyRing, References, Resolver, RuleDraft, SecretError, TriggerRule
from processor.rules.protect import protected
from processor.rules.values import Reference, Secret, SecretWindow
from processor.rules.view import exported, shown
from tests.support.rules import KEY, NOW, OTHER_KEY, draft, ring

T1 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
T2 = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
YEARS_AGO = 1_000_000_000 * 1_000_000_000


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def written(said: RuleDraft, current: TriggerRule | None = None, keys: KeyRing | None = None) -> TriggerRule:
    """The rule as it stands in the topic after `said` was written over `current`."""
    sealed = protected(said, 7, current, keys or ring(KEY))
    return said.to_rule(rule_id=7, uid="", set_name="", updated_by="", updated_at=NOW, **sealed)


def plain(rule: TriggerRule, keys: KeyRing | None = None) -> list[str]:
    """The rule's signing secrets in the order of its list."""
    opened = []
    for _, value in rule.signing_secrets():
        assert isinstance(value, Secret)
        assert value.is_sealed
        opened.append((keys or ring(KEY)).open(value.secret, 7))
    return opened


def windows(rule: TriggerRule) -> tuple[SecretWindow, ...]:
    assert isinstance(rule.action_secret, tuple)
    return rule.action_secret


# written


def test_each_secret_of_a_list_is_sealed_and_keeps_its_time() -> None:
    rule = written(draft(action_secret=["old", {"secret": "new", "not_before": T1}]))

    assert plain(rule) == ["old", "new"]
    assert rule.unsealed() == ()
    assert windows(rule)[1].not_before == T1


def test_the_placeholder_keeps_the_secret_at_its_place_with_the_time_that_is_given() -> None:
    current = written(draft(action_secret=["a", {"ref": "file:b", "not_before": T1}, "c"]))
    rule = written(
        draft(action_secret=[{"secret": "***", "not_after": T2}, "***", {"secret": "new"}, "more"]), current
    )

    first, second, _, _ = windows(rule)
    assert first == SecretWindow(value=windows(current)[0].value, not_after=T2)
    assert second == SecretWindow(value=Reference(ref="file:b"))
    assert plain_at(rule, 2) == "new"
    assert plain_at(rule, 3) == "more"


def plain_at(rule: TriggerRule, place: int) -> str:
    value = windows(rule)[place].value
    assert isinstance(value, Secret)
    return ring(KEY).open(value.secret, 7)


def test_a_rotation_begins_by_adding_to_the_single_secret() -> None:
    current = written(draft(action_secret="old"))
    rule = written(draft(action_secret=["***", {"secret": "new", "not_before": T1}]), current)

    assert plain(rule) == ["old", "new"]
    assert windows(rule)[0].value == current.action_secret


def test_a_placeholder_at_a_place_that_was_not_there_is_refused_with_its_place() -> None:
    current = written(draft(action_secret="old"))

    for said in (["new", "***"], ["***", "***"]):
        with pytest.raises(
            SecretError, match=r"action_secret\[1\]: \*\*\* means unchanged, but there is nothing"
        ):
            written(draft(action_secret=said), current)
    with pytest.raises(SecretError, match=r"action_secret\[0\]: "):
        written(draft(action_secret=["***"]), written(draft()))


def test_the_placeholder_instead_of_a_list_keeps_the_list() -> None:
    current = written(draft(action_secret=["a", {"ref": "file:b", "not_before": T1, "not_after": T2}]))

    assert written(draft(action_secret="***"), current).action_secret == current.action_secret


def test_a_single_secret_instead_of_a_list_ends_the_rotation() -> None:
    current = written(draft(action_secret=["a", "b"]))
    rule = written(draft(action_secret="b"), current)

    assert plain(rule) == ["b"]
    assert isinstance(rule.action_secret, Secret)


def test_the_same_list_again_changes_nothing() -> None:
    said = draft(action_secret=["a", {"secret": "b", "not_after": T2}])
    current = written(said)

    assert written(said, current).action_secret == current.action_secret


def test_a_list_that_an_older_key_sealed_is_sealed_anew() -> None:
    current = written(draft(action_secret=["a", "b"]), keys=ring(KEY))
    both = ring(OTHER_KEY, KEY)

    for said in ("***", ["***", "***"], ["a", "b"]):
        rule = written(draft(action_secret=said), current, both)
        assert plain(rule, ring(OTHER_KEY)) == ["a", "b"]


def test_no_view_shows_a_secret_of_a_list() -> None:
    rule = written(draft(action_secret=["a", {"secret": "b", "not_after": T2}, {"ref": "file:c"}]))
    expected = [
        {"secret": "***"},
        {"secret": "***", "not_after": "2026-11-24T10:00:00Z"},
        {"ref": "file:c"},
    ]

    assert shown(rule)["action_secret"] == expected
    assert exported(rule)["action_secret"] == expected
    sealed = exported(rule, with_sealed=True)["action_secret"]
    assert [one.get("not_after") for one in sealed] == [None, "2026-11-24T10:00:00Z", None]
    again = written(RuleDraft.model_validate({**exported(rule, with_sealed=True), "id": 7}))
    assert again.action_secret == rule.action_secret


# used


def resolver(keys: KeyRing | None = None, **variables: str) -> Resolver:
    return Resolver(keys or ring(KEY), References({f"TOCSIN_SECRET_{n}": v for n, v in variables.items()}))


def test_the_keys_that_are_valid_sign_the_newest_first() -> None:
    rule = written(
        draft(
            action_secret=[
                {"secret": "old", "not_after": T2},
                {"ref": "env:TOCSIN_SECRET_NEW", "not_before": T1},
                "always",
            ]
        )
    )
    keys = resolver(NEW="new")

    assert keys.signing_keys(rule, ms(T1) - 1) == (b"old", b"always")
    assert keys.signing_keys(rule, ms(T1)) == (b"new", b"old", b"always")
    assert keys.signing_keys(rule, ms(T2) - 1) == (b"new", b"old", b"always")
    assert keys.signing_keys(rule, ms(T2)) == (b"new", b"always")


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 5), st.none() | st.integers(6, 9)), min_size=1, max_size=8),
    st.integers(0, 10),
)
def test_a_key_signs_within_its_time_and_at_no_other(
    times: list[tuple[int | None, int | None]], at: int
) -> None:
    def moment(day: int | None) -> datetime | None:
        return None if day is None else T1 + timedelta(days=day)

    said = [
        {"secret": str(n), "not_before": moment(begins), "not_after": moment(ends)}
        for n, (begins, ends) in enumerate(times)
    ]
    rule = written(draft(action_secret=said))
    valid = [
        (-1 if begins is None else begins, -n, str(n).encode())
        for n, (begins, ends) in enumerate(times)
        if (begins is None or begins <= at) and (ends is None or at < ends)
    ]
    if valid:
        expected = tuple(key for _, _, key in sorted(valid, reverse=True))
        assert resolver().signing_keys(rule, ms(T1 + timedelta(days=at))) == expected
    else:
        with pytest.raises(SecretError, match="action_secret: none of its secrets is valid at this time"):
            resolver().signing_keys(rule, ms(T1 + timedelta(days=at)))


def test_without_a_secret_there_are_no_keys_and_a_single_one_is_always_valid() -> None:
    assert resolver().signing_keys(written(draft()), 0) == ()
    assert resolver().signing_keys(written(draft(action_secret="s")), 0) == (b"s",)


def test_a_valid_secret_that_can_t_be_read_is_an_error_with_its_place() -> None:
    rule = written(draft(action_secret=["fine", {"ref": "env:TOCSIN_SECRET_GONE"}]))

    with pytest.raises(SecretError, match=r"action_secret\[1\]: the environment variable TOCSIN_SECRET_GONE"):
        resolver().signing_keys(rule, 0)


class CountingRing(KeyRing):
    opened = 0

    def open(self, sealed: str, rule_id: int) -> str:
        type(self).opened += 1
        return super().open(sealed, rule_id)


@pytest.fixture
def counting() -> CountingRing:
    CountingRing.opened = 0
    ring_of = CountingRing.parse([KEY])
    assert isinstance(ring_of, CountingRing)
    return ring_of


SEALED = {
    "action_target": {"secret": "https://h.example/x"},
    "action_secret": ["a", "b"],
    "delivery": {"headers": {"A": {"secret": "c"}, "B": "d"}},
}


def use(resolver: Resolver, rule: TriggerRule) -> tuple[object, ...]:
    return resolver.target(rule), resolver.signing_keys(rule, 0), dict(resolver.headers(rule))


def test_a_rule_that_fires_all_the_time_is_opened_once(counting: CountingRing) -> None:
    rule, keys = written(draft(**SEALED)), Resolver(counting, References({}))

    for _ in range(100):
        assert use(keys, rule) == ("https://h.example/x", (b"a", b"b"), {"A": "c", "B": "d"})
    assert counting.opened == 4


def test_a_changed_rule_is_opened_anew(counting: CountingRing) -> None:
    keys = Resolver(counting, References({}))
    use(keys, written(draft(**SEALED)))

    assert keys.signing_keys(written(draft(action_secret="changed")), 0) == (b"changed",)
    assert keys.target(written(draft(action_target="https://other.example/"))) == "https://other.example/"


def test_of_too_many_rules_the_one_longest_unused_is_opened_again(counting: CountingRing) -> None:
    keys = Resolver(counting, References({}), most_rules=2)
    one, two, three = (
        draft(action_secret="s").to_rule(
            rule_id=n, uid="", set_name="", updated_by="", updated_at=NOW,
            **protected(draft(action_secret="s"), n, None, ring(KEY)),
        )
        for n in (1, 2, 3)
    )  # fmt: skip
    for rule in (one, two, one, three, one):
        keys.signing_keys(rule, 0)
    assert counting.opened == 3
    keys.signing_keys(two, 0)
    assert counting.opened == 4


def test_what_could_not_be_opened_is_tried_again() -> None:
    variables: dict[str, str] = {}
    keys = Resolver(ring(KEY), References(variables))
    rule = written(draft(action_target={"ref": "env:TOCSIN_SECRET_URL"}))
    with pytest.raises(SecretError):
        keys.target(rule)

    variables["TOCSIN_SECRET_URL"] = "https://h.example/"
    assert keys.target(rule) == "https://h.example/"
    variables["TOCSIN_SECRET_URL"] = "no url"
    with pytest.raises(SecretError, match="action_target: what it stands for is no target"):
        keys.target(rule)


def test_headers_with_references_follow_them() -> None:
    variables = {"TOCSIN_SECRET_A": "1"}
    keys = Resolver(ring(KEY), References(variables))
    rule = written(draft(delivery={"headers": {"A": {"ref": "env:TOCSIN_SECRET_A"}, "B": {"secret": "b"}}}))
    assert keys.headers(rule) == {"A": "1", "B": "b"}

    variables["TOCSIN_SECRET_A"] = "2"
    assert keys.headers(rule) == {"A": "2", "B": "b"}


# files


def aged(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(YEARS_AGO, YEARS_AGO))


def later() -> int:
    """A clock by which whatever the test writes was written long ago."""
    return 1 << 62


class Reads:
    """A clock that is asked once per file read; `after_ns` says how long after `path` changed it is."""

    def __init__(self, after_ns: int, path: Path) -> None:
        self.count = 0
        self._after_ns = after_ns
        self._path = path

    def __call__(self) -> int:
        self.count += 1
        return self._path.stat().st_ctime_ns + self._after_ns


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path) -> None:
    aged(tmp_path / "s", "abc")
    reads = Reads(3_000_000_000, tmp_path / "s")
    references = References({}, tmp_path, clock_ns=reads)

    assert [references.look_up("file:s") for _ in range(10)] == ["abc"] * 10
    assert reads.count == 1


def test_a_file_just_written_is_not_trusted_to_look_different_after_the_next_change(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("abc")
    reads = Reads(1_000_000_000, tmp_path / "s")
    references = References({}, tmp_path, clock_ns=reads)

    assert [references.look_up("file:s") for _ in range(2)] == ["abc"] * 2
    assert reads.count == 2


def grow(path: Path) -> None:
    path.write_text("abcd")


def replace(path: Path) -> None:
    other = path.with_name("other")
    aged(other, "xyz")
    other.rename(path)


def same_size_and_time(path: Path) -> None:
    aged(path, "xyz")


@pytest.mark.parametrize("change", [grow, replace, same_size_and_time])
def test_a_file_that_changed_is_read_again(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "s"
    aged(path, "abc")
    references = References({}, tmp_path, clock_ns=later)
    assert references.look_up("file:s") == "abc"

    change(path)
    assert references.look_up("file:s") == path.read_text() != "abc"


def test_a_mounted_secret_that_is_swapped_is_read_again(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        aged(tmp_path / f"..{version}" / "s", f"v{version}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "s").symlink_to("..data/s")
    references = References({}, tmp_path, clock_ns=later)
    assert references.look_up("file:s") == "v1"

    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert references.look_up("file:s") == "v2"


def test_a_link_that_leads_out_later_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir()
    aged(directory / "s", "abc")
    aged(tmp_path / "outside", "xyz")
    references = References({}, directory, clock_ns=later)
    assert references.look_up("file:s") == "abc"

    (directory / "s").unlink()
    (directory / "s").symlink_to("../outside")
    with pytest.raises(SecretError, match=r"leads out of secrets\.directory"):
        references.look_up("file:s")


def test_a_file_that_is_gone_is_missed_at_once(tmp_path: Path) -> None:
    aged(tmp_path / "s", "abc")
    references = References({}, tmp_path, clock_ns=later)
    assert references.look_up("file:s") == "abc"

    (tmp_path / "s").unlink()
    with pytest.raises(SecretError, match="file:s can't be read: No such file"):
        references.look_up("file:s")


def test_no_more_files_are_kept_than_the_bound(tmp_path: Path) -> None:
    for name in "abc":
        aged(tmp_path / name, name)
    reads = Reads(3_000_000_000, tmp_path / "c")
    references = References({}, tmp_path, most_files=2, clock_ns=reads)

    assert [references.look_up(f"file:{name}") for name in "abacab"] == list("abacab")
    assert reads.count == 4
