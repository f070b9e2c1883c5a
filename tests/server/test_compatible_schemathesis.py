"""The server's OpenAPI document is true: requests made from it never end in a fault of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, seed, settings

from support.rehearsal import KEY, Rehearsal, rehearsing

EXAMPLES = 12
SEED = 20_261_101

pytestmark = pytest.mark.slow


@pytest.fixture
def server(models_folder: Path) -> Iterator[Rehearsal]:
    with rehearsing(models_folder, pace_s=0.0) as running:
        yield running


# Schemathesis itself uses what jsonschema and hypothesis have outlived; that says nothing about us.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.timeout(600)
def test_no_request_that_the_document_allows_ends_in_a_fault_of_the_server(server: Rehearsal) -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok

    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    found = list(schema.get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    with requests.Session() as session:
        for operation in operations:

            @seed(SEED)
            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
            )
            @given(case=operation.as_strategy())
            def ask(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(
                    session=session, headers={"Authorization": KEY}, checks=[not_a_server_error], timeout=60
                )

            ask()
    ledger = server.ledger()
    asked = {path for path in ledger["requests"] if path.startswith(("POST /v", "GET /v"))}
    assert len(asked) >= len(operations)
    assert ledger["counts"]["accepted"] > len(operations)
