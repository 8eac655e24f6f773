"""The API under requests that its own OpenAPI document allows and forbids, made by schemathesis.

No 5xx, and no answer that the document does not describe. CI runs a seeded part, soak thousands of requests.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from processor.admin.limits import Rate
from processor.admin.openapi import document
from processor.admin.operations import OPERATIONS
from processor.admin.server import Limits
from tests.support.admin import TOKENS, WRITER, Api, serving
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.rules import KEY, fields
from tests.support.waiting import wait_until

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def api(broker: Broker, prefix: str) -> Iterator[Api]:
    admin = {"listen": "127.0.0.1:0", "tokens": TOKENS}
    plenty = Rate(1_000, 1_000_000)
    with (
        Installation(broker.bootstrap, prefix, admin=admin, secrets={"keys": [KEY]}) as here,
        serving(here.model, limits=Limits(plenty, plenty)) as (served, live),
    ):
        wait_until(lambda: live.state()[2] is None, 20, "the table is whole")
        wait_until(lambda: served.get("/deliveries").status == 200, 20, "the audit trail is read")
        for number in range(3):
            served.post("/trigger-rules", fields(f"r{number}", action_target="http://127.0.0.1:9/x"))
        yield served


@pytest.mark.parametrize("examples", [8, pytest.param(350, marks=pytest.mark.soak)], ids=["part", "soak"])
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
def test_every_answer_is_one_that_the_document_describes(
    api: Api, mode: GenerationMode, examples: int
) -> None:
    described = json.loads(json.dumps(document()))
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=api.base)
    statuses: Counter[tuple[str, int]] = Counter()

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body and not list(operation.query):
            continue  # nothing of it can be wrong

        @hypothesis.settings(
            max_examples=examples,
            derandomize=examples < 100,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            response = case.call(headers={"Authorization": f"Bearer {WRITER}"}, timeout=60)
            statuses[case.operation.label, response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        ask()
    print(sum(statuses.values()), "requests:", dict(statuses))
    assert sum(statuses.values()) >= examples * 8
    assert {status for _, status in statuses} >= {422}
    assert len({label for label, _ in statuses}) >= (
        8 if mode is GenerationMode.NEGATIVE else len(OPERATIONS)
    )
