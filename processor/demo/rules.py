"""The rules of the run: read from files, aimed at the demo's own receiver, written by the rule store."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from yarl import URL

from processor.demo.errors import DemoError
from processor.kafka.errors import KafkaFailure
from processor.rules import RuleDraft, RuleFailure, RuleStore, Writer
from processor.rules.changes import Change
from processor.rules.files import read_rules
from processor.rules.plan import SourcedDraft, Wanted, make_plan
from processor.rules.resolve import signing_key
from processor.rules.table import RuleSnapshot
from processor.rules.values import Reference, SecretValue
from processor.settings import Settings

_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class DemoRules:
    """What to apply, the signing keys by rule name, and the variables that the rules' references need.

    `aimed`: how many targets were changed to point to the receiver.
    """

    wanted: Wanted
    keys: Mapping[str, bytes]
    secrets: Mapping[str, str]
    aimed: int


def load_rules(
    source: Path, origin: str, environ: Mapping[str, str], random: Callable[[int], bytes]
) -> DemoRules:
    """Read rules files; every target is made to point to `origin`, so that the demo calls nobody else.

    A referenced variable that `environ` doesn't have gets a value of its own. Raises DemoError with all that
    is wrong.
    """
    try:
        read = read_rules([str(source)], StringIO())
    except RuleFailure as failure:
        raise DemoError(str(failure)) from None
    if read.problems:
        raise DemoError("; ".join(line for problem in read.problems for line in problem.lines()))
    if not read.wanted.drafts:
        raise DemoError(f"{source}: no rules in it")
    drafts: list[SourcedDraft] = []
    keys: dict[str, bytes] = {}
    secrets: dict[str, str] = {}
    aimed = 0
    for place, draft in ((sourced.place, sourced.draft) for sourced in read.wanted.drafts):
        target = aim(draft, origin)
        aimed += target != draft.action_target
        drafts.append(SourcedDraft(place, draft.model_copy(update={"action_target": target})))
        for reference in _references(draft):
            _provide(reference, f"{place} ({draft.name})", environ, random, secrets)
        if (secret := _signing(draft)) is not None:
            if isinstance(secret, Reference):
                name = secret.ref.removeprefix(_VARIABLE)
                keys[draft.name] = signing_key(secrets.get(name) or environ[name])
            elif secret.is_plain:
                keys[draft.name] = signing_key(secret.secret)
    return DemoRules(Wanted(tuple(drafts), read.wanted.next_id), keys, secrets, aimed)


def aim(draft: RuleDraft, origin: str) -> str:
    """The rule's target with `origin` (scheme, host, port) in place of its own; the path stays.

    A target that is not written out becomes a path with the rule's name.
    """
    target = draft.action_target
    if isinstance(target, str):
        url = URL(target)
        return target if url.origin() == URL(origin) else str(URL(origin).join(url.relative()))
    return str(URL(origin) / draft.name)


def apply_rules(rules: DemoRules, settings: Settings) -> int:
    """Write them; how many were created. Blocks until they are in force; raises DemoError."""
    writer = Writer.of(settings, "demo")

    def plan(snapshot: RuleSnapshot) -> tuple[Change, ...]:
        made = make_plan(rules.wanted, snapshot, writer.keys)
        if made.invalid:
            raise DemoError("; ".join(step.reason for step in made.invalid))
        return made.changes

    try:
        with RuleStore(settings, writer) as store:
            return len(store.transact(plan))
    except (RuleFailure, KafkaFailure) as failure:
        raise DemoError(str(failure)) from None


def _references(draft: RuleDraft) -> Iterable[Reference]:
    values = (*(secret for _, secret in draft.signing_secrets()), *draft.delivery.headers.values())
    return (value for value in values if isinstance(value, Reference))


def _signing(draft: RuleDraft) -> SecretValue | None:
    """The secret that signs now, one of them during a rotation: any valid signature is enough."""
    if not isinstance(draft.action_secret, tuple):
        return draft.action_secret
    now_ms = time.time_ns() // 1_000_000
    return next((one.value for one in draft.action_secret if one.holds(now_ms)), None)


def _provide(
    reference: Reference,
    place: str,
    environ: Mapping[str, str],
    random: Callable[[int], bytes],
    secrets: MutableMapping[str, str],
) -> None:
    if not reference.ref.startswith(_VARIABLE):
        raise DemoError(f"{place}: {reference.ref}: the demo has no secrets.directory")
    name = reference.ref.removeprefix(_VARIABLE)
    if name not in environ and name not in secrets:
        secrets[name] = "whsec_" + base64.b64encode(random(24)).decode()
