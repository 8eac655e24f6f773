"""A sender that reaches its receivers through a forward proxy only."""

from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.beside import beside
from tests.support.brokers import Broker
from tests.support.proxy import ForwardProxy, proxying
from tests.support.receivers import Authority, Receiver, answering, receiving
from tests.support.sender_site import sender_site

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NAMES = {"plain.example": "127.0.0.1", "hooks.example": "127.0.0.1"}


def test_every_webhook_goes_through_the_proxy_of_the_settings(broker: Broker, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    serving = authority.serving(authority.issue("hooks.example"), wants_client=True)
    shown = str(authority.issue("tocsin.example"))

    async def servers(stack: AsyncExitStack) -> tuple[ForwardProxy, Receiver, Receiver]:
        return (
            await stack.enter_async_context(proxying(NAMES, login="tocsin:hunter2")),
            await stack.enter_async_context(receiving(answering(OK))),
            await stack.enter_async_context(receiving(answering(OK), tls=serving)),
        )

    with beside(servers) as (proxy, plain, secure):
        (tmp_path / "proxy").write_text(f"{proxy.url('tocsin:hunter2@')}\n")
        with sender_site(
            broker,
            tmp_path,
            env={"TOCSIN_SENDER__EGRESS__PROXY_FILE": str(tmp_path / "proxy")},
            topics={"partitions": 1},
            sender={
                "retry_schedule": ["1s"],
                "tls": {"ca": str(authority.path), "certificate": shown},
                "egress": {"allow_cidrs": []},
            },
        ) as site:
            here = site.here
            targets = {
                1: plain.url("plain.example", "/a"),
                2: secure.url("hooks.example", "/SECRET", "https"),
                3: secure.url("gone.example", "/SECRET", "https"),
                4: plain.url("127.0.0.1", "/SECRET"),
            }
            for rule_id, target in targets.items():
                here.put_rule(rule_id, target)
            jobs = {rule_id: here.add_job(rule_id) for rule_id in targets}
            here.wait_audit(jobs[1], "delivered")
            here.wait_audit(jobs[2], "delivered")
            failed, dead = here.wait_audit(jobs[3], "failed", "dead")
            (blocked,) = here.wait_audit(jobs[4], "dead")
            log = site.sender.log()

    assert (failed["stage"], failed["status"], dead["reason"]) == ("connect", None, "exhausted")
    assert failed["error"].startswith(
        f"the proxy 127.0.0.1:{proxy.at.port} made no connection to gone.example"
    )
    assert blocked["reason"] == "blocked"
    assert sorted(proxy.asked) == sorted(
        [
            f"POST http://plain.example:{plain.port}/a HTTP/1.1",
            f"CONNECT hooks.example:{secure.port} HTTP/1.1",
            *[f"CONNECT gone.example:{secure.port} HTTP/1.1"] * 2,
        ]
    )
    assert [len(plain.requests), len(secure.requests)] == [1, 1]
    assert "hunter2" not in log
    assert "SECRET" not in log
