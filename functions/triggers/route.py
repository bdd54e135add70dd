"""Declare an HTTP route once, for Azure Functions and for the description of the API.

    @Route("GET", "things/{id}", summary="Return a thing", response=ThingSchema)
    def get_thing(request: HttpRequest) -> HttpResponse: ...

Each route is an Azure function of its own, so that each can have its own key. A GET route also
responds to HEAD. The first route of each path also responds to OPTIONS.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import FleetRolloutError
from functions.triggers import responses
from functions.triggers.own_threads import MAX_REQUESTS, OwnThreads
from functions.triggers.parameters import Parameter
from functions.wire.problem import ProblemSchema
from functions.wire.schema import Schema

blueprint = func.Blueprint()
_declared: list["Route"] = []
_threads = OwnThreads("request", MAX_REQUESTS)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; as a decorator it registers the handler."""

    method: str
    path: str  # below /api; parameters in braces
    summary: str
    response: type[Schema] | None  # None: JSON that is described elsewhere
    media_type: str = "application/json"  # of responses; of JSON lines, `response` is one line
    body: type[Schema] | None = None
    is_body_required: bool = False
    parameters: Sequence[Parameter] = ()
    statuses: Sequence[int] = (200,)  # HTTP statuses whose body is `response`
    problems: Sequence[int] = (503,)  # HTTP statuses whose body is `problem`
    problem: type[Schema] = ProblemSchema
    is_tagged: bool = False  # its responses have an ETag
    is_public: bool = False  # a public route needs no function key
    name: str = ""  # of the Azure function and of the operation; set from the handler's name

    def __call__(self, handler: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
        """Register a handler; return the function that Azure calls."""
        name = handler.__name__
        methods = self._methods()
        _declared.append(replace(self, name=name))
        traced = handler if self.method == "GET" else _trace(name, handler)
        function = _respond_to_other_methods(self.path, _convert_errors(traced))
        function.__name__, function.__doc__ = name, handler.__doc__
        level = func.AuthLevel.ANONYMOUS if self.is_public else None
        blueprint.route(self.path, methods=methods, auth_level=level)(function)
        return function

    def _methods(self) -> list[str]:
        """Return the methods that the host passes to this route's function.

        Two functions must not have the same method of one path.
        """
        is_first = all(route.path != self.path for route in _declared)
        head = ["HEAD"] if self.method == "GET" else []
        return [self.method, *head, *(["OPTIONS"] if is_first else [])]


def declared_routes() -> Sequence[Route]:
    """Return the routes of all modules of handlers that are imported."""
    return tuple(_declared)


def _trace(name: str, handler: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Wrap a handler, which is no coroutine, so that its changes of rollouts are traced."""

    def call(req: HttpRequest) -> Any:
        with wiring.telemetry().invocation(name, "http"):
            return handler(req)

    return call


def _respond_to_other_methods(path: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a route's function so that it responds to OPTIONS, and to HEAD without a body.

    The worker's loop serves all requests, so a function that is not a coroutine gets a thread.
    """
    is_coroutine = inspect.iscoroutinefunction(function)

    async def call(req: HttpRequest, context: func.Context) -> HttpResponse:
        if req.method == "OPTIONS":
            return _allowed_methods(path)
        if is_coroutine:
            return _without_body_for_head(req, await function(req))
        return _without_body_for_head(req, await _threads.run(context, function, req))

    return call


def _allowed_methods(path: str) -> HttpResponse:
    """Return the response to OPTIONS (RFC 9110, section 9.3.7)."""
    declared = [route.method for route in _declared if route.path == path]
    head = ["HEAD"] if "GET" in declared else []
    return HttpResponse(
        status_code=HTTPStatus.NO_CONTENT,
        headers={"Allow": ", ".join([*declared, *head, "OPTIONS"])},
    )


def _without_body_for_head(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if request.method != "HEAD":
        return response
    return HttpResponse(
        status_code=response.status_code, headers=response.headers, mimetype=response.mimetype
    )


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
