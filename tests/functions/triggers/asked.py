"""The app's HTTP functions, called as the host calls them, on a world in memory."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import azure.functions as func
import pytest
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers import http_commands, http_devices, http_rollouts
from tests.functions.use_cases.world import World

BASE = "http://localhost:7071/api"


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered; `text` is the body as it was sent."""

    status: int
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Asked:
    """The API in front of a world."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wiring, "services", lambda: world.services)
        monkeypatch.setattr(wiring, "stores", lambda: world.stores)
        self._functions = _functions()

    def get(self, path: str) -> Told:
        return self._ask("GET", path, b"", {})

    def post(self, path: str, body: Any = None, **headers: str) -> Told:
        sent = b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask("POST", path, sent, named)

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Told:
        function, names = self._found(method, path.strip("/"))
        request = HttpRequest(
            method, f"{BASE}{path}", headers=headers, route_params=names, body=body
        )
        answer = function(req=request)
        response: HttpResponse = asyncio.run(answer) if inspect.iscoroutine(answer) else answer
        return Told(response.status_code, response.get_body().decode())

    def _found(self, method: str, path: str) -> tuple[Callable[..., Any], dict[str, str]]:
        """The most literal of the routes that fit, as the host has it."""
        fitting = [
            (len(found.groupdict()), function, found.groupdict())
            for known, route, function in self._functions
            if known == method and (found := re.fullmatch(route, path))
        ]
        _, function, names = min(fitting, key=lambda item: item[0])
        return function, names


@cache
def _functions() -> Sequence[tuple[str, str, Callable[..., Any]]]:
    """Method, pattern of the path, and function; of an app of its own, as each is asked once."""
    app = func.FunctionApp()
    for module in (http_devices, http_rollouts, http_commands):
        app.register_functions(module.blueprint)
    found = []
    for function in app.get_functions():
        binding = json.loads(str(function))["bindings"][0]
        path = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", str(binding["route"]))
        found += [(str(name), path, function.get_user_function()) for name in binding["methods"]]
    return found
