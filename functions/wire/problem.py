"""Errors in responses: problem details (RFC 9457)."""

from functions.wire.schema import Schema, omitted_if_none


class FieldProblemSchema(Schema):
    """What is wrong with one field; `pointer` is a JSON Pointer (RFC 6901) into the body."""

    response_name = "FieldProblem"

    pointer: str
    detail: str


class ProblemSchema(Schema):
    """Problem details (RFC 9457)."""

    response_name = "Problem"

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblemSchema] | None = omitted_if_none()
