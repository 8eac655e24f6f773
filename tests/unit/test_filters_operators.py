"""What each operator means: the examples of Amazon EventBridge's documentation and their edges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processor.filters import compile_filter

# Pattern and event as JSON, one line each: what passes, then what doesn't.
PASSES = r"""
{"Location": ["New York"], "Day": ["Monday"]}                  {"Location": "New York", "Day": "Monday"}
{"state": [{"anything-but": "initializing"}]}                  {"state": "running"}
{"x-limit": [{"anything-but": 123}]}                           {"x-limit": 124}
{"x-limit": [{"anything-but": 123}]}                           {"x-limit": "123"}
{"state": [{"anything-but": ["stopped", "overloaded"]}]}       {"state": "running"}
{"x-limit": [{"anything-but": [100, 200, 300]}]}               {"x-limit": 100.5}
{"state": [{"anything-but": "running"}]}                       {"state": null}
{"state": [{"anything-but": "running"}]}                       {"state": ["running", "stopped"]}
{"Region": [{"anything-but": {"prefix": "us-"}}]}              {"Region": "eu-west-1"}
{"Region": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}     {"Region": "ap-east-1"}
{"Region": [{"anything-but": {"prefix": "us-"}}]}              {"Region": 5}
{"FileName": [{"anything-but": {"suffix": ".png"}}]}           {"FileName": "a.jpg"}
{"state": [{"anything-but": {"equals-ignore-case": "init"}}]}  {"state": "inits"}
{"state": [{"anything-but": {"equals-ignore-case": ["a", "b"]}}]}  {"state": "C"}
{"Path": [{"anything-but": {"wildcard": "*/lib/*"}}]}          {"Path": "/usr/bin/x"}
{"Path": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}  {"Path": "/usr/etc/x"}
{"Region": [{"prefix": "us-"}]}                                {"Region": "us-east-1"}
{"Region": [{"prefix": ""}]}                                   {"Region": ""}
{"service": [{"prefix": {"equals-ignore-case": "eventb"}}]}    {"service": "EventBridge"}
{"LastName": [""]}                                             {"LastName": ""}
{"Name": [{"equals-ignore-case": "alice"}]}                    {"Name": "ALICE"}
{"Name": [{"equals-ignore-case": "straße"}]}                   {"Name": "STRASSE"}
{"FileName": [{"suffix": ".png"}]}                             {"FileName": ".png"}
{"service": [{"suffix": {"equals-ignore-case": "tbridge"}}]}   {"service": "EVENTBRIDGE"}
{"ProductName": [{"exists": true}]}                            {"ProductName": null}
{"ProductName": [{"exists": false}]}                           {"Other": 1}
{"Product": {"Name": [{"exists": false}]}}                     {"Other": 1}
{"Product": {"Name": [{"exists": false}]}}                     {"Product": 1}
{"Product": [{"exists": false}]}                               {"Product": {"Name": 1}}
{"Product": [{"exists": false}]}                               {"Product": []}
{"Product": [{"exists": false}, "x"]}                          {"Product": "x"}
{"Product": [{"exists": false}, "x"]}                          {}
{"UserID": [null]}                                             {"UserID": null}
{"Price": [{"numeric": ["=", 100]}]}                           {"Price": 1.0e2}
{"Price": [100]}                                               {"Price": 100.0}
{"Price": [1e2]}                                               {"Price": 100}
{"Price": [{"numeric": [">", 10, "<=", 20]}]}                  {"Price": 20}
{"Price": [{"numeric": [">", 9007199254740992]}]}              {"Price": 9007199254740993}
{"Price": [{"numeric": [">", 0]}]}                             {"Price": 0.0000001}
{"PaymentType": ["Credit", "Debit"]}                           {"PaymentType": "Debit"}
{"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}     {"Day": "Monday"}
{"a": ["x"], "$or": [{"b": [1]}, {"c": [{"numeric": ["<", 5]}]}]}  {"a": "x", "c": 4}
{"a": {"$or": [{"b": [1]}, {"c": [1], "$or": [{"d": [1]}, {"e": [1]}]}]}}  {"a": {"c": 1, "e": 1}}
{"File": [{"wildcard": "dir/*.png"}]}                          {"File": "dir/a/b.png"}
{"File": [{"wildcard": "*"}]}                                  {"File": ""}
{"File": [{"wildcard": "a*a"}]}                                {"File": "aa"}
{"File": [{"wildcard": "a\\*\\\\*"}]}                          {"File": "a*\\b"}
{"File": [{"wildcard": "a.c"}]}                                {"File": "a.c"}
{"ip": [{"cidr": "10.0.0.0/24"}]}                              {"ip": "10.0.0.255"}
{"ip": [{"cidr": "10.0.0.7/24"}]}                              {"ip": "10.0.0.0"}
{"ip": [{"cidr": "10.0.0.7/32"}]}                              {"ip": "10.0.0.7"}
{"ip": [{"cidr": "2001:db8::/32"}]}                            {"ip": "2001:DB8:0::1"}
{"ip": [{"cidr": "10.0.0.0/8"}]}                               {"ip": "::ffff:10.0.0.1"}
{"ip": [{"cidr": "::ffff:0:0/96"}]}                            {"ip": "::ffff:10.0.0.1"}
{"ok": [true]}                                                 {"ok": true}
{"ok": [{"anything-but": 1}]}                                  {"ok": true}
"""

REFUSES = r"""
{"Location": ["New York"], "Day": ["Monday"]}                  {"Location": "New York", "Day": "Tuesday"}
{"state": [{"anything-but": "initializing"}]}                  {"state": "initializing"}
{"state": [{"anything-but": "initializing"}]}                  {"other": "initializing"}
{"state": [{"anything-but": "initializing"}]}                  {"state": {}}
{"state": [{"anything-but": ["a", "b"]}]}                      {"state": ["a", "b", "a"]}
{"x-limit": [{"anything-but": 123}]}                           {"x-limit": 123.0}
{"x-limit": [{"anything-but": [1, 0.5]}]}                      {"x-limit": 5e-1}
{"Region": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}     {"Region": "eu-west-1"}
{"FileName": [{"anything-but": {"suffix": ".png"}}]}           {"FileName": "a.png"}
{"state": [{"anything-but": {"equals-ignore-case": "init"}}]}  {"state": "INIT"}
{"Path": [{"anything-but": {"wildcard": "*/lib/*"}}]}          {"Path": "/usr/lib/x"}
{"Region": [{"prefix": "us-"}]}                                {"Region": "US-east-1"}
{"Region": [{"prefix": ""}]}                                   {"Region": 5}
{"Region": [{"prefix": {"equals-ignore-case": "us"}}]}         {"Region": 5}
{"Name": [{"equals-ignore-case": "alice"}]}                    {"Name": "alicea"}
{"Name": ["alice"]}                                            {"Name": "Alice"}
{"FileName": [{"suffix": ".png"}]}                             {"FileName": ".PNG"}
{"ProductName": [{"exists": true}]}                            {"ProductName": {"x": 1}}
{"ProductName": [{"exists": true}]}                            {"ProductName": []}
{"ProductName": [{"exists": false}]}                           {"ProductName": null}
{"Product": {"Name": [{"exists": false}]}}                     {"Product": [{"Name": 1}, {"Other": 1}]}
{"Product": [{"exists": false}, "x"]}                          {"Product": "y"}
{"UserID": [null]}                                             {"Other": 1}
{"UserID": [null]}                                             {"UserID": "null"}
{"Price": [100]}                                               {"Price": "100"}
{"Price": [1]}                                                 {"Price": true}
{"Price": [0]}                                                 {"Price": false}
{"Price": [{"numeric": ["=", 1]}]}                             {"Price": true}
{"Price": [{"numeric": ["=", 100]}]}                           {"Price": "100"}
{"Price": [{"numeric": [">", 10, "<=", 20]}]}                  {"Price": 10}
{"Price": [9007199254740993]}                                  {"Price": 9007199254740992}
{"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}     {"Day": "Sunday", "Location": "Rome"}
{"a": ["x"], "$or": [{"b": [1]}, {"c": [1]}]}                  {"a": "y", "c": 1}
{"a": [3], "$or": [{"a": [1]}, {"b": [2]}]}                    {"a": 1}
{"File": [{"wildcard": "dir/*.png"}]}                          {"File": "dir.png"}
{"File": [{"wildcard": "a*a"}]}                                {"File": "a"}
{"File": [{"wildcard": "a\\*"}]}                               {"File": "ab"}
{"File": [{"wildcard": "*ab*ab*"}]}                            {"File": "xabx"}
{"File": [{"wildcard": "a.c"}]}                                {"File": "abc"}
{"File": [{"wildcard": "*"}]}                                  {"File": 1}
{"ip": [{"cidr": "10.0.0.0/24"}]}                              {"ip": "10.0.1.0"}
{"ip": [{"cidr": "10.0.0.0/24"}]}                              {"ip": "10.0.0"}
{"ip": [{"cidr": "10.0.0.0/24"}]}                              {"ip": "10.0.0.1:80"}
{"ip": [{"cidr": "10.0.0.0/8"}]}                               {"ip": 167772161}
{"ip": [{"cidr": "::/0"}]}                                     {"ip": "10.0.0.1"}
{"ip": [{"cidr": "fe80::/10"}]}                                {"ip": "fe80::1%eth0"}
{"ip": [{"cidr": "10.0.0.0/8"}]}                               {"ip": "2001:db8::1"}
{"ok": [true]}                                                 {"ok": "true"}
{"ok": [true]}                                                 {"ok": 1}
"""


def cases(table: str) -> list[tuple[Any, Any]]:
    """The two JSON values of each line."""
    decoder = json.JSONDecoder()
    found = []
    for line in table.strip().splitlines():
        pattern, end = decoder.raw_decode(line)
        found.append((pattern, json.loads(line[end:])))
    return found


@pytest.mark.parametrize(("pattern", "event"), cases(PASSES), ids=json.dumps)
def test_passes(pattern: Any, event: Any) -> None:
    compiled = compile_filter(pattern)

    assert compiled.matches(event)
    assert compiled.explain(event) is None


@pytest.mark.parametrize(("pattern", "event"), cases(REFUSES), ids=json.dumps)
def test_does_not_pass(pattern: Any, event: Any) -> None:
    compiled = compile_filter(pattern)

    assert not compiled.matches(event)
    assert compiled.explain(event)


def test_a_number_beyond_all_doubles_is_larger_than_any_bound() -> None:
    above = compile_filter({"a": [{"numeric": [">", 1e308]}]})

    assert above.matches({"a": float("inf")})
    assert not above.matches({"a": float("-inf")})


def test_a_long_text_takes_linear_time_whatever_the_wildcards() -> None:
    # Backtracking would need more steps than there are atoms.
    compiled = compile_filter({"a": [{"wildcard": "*a" * 1_000 + "*b"}]})

    assert not compiled.matches({"a": "a" * 200_000})
    assert compiled.matches({"a": "a" * 200_000 + "b"})
