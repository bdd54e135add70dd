"""The API responds as recorded, apart from the wording of text for people.

`python -m tests.functions.triggers.record_responses` writes the recording.
"""

import json
from typing import Any

import pytest

from tests.functions.triggers.record_responses import OPENAPI, RESPONSES
from tests.functions.triggers.recorded_api import TEXT, openapi_without_text, without_text
from tests.functions.triggers.recorded_scenarios import SCENARIOS, openapi, responses

RECORDED: dict[str, dict[str, Any]] = json.loads(RESPONSES.read_text(encoding="utf-8"))
REQUESTS = [(scenario, name) for scenario, named in RECORDED.items() for name in named]


@pytest.mark.parametrize(("scenario", "name"), REQUESTS)
def test_a_request_has_the_recorded_response(scenario: str, name: str) -> None:
    assert responses(scenario)[name] == RECORDED[scenario][name]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_all_requests_of_a_scenario_are_recorded(scenario: str) -> None:
    assert set(responses(scenario)) == set(RECORDED[scenario])


def test_the_recording_holds_every_scenario() -> None:
    assert set(RECORDED) == set(SCENARIOS)


def test_the_openapi_document_differs_from_the_recording_only_in_descriptions() -> None:
    assert openapi() == json.loads(OPENAPI.read_text(encoding="utf-8"))


def test_text_for_people_is_left_out_of_the_recording_and_codes_are_kept() -> None:
    error = {"code": "rejected", "message": "Rejected by the device."}
    assert without_text({"error": error}) == {"error": {"code": "rejected", "message": TEXT}}
    assert without_text([{"detail": None, "title": {"type": "string"}}]) == [
        {"detail": None, "title": {"type": "string"}}
    ]
    assert without_text({"nextLink": "http://a/b?limit=1&cursor=x%3A1"}) == {
        "nextLink": "http://a/b?limit=1&cursor=<cursor>"
    }


def test_a_property_named_title_is_no_text_of_the_openapi_document() -> None:
    schema = {"title": "Problem", "properties": {"title": {"type": "string"}}}
    assert openapi_without_text(schema) == {"properties": {"title": {"type": "string"}}}
