"""The forward proxy that all webhooks go through, where one is set; never one of the environment.

An http target is asked for in absolute form, an https one through a tunnel (CONNECT; RFC 9110, 9.3.6), in
which TLS is spoken with the receiver itself. What a name resolves to, and where the connection leads, is then
the proxy's doing: only what a target's URL tells is checked here.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from yarl import URL


@dataclass(frozen=True, slots=True)
class Proxy:
    """url: without user name and password; headers: what the proxy alone is told, so who we are to it."""

    url: URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """From the text of sender.egress.proxy, which the settings have checked."""
        url = URL(text)
        if url.user is None:
            return cls(url)
        login = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()  # RFC 7617, 2
        return cls(url.with_user(None), {"Proxy-Authorization": f"Basic {login}"})

    @property
    def port(self) -> int:
        """The URL's own, or its scheme's."""
        return self.url.port or 0

    @property
    def place(self) -> str:
        """`host:port`, as messages name it."""
        host = self.url.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
