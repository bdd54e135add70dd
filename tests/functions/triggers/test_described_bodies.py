"""Check that validation accepts what the description allows and refuses what it forbids."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import (
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation

from functions.errors import FieldError, InvalidError, RequestError
from functions.wire import command_request, create_request
from functions.wire.texts import MANIFEST_FORMAT, TIMEZONE_FORMAT
from tests.functions.manifests import signed
from tests.functions.triggers.described import document

# Rules that JSON Schema cannot express, by the pointer of the field.
BEYOND_A_SCHEMA: Mapping[str, str] = {
    "/strategy/failureGate": "must be 0% < acceptable < unacceptable < 100%",
    "/startAt": "must be within a year from now",
}
# Such rules for any field: sums of units, invalid dates, repeated names.
MESSAGES_BEYOND_A_SCHEMA = (
    "must be at most P365D",
    "must be a valid date and time",
    "must be an absolute http or https URI with a host",
    "is already the name of the wave",
    "differs from the manifest, which has",
)
PARSERS: Mapping[str, Any] = {
    "/rollouts": create_request.parse,
    "/rollouts/{id}/pause": command_request.parse,
    "/rollouts/{id}/retry": command_request.parse_retry,
}
# Without the keys, whose absence would be what is wrong with most requests.
CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False))
    )
)
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def described() -> Any:
    schemathesis.openapi.format(TIMEZONE_FORMAT, st.sampled_from(["Europe/Berlin", "UTC"]))
    schemathesis.openapi.format(MANIFEST_FORMAT, st.just(signed(version="0")))
    return schemathesis.openapi.from_dict(document(), config=CONFIG)


@pytest.mark.parametrize("path", PARSERS)
def test_bodies_that_the_description_allows_are_accepted(described: Any, path: str) -> None:
    accepted: list[Any] = []
    wrong: list[FieldError] = []

    @EXAMPLES
    @given(described[path]["POST"].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def read(case: Any) -> None:
        try:
            accepted.append(PARSERS[path](_sent(case)))
        except InvalidError as error:
            wrong.extend(field for field in error.fields if not _is_beyond_a_schema(field))

    read()
    assert not wrong
    assert len(accepted) > 20


@pytest.mark.parametrize("path", PARSERS)
def test_bodies_that_the_description_forbids_are_refused(described: Any, path: str) -> None:
    sent_count = 0

    @EXAMPLES
    @given(described[path]["POST"].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def read(case: Any) -> None:
        nonlocal sent_count
        sent = _sent(case)
        broken = case.meta.components[ParameterLocation.BODY].mode is GenerationMode.NEGATIVE
        if not broken or not sent.strip():  # a command may have a blank body
            return
        sent_count += 1
        with pytest.raises(RequestError):
            PARSERS[path](sent)

    read()
    assert sent_count > 10


def _sent(case: Any) -> bytes:
    if isinstance(case.body, bytes):
        return case.body
    return b"" if case.body is NOT_SET else json.dumps(case.body).encode()


def _is_beyond_a_schema(field: FieldError) -> bool:
    if BEYOND_A_SCHEMA.get(field.pointer) == field.detail:
        return True
    return any(message in field.detail for message in MESSAGES_BEYOND_A_SCHEMA)
