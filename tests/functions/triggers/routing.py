"""The app's HTTP functions by route, and requests sent to them as the host does."""

import asyncio
import copy
import inspect
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.functions import HttpRequest, HttpResponse

# Without settings the app would log, as it is loaded, which of them is missing.
SETTINGS = {"IOTHUB_HOSTNAME": "hub.example", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
with patch.dict(os.environ, SETTINGS):
    from function_app import app

BASE = "http://localhost:7071/api"
# What the worker passes as `func.Context`, as far as it is used.
CONTEXT = SimpleNamespace(invocation_id="invocation", thread_local_storage=threading.local())


@cache
def _functions() -> list[Any]:
    own = copy.copy(app)
    own.functions_bindings = {}  # An app lists its functions only once.
    return list(own.get_functions())


def _binding(function: Any) -> Any:
    return json.loads(str(function))["bindings"][0]


@cache
def http_functions() -> list[tuple[str, str, Callable[..., Any]]]:
    """Return method, path pattern and function of each HTTP route of the app."""
    found = []
    for function in _functions():
        binding = _binding(function)
        if binding["type"] == "httpTrigger":
            path = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", str(binding["route"]))
            found += [
                (str(name), path, function.get_user_function()) for name in binding["methods"]
            ]
    return found


@cache
def queue_functions() -> Mapping[str, Callable[..., Any]]:
    """Return the app's functions for queue messages by name."""
    return {
        function.get_function_name(): function.get_user_function()
        for function in _functions()
        if _binding(function)["type"] == "queueTrigger"
    }


def send(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> HttpResponse | None:
    """Call the function of the most literal route that fits; return None if no route fits."""
    parts = urlsplit(path)
    fitting = [
        (len(found.groupdict()), function, found.groupdict())
        for known, route, function in http_functions()
        if known == method and (found := re.fullmatch(route, parts.path.strip("/")))
    ]
    if not fitting:
        return None
    _, function, names = min(fitting, key=lambda item: item[0])
    request = HttpRequest(
        method,
        f"{BASE}{path}",
        headers=headers,
        params=dict(parse_qsl(parts.query)),
        route_params={name: unquote(value) for name, value in names.items()},
        body=body,
    )
    named = {"context": CONTEXT} if "context" in inspect.signature(function).parameters else {}
    result = function(req=request, **named)
    response: HttpResponse = asyncio.run(result) if inspect.iscoroutine(result) else result
    return response


def function_names() -> list[str]:
    """Return the names of all functions of the app."""
    return [function.get_function_name() for function in _functions()]
