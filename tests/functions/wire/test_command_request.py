"""The body of a command."""

import json
from typing import Any

import pytest

from functions.errors import InvalidError, MalformedError
from functions.wire import command_request
from functions.wire.command_request import CommandSchema


def test_the_fields_of_a_command_are_optional() -> None:
    assert command_request.parse(b" ") == CommandSchema()
    said = command_request.parse(b'{"reason": "too hot", "by": "ada"}')
    assert said == CommandSchema(reason="too hot", by="ada")


def test_the_fields_of_a_command_may_have_their_maximum_length() -> None:
    said = command_request.parse(json.dumps({"reason": "x" * 256, "by": "y" * 128}).encode())
    assert said == CommandSchema(reason="x" * 256, by="y" * 128)


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"why": 1}, "/why"),
        ([], ""),
        ({"by": ""}, "/by"),
        ({"by": "y" * 129}, "/by"),
        ({"reason": "a\u0001b"}, "/reason"),
        ({"reason": "x" * 257}, "/reason"),
    ],
)
def test_other_fields_of_a_command_are_refused(said: Any, pointer: str) -> None:
    with pytest.raises(InvalidError) as caught:
        command_request.parse(json.dumps(said).encode())
    assert [field.pointer for field in caught.value.fields] == [pointer]


def test_a_command_that_is_not_json_is_malformed() -> None:
    with pytest.raises(MalformedError):
        command_request.parse(b"{")
