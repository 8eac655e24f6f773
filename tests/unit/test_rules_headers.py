"""Which headers a rule may not choose, from a list of its own."""

import pytest

from processor.rules.headers import check_header_name, check_header_value

REFUSED = [
    *(
        "Host",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "User-Agent",
        "Traceparent",
        "Tracestate",
    ),
    *("webhook-id", "webhook-timestamp", "webhook-signature", "webhook-attempt", "webhook-anything"),
    *("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection"),
    *("TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect"),
]
TAKEN = [
    "Authorization",
    "X-Webhook-Id",
    "Accept",
    "Cookie",
    "X-Team",
    "Webhooks",
    "Content-Language",
    "Date",
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_request_is_made_of_can_not_be_chosen_in_any_case(name: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.title()):
        with pytest.raises(ValueError, match="set by Tocsin itself"):
            check_header_name(spelling)


@pytest.mark.parametrize("name", TAKEN)
def test_others_can_be_chosen(name: str) -> None:
    check_header_name(name)


@pytest.mark.parametrize(
    "name", ["", " Host", "Host ", "Host:", "a b", "a\r\nb", "a\0", "ü", "a" * 129, "(x)"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header name"):
        check_header_name(name)


@pytest.mark.parametrize("value", ["a\r\nHost: x", "a\nb", "a\0", "\x7f", "ü", "x" * 4_097])
def test_value_that_would_break_the_request_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValueError, match=r"holds a line break|longer than") as refused:
        check_header_value(value)
    assert value not in str(refused.value)
