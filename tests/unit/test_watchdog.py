"""The watchdog ends a process only when a call hangs though the broker answers."""

from dataclasses import dataclass, field

import pytest

from processor.kafka.watch import Watchdog

LIMIT = 10.0


@dataclass
class Scene:
    """What the watchdog sees, and what it did."""

    blocked_since: float | None = None
    broker_answers: bool = True
    while_asking: float | str | None = "same"
    rested: int = 0
    ended: list[bool] = field(default_factory=list)

    def rest(self) -> None:
        self.rested += 1

    def watchdog(self) -> Watchdog:
        def answers() -> bool:
            if self.while_asking != "same":
                assert not isinstance(self.while_asking, str)
                self.blocked_since = self.while_asking
            return self.broker_answers

        return Watchdog(
            lambda: self.blocked_since, answers, (self,), end=lambda: self.ended.append(True), limit=LIMIT
        )


def test_nothing_hangs() -> None:
    scene = Scene()
    scene.watchdog().look(1_000.0)
    assert (scene.ended, scene.rested) == ([], 0)


def test_a_call_within_the_limit_is_let_be() -> None:
    scene = Scene(blocked_since=990.0)
    scene.watchdog().look(1_000.0)
    assert (scene.ended, scene.rested) == ([], 0)


def test_a_call_that_hangs_though_the_broker_answers_ends_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(blocked_since=989.0)
    scene.watchdog().look(1_000.0)
    assert scene.ended == [True]
    assert "a transaction hangs" in caplog.text


def test_while_no_broker_answers_the_call_is_right_to_wait_and_no_sign_of_life_is_due() -> None:
    scene = Scene(blocked_since=100.0, broker_answers=False)
    watchdog = scene.watchdog()
    for second in range(60):
        watchdog.look(1_000.0 + second)
    assert (scene.ended, scene.rested) == ([], 60)
    scene.broker_answers = True
    watchdog.look(1_060.0)
    assert scene.ended == [True]


@pytest.mark.parametrize("since", [None, 999.5])
def test_a_call_that_ends_while_the_broker_is_asked_did_not_hang(since: float | None) -> None:
    scene = Scene(blocked_since=980.0, while_asking=since)
    scene.watchdog().look(1_000.0)
    assert scene.ended == []
