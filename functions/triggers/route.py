"""Declare an HTTP route once, for Azure Functions and for the description of the API.

    @Route("GET", "things/{id}", summary="Return a thing", response=ThingSchema)
    def get_thing(request: HttpRequest) -> HttpResponse: ...

Each route is an Azure function of its own, so that each can have its own key.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions.errors import FleetRolloutError
from functions.triggers import responses
from functions.triggers.parameters import Parameter
from functions.wire.problem import ProblemSchema
from functions.wire.schema import Schema

blueprint = func.Blueprint()
_declared: list["Route"] = []


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; as a decorator it registers the handler."""

    method: str
    path: str  # below /api; parameters in braces
    summary: str
    response: type[Schema] | None  # None: JSON that is described elsewhere
    body: type[Schema] | None = None
    is_body_required: bool = False
    parameters: Sequence[Parameter] = ()
    statuses: Sequence[int] = (200,)  # HTTP statuses whose body is `response`
    problems: Sequence[int] = (503,)  # HTTP statuses whose body is `problem`
    problem: type[Schema] = ProblemSchema
    is_public: bool = False  # a public route needs no function key
    name: str = ""  # of the Azure function and of the operation; set from the handler's name

    def __call__(self, handler: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
        """Register a handler; return the function that Azure calls."""
        name = handler.__name__
        _declared.append(replace(self, name=name))
        function = _convert_errors(handler)
        function.__name__, function.__doc__ = name, handler.__doc__
        level = func.AuthLevel.ANONYMOUS if self.is_public else None
        blueprint.route(self.path, methods=[self.method], auth_level=level)(function)
        return function


def declared_routes() -> Sequence[Route]:
    """Return the routes of all modules of handlers that are imported."""
    return tuple(_declared)


def _convert_errors(handler: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Wrap a handler so that it returns problem details for an error that this project raises."""
    if inspect.iscoroutinefunction(handler):

        async def wait(req: HttpRequest) -> HttpResponse:
            try:
                return await handler(req)  # type: ignore[no-any-return]  # a handler's response
            except FleetRolloutError as error:
                return responses.problem_response(error)

        return wait

    def call(req: HttpRequest) -> HttpResponse:
        try:
            return handler(req)  # type: ignore[no-any-return]  # a handler's response
        except FleetRolloutError as error:
            return responses.problem_response(error)

    return call
