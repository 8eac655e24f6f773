"""Secrets: sealed for one rule, kept by the placeholder, looked up where a rule may look, never shown."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.rules import KeyRing, References, Resolver, RuleDraft, SecretError, TriggerRule
from processor.rules.protect import protected
from processor.rules.resolve import signing_key
from processor.rules.sealing import new_key
from processor.rules.values import Reference, Secret, SecretTarget
from tests.support.rules import KEY, NOW, OTHER_KEY, draft, ring

PLAIN = "hunter2-very-secret"
URL = f"https://h.example/{PLAIN}"


def rule_of(said: RuleDraft, rule_id: int = 7, keys: KeyRing | None = None) -> TriggerRule:
    """The rule as it stands in the topic after `said` was written."""
    sealed = protected(said, rule_id, None, keys or ring(KEY))
    return said.to_rule(rule_id=rule_id, uid="", set_name="", updated_by="", updated_at=NOW, **sealed)


def secret_of(value: object) -> str:
    assert isinstance(value, Secret)
    return value.secret


# sealing


@given(plain=st.text(min_size=1), rule_id=st.integers(1, 2**53 - 1))
def test_what_was_sealed_is_opened_again(plain: str, rule_id: int) -> None:
    keys = ring(KEY)

    sealed = keys.seal(plain, rule_id)

    assert sealed.startswith("sealed:k1:")
    assert plain not in base64.b64decode(sealed.rpartition(":")[2]).decode("latin-1") or len(plain) < 4
    assert keys.open(sealed, rule_id) == plain


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    keys = ring(KEY)

    assert keys.seal(PLAIN, 7) != keys.seal(PLAIN, 7)


def test_a_sealed_value_is_bound_to_its_rule() -> None:
    keys = ring(KEY)

    with pytest.raises(SecretError, match="sealed for another rule"):
        keys.open(keys.seal(PLAIN, 7), 8)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sealed: sealed[:-8] + "AAAAAAA=",
        lambda sealed: sealed[:-1],
        lambda sealed: "sealed:k1:",
        lambda sealed: "sealed:k1:" + "A" * 40,
        lambda sealed: "sealed:k1:\u00e4",
    ],
)
def test_a_spoilt_value_is_refused(spoil: Callable[[str], str]) -> None:
    keys = ring(KEY)

    with pytest.raises(SecretError, match="can't be opened with key k1"):
        keys.open(spoil(keys.seal(PLAIN, 7)), 7)


def test_the_first_key_seals_and_all_of_them_open() -> None:
    old, both = ring(KEY), ring(OTHER_KEY, KEY)

    assert both.open(old.seal(PLAIN, 7), 7) == PLAIN
    assert both.seal(PLAIN, 7).startswith("sealed:k2:")
    with pytest.raises(SecretError, match="key k2, which is not in"):
        old.open(both.seal(PLAIN, 7), 7)


def test_without_a_key_nothing_is_sealed_and_the_command_that_makes_one_is_named() -> None:
    with pytest.raises(SecretError, match="tocsin secrets new-key"):
        ring().seal(PLAIN, 7)


def test_a_new_key_is_one_that_settings_and_ring_take() -> None:
    entry = new_key("mine")

    assert ring(entry).open(ring(entry).seal("x", 1), 1) == "x"
    assert new_key("mine") != entry


@pytest.mark.parametrize("entry", ["", "k1", "k1:", "k1:AAAA", f":{KEY[3:]}", "k1:!"])
def test_an_entry_that_is_no_key_is_refused_without_showing_it(entry: str) -> None:
    with pytest.raises(SecretError, match=r"secrets\.keys entry 2") as caught:
        ring(OTHER_KEY, entry)
    assert not entry or entry not in str(caught.value)


def test_a_ring_shows_only_the_ids_of_its_keys() -> None:
    assert repr(ring(KEY, OTHER_KEY)) == "KeyRing(k1, k2)"


# references


def test_a_reference_names_only_variables_meant_for_it() -> None:
    references = References({"TOCSIN_SECRET_A": PLAIN, "HOME": "/root"})

    assert references.look_up("env:TOCSIN_SECRET_A") == PLAIN
    for ref in ("env:HOME", "env:TOCSIN_SECRET_", "env:TOCSIN_SECRET_A ", "TOCSIN_SECRET_A", "", "env:"):
        with pytest.raises(SecretError, match="a reference is"):
            references.look_up(ref)
    with pytest.raises(SecretError, match="TOCSIN_SECRET_B is not set in this process"):
        references.look_up("env:TOCSIN_SECRET_B")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"abc", "abc"), (b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"a\n\n", "a\n"), (b" a ", " a ")],
)
def test_a_file_is_read_without_one_newline(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "s").write_bytes(content)

    assert References({}, tmp_path).look_up("file:s") == text


def test_a_mounted_secret_made_of_links_is_read(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "s").write_text("abc")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "s").symlink_to("..data/s")

    assert References({}, tmp_path).look_up("file:s") == "abc"


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("file:out", "leads out of secrets.directory"),
        ("file:loop", "can't be read"),
        ("file:missing", "can't be read: No such file"),
        ("file:sub", "can't be read: Is a directory"),
        ("file:large", "is larger than"),
        ("file:binary", "is not UTF-8"),
        ("file:empty", "is empty"),
        ("file:../outside", "without .."),
        ("file:/etc/passwd", "without / in front"),
        ("file:", "a reference is"),
        ("file:a\nb", "a reference is"),
    ],
)
def test_a_file_reference_never_leaves_its_directory(tmp_path: Path, ref: str, reason: str) -> None:
    directory = tmp_path / "secrets"
    (directory / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text(PLAIN)
    (directory / "out").symlink_to("../outside")
    (directory / "loop").symlink_to("loop")
    (directory / "large").write_bytes(b"x" * 70_000)
    (directory / "binary").write_bytes(b"\xff")
    (directory / "empty").write_bytes(b"\n")

    with pytest.raises(SecretError, match=reason) as caught:
        References({}, directory).look_up(ref)
    assert PLAIN not in str(caught.value)


def test_a_file_reference_without_a_directory_says_so() -> None:
    with pytest.raises(SecretError, match=r"secrets\.directory is not set"):
        References({}).look_up("file:s")


# what the sender gets


def test_the_sender_gets_target_key_and_headers_in_plain() -> None:
    rule = rule_of(
        draft(
            action_target={"secret": URL},
            action_secret=PLAIN,
            delivery={"headers": {"A": "1", "B": {"secret": PLAIN}, "C": {"ref": "env:TOCSIN_SECRET_C"}}},
        )
    )
    resolver = Resolver(ring(KEY), References({"TOCSIN_SECRET_C": "see"}))

    assert PLAIN not in str(rule.model_dump())
    assert resolver.target(rule) == URL
    assert resolver.signing_key(rule) == PLAIN.encode()
    assert resolver.headers(rule) == {"A": "1", "B": PLAIN, "C": "see"}
    assert resolver.signing_key(rule_of(draft())) is None


def test_a_plain_producers_unsealed_secret_works() -> None:
    unsealed = draft(action_secret=PLAIN).to_rule(
        rule_id=7, uid="", set_name="", updated_by="", updated_at=None
    )

    assert unsealed.unsealed() == ("action_secret",)
    assert Resolver(ring(), References({})).signing_key(unsealed) == PLAIN.encode()


@pytest.mark.parametrize(
    ("said", "ask", "place"),
    [
        ({"action_secret": PLAIN}, Resolver.signing_key, "action_secret"),
        ({"action_target": {"secret": URL}}, Resolver.target, "action_target"),
        ({"delivery": {"headers": {"A": {"secret": PLAIN}}}}, Resolver.headers, "delivery.headers.A"),
    ],
)
def test_what_can_not_be_opened_is_said_with_its_field(
    said: dict[str, object], ask: Callable[[Resolver, TriggerRule], object], place: str
) -> None:
    rule = rule_of(draft(**said))

    with pytest.raises(SecretError, match=f"{place}: is sealed with key k1") as caught:
        ask(Resolver(ring(OTHER_KEY), References({})), rule)
    assert caught.value.place == place
    assert PLAIN not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "ask", "looked_up", "reason"),
    [
        (
            {"action_target": {"ref": "env:TOCSIN_SECRET_X"}},
            Resolver.target,
            f"ftp://{PLAIN}",
            "action_target: ",
        ),
        (
            {"delivery": {"headers": {"A": {"ref": "env:TOCSIN_SECRET_X"}}}},
            Resolver.headers,
            f"{PLAIN}\r\nHost: x",
            "delivery.headers.A: holds a line break",
        ),
    ],
)
def test_what_was_looked_up_is_checked_like_what_is_written(
    said: dict[str, object], ask: Callable[[Resolver, TriggerRule], object], looked_up: str, reason: str
) -> None:
    resolver = Resolver(ring(), References({"TOCSIN_SECRET_X": looked_up}))

    with pytest.raises(SecretError, match=reason) as caught:
        ask(resolver, rule_of(draft(**said)))
    assert PLAIN not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        ("whsec_", b"whsec_"),
        ("whsec_not base64!", b"whsec_not base64!"),
        ("plain ü", "plain ü".encode()),
    ],
)
def test_a_signing_secret_is_base64_behind_whsec_and_else_its_bytes(secret: str, key: bytes) -> None:
    assert signing_key(secret) == key


# what a write does with them


def test_a_value_the_rule_has_already_keeps_its_sealed_text() -> None:
    keys = ring(KEY)
    said = draft(
        action_target={"secret": URL}, action_secret=PLAIN, delivery={"headers": {"A": {"secret": "a"}}}
    )
    current = rule_of(said, keys=keys)

    again = protected(said, 7, current, keys)

    assert again["action_secret"] == current.action_secret
    assert again["action_target"] == current.action_target
    assert again["delivery"] == current.delivery


def test_the_placeholder_keeps_what_is_there() -> None:
    keys = ring(KEY)
    current = rule_of(
        draft(
            action_target={"secret": URL},
            action_secret={"ref": "env:TOCSIN_SECRET_A"},
            delivery={"headers": {"A": {"secret": "a"}, "B": "b"}},
        )
    )
    said = draft(action_target="***", action_secret="***", delivery={"headers": {"A": "***", "B": "***"}})

    kept = protected(said, 7, current, keys)

    assert kept["action_target"] == current.action_target
    assert kept["action_secret"] == Reference(ref="env:TOCSIN_SECRET_A")
    assert kept["delivery"].headers == current.delivery.headers


def test_the_placeholder_needs_something_to_keep() -> None:
    current = rule_of(draft())

    for said, place in [
        (draft(action_secret="***"), "action_secret"),
        (draft(delivery={"headers": {"A": "***"}}), "delivery.headers.A"),
    ]:
        with pytest.raises(SecretError, match=f"{place}: .* nothing yet that could stay"):
            protected(said, 7, current, ring(KEY))


def test_a_sealed_target_keeps_its_origin_readable() -> None:
    sealed = protected(draft(action_target={"secret": URL}), 7, None, ring(KEY))["action_target"]

    assert isinstance(sealed, SecretTarget)
    assert sealed.origin == "https://h.example"
    assert PLAIN not in str(sealed.model_dump())


def test_an_unsealed_secret_is_sealed_by_the_next_write() -> None:
    unsealed = draft(action_secret=PLAIN).to_rule(
        rule_id=7, uid="", set_name="", updated_by="", updated_at=None
    )

    kept = protected(draft(action_secret="***"), 7, unsealed, ring(KEY))

    assert ring(KEY).open(secret_of(kept["action_secret"]), 7) == PLAIN
    with pytest.raises(SecretError, match=r"action_secret: .*new-key"):
        protected(draft(action_secret="***"), 7, unsealed, ring())


def test_what_an_older_key_sealed_is_sealed_anew_by_the_first() -> None:
    current = rule_of(draft(action_secret=PLAIN), keys=ring(KEY))
    rotated = ring(OTHER_KEY, KEY)

    for said in (draft(action_secret="***"), draft(action_secret=PLAIN)):
        value = secret_of(protected(said, 7, current, rotated)["action_secret"])
        assert value.startswith("sealed:k2:")
        assert rotated.open(value, 7) == PLAIN


def test_a_secret_whose_key_is_gone_is_kept_by_the_placeholder_and_replaced_by_a_new_one() -> None:
    current = rule_of(draft(action_secret=PLAIN), keys=ring(KEY))
    keys = ring(OTHER_KEY)

    assert protected(draft(action_secret="***"), 7, current, keys)["action_secret"] == current.action_secret
    assert (
        keys.open(secret_of(protected(draft(action_secret=PLAIN), 7, current, keys)["action_secret"]), 7)
        == PLAIN
    )


def test_a_sealed_value_from_an_export_is_kept_under_its_id_and_sealed_anew_under_another() -> None:
    keys = ring(KEY)
    sealed = keys.seal(PLAIN, 7)
    exported = draft(id=7, action_secret={"secret": sealed})

    assert secret_of(protected(exported, 7, None, keys)["action_secret"]) == sealed
    assert secret_of(protected(exported, 7, None, ring())["action_secret"]) == sealed
    assert keys.open(secret_of(protected(exported, 8, None, keys)["action_secret"]), 8) == PLAIN
    with pytest.raises(SecretError, match="action_secret: is sealed with key k1, which is not in"):
        protected(exported, 8, None, ring(OTHER_KEY))


def test_a_sealed_value_copied_from_another_rule_is_refused() -> None:
    keys = ring(KEY)
    copied = draft(action_secret={"secret": keys.seal(PLAIN, 7)})

    with pytest.raises(SecretError, match=r"action_secret: .*sealed for another rule"):
        protected(copied, 8, None, keys)
