"""The settings of the admin API: where it listens, and who may use it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, SecretStr, model_validator

from processor.settings_sources import Group, wrong
from processor.settings_values import HIDDEN, Listen, ReadableFile

Role = Literal["read", "write"]
ROLES: Final[tuple[Role, ...]] = ("read", "write")

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.@-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,512}=*")  # RFC 6750, 2.1: what can stand behind "Bearer "


@dataclass(frozen=True, slots=True)
class AdminToken:
    """Who a token speaks for: the name goes into `updated_by` and the log; `write` includes `read`."""

    token: SecretStr
    role: Role


def read_tokens(value: object) -> dict[str, AdminToken]:
    """A map of names to tokens, as the settings and the tokens file have it; raises ValueError.

    A token is text, which may write, or `{"token": …, "role": "read"|"write"}`. No message repeats one.
    """
    if not isinstance(value, Mapping):
        raise ValueError("must be a map of names to tokens")  # noqa: TRY004  (pydantic reports a ValueError)
    tokens: dict[str, AdminToken] = {}
    for name, given in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a token's name must be 1 to 64 letters, digits, '.', '_', '@' and '-'")
        token = _read_token(name, given)
        text = token.token.get_secret_value()
        if any(text == other.token.get_secret_value() for other in tokens.values()):
            raise ValueError(f"{name} has the token of another name: the log could not tell who it was")
        tokens[name] = token
    return tokens


def _read_token(name: str, given: object) -> AdminToken:
    if isinstance(given, AdminToken):
        return given
    role: object = "write"
    if isinstance(given, Mapping):
        if unknown := [key for key in given if key not in ("token", "role")]:
            raise ValueError(f"{name}: unknown field {str(unknown[0])[:40]!r}; there are token and role")
        role, given = given.get("role", "write"), given.get("token")
    if role not in ROLES:
        raise ValueError(f"{name}: role must be read or write")
    if not isinstance(given, str) or not _TOKEN.fullmatch(given):
        raise ValueError(
            f"{name}: a token must be text of letters, digits and -._~+/ (`openssl rand -hex 32` makes one)"
        )
    return AdminToken(SecretStr(given), role)


def _show_tokens(tokens: Mapping[str, AdminToken]) -> dict[str, dict[str, str]]:
    return {name: {"token": HIDDEN, "role": token.role} for name, token in tokens.items()}


def _somewhere(listen: str) -> str:
    if not listen:
        raise ValueError("must be host:port; the API is off where `tocsin run admin` isn't run")
    return listen


AdminTokens = Annotated[
    dict[str, AdminToken], PlainValidator(read_tokens), PlainSerializer(_show_tokens, return_type=dict)
]


class AdminTlsSettings(Group):
    """TLS of the admin API; without a certificate it speaks plain HTTP."""

    certificate: ReadableFile | None = Field(
        default=None, description="PEM file with the API's certificate, and those up to its authority."
    )
    key: ReadableFile | None = Field(
        default=None,
        description="PEM file with that certificate's private key; none if the certificate's file has it.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key and not self.certificate:
            raise wrong("admin.tls.certificate", "is needed too: a key without its certificate has no effect")
        return self


class AdminSettings(Group):
    """The admin API: where it listens, and who may use it."""

    listen: Annotated[Listen, AfterValidator(_somewhere)] = Field(
        default="0.0.0.0:8080",
        description="Where the API is served: host:port. Port 0 takes a free one and logs it.",
    )
    tokens: AdminTokens = Field(
        default={},
        description='Bearer tokens by name: {"name": "token"} may write, {"name": {"token": "…", "role":'
        ' "read"}} may not. Without any the API does not start. Secrets.',
    )
    tokens_file: ReadableFile | None = Field(
        default=None,
        description="A YAML or JSON file with more of them, in the same form; it is read again when it"
        " changes.",
    )
    tls: AdminTlsSettings = AdminTlsSettings()

    @property
    def has_tokens(self) -> bool:
        """Whether anybody could use it."""
        return bool(self.tokens) or self.tokens_file is not None
