"""Sign in with Entra ID: azure-identity itself, in front of a token endpoint on this machine.

The endpoint is one of App Service's managed identity, the only kind that azure-identity reaches
without TLS.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import azure.identity
import httpx
import pytest
from azure.core.exceptions import ServiceRequestError

from fleet import service, sign_in
from fleet.exit_codes import SignInError
from fleet.sign_in import FEDERATION_AUDIENCE, github_assertion
from tests.fleet.conftest import KEY, Cloud

SCOPE = "api://fleet/.default"
SECRET = "secret-of-the-identity"
A_DAY = 86_400
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "AZURE_CLIENT_ID": "a-client",
    "AZURE_TENANT_ID": "a-tenant",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://github.example/token?api-version=2",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
}


@dataclass
class Token:
    """What a credential returns."""

    token: str


@dataclass
class TokenEndpoint:
    """Gives tokens `token-1-...`, `token-2-...`, each valid for `seconds`."""

    seconds: int = A_DAY
    status: int = 200
    resources: list[str] = field(default_factory=list)
    url: str = ""

    def respond(self, query: str, headers: Any) -> tuple[int, dict[str, str]]:
        self.resources.append(parse_qs(query)["resource"][0])
        if self.status != 200 or headers["X-IDENTITY-HEADER"] != SECRET:
            return self.status, {"error": "unauthorized_client", "error_description": "no such"}
        return 200, {
            "access_token": f"token-{len(self.resources)}-never-to-be-printed",
            "expires_on": str(int(time.time()) + self.seconds),
            "resource": self.resources[-1],
            "token_type": "Bearer",
        }


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    made = TokenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, found = made.respond(urlsplit(self.path).query, self.headers)
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/token"
    monkeypatch.setenv("IDENTITY_ENDPOINT", made.url)
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", raising=False)
    sign_in._credential.cache_clear()  # noqa: SLF001 - one for each process
    yield made
    sign_in._credential.cache_clear()  # noqa: SLF001
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tokens(cloud: Cloud) -> list[str]:
    """Return the tokens that the API has got; it takes each of them instead of a key."""
    got: list[str] = []

    def check(request: httpx.Request) -> httpx.Response | None:
        assert "x-functions-key" not in request.headers
        kind, _, token = request.headers["Authorization"].partition(" ")
        got.append(token)
        if kind != "Bearer" or not token.startswith("token-"):
            return httpx.Response(401)
        request.headers["x-functions-key"] = KEY  # as API Management does
        if "waitSeconds" in str(request.url):
            cloud.world.tick()
        return None

    cloud.between = check
    return got


def run(cloud: Cloud, *arguments: str) -> Any:
    result = cloud.run(*arguments, FLEET_KEY="", FLEET_SCOPE=SCOPE)
    assert "never-to-be-printed" not in result.output
    assert SECRET not in result.output
    return result


def test_a_token_of_the_scope_signs_each_request_in(
    cloud: Cloud, endpoint: TokenEndpoint, tokens: list[str]
) -> None:
    for form in ((), ("--json",), ("--jsonl",)):
        assert run(cloud, "list", *form).exit_code == 0
    assert tokens == ["token-1-never-to-be-printed"] * 3
    assert endpoint.resources == ["api://fleet"]


def test_a_token_that_is_about_to_expire_is_renewed_during_a_wait(
    cloud: Cloud, endpoint: TokenEndpoint, tokens: list[str]
) -> None:
    rollout_id = _create(cloud, tokens)
    endpoint.seconds = 60
    sign_in._credential.cache_clear()  # noqa: SLF001
    assert run(cloud, "wait", rollout_id).exit_code == 0
    assert len(set(tokens)) == len(tokens) > 3


def _create(cloud: Cloud, tokens: list[str]) -> str:
    version = ("--version", "2.4.0", "--package-uri", "https://packages.example/fw.bin")
    created = run(cloud, "create", *version, "--device", "d-000")
    tokens.clear()
    return str(created.stdout.split()[1].rstrip(":"))


def test_a_sign_in_that_fails_says_what_to_do(cloud: Cloud, endpoint: TokenEndpoint) -> None:
    endpoint.status = 400
    result = run(cloud, "list")
    assert result.exit_code == 4
    assert len(result.stderr.splitlines()) == 1
    assert "Sign in with `az login`" in result.stderr
    assert not cloud.requests


def test_without_the_library_the_command_says_how_to_install_it(
    cloud: Cloud, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("azure.identity", "azure.core.exceptions"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            result = run(cloud, "list")
        assert result.exit_code == 4
        assert "pip install azure-identity" in result.stderr
    assert not endpoint.resources


def test_a_token_that_the_api_refuses_ends_with_4_and_stays_hidden(
    cloud: Cloud, endpoint: TokenEndpoint
) -> None:
    cloud.between = lambda _: httpx.Response(401)
    assert run(cloud, "list").exit_code == 4
    assert endpoint.resources


def test_a_token_in_an_error_of_the_connection_is_hidden(
    cloud: Cloud, endpoint: TokenEndpoint
) -> None:
    def leak(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"illegal {request.headers['Authorization']}")

    cloud.between = leak
    result = run(cloud, "list", "--patience", "0s")
    assert (result.exit_code, "illegal Bearer ***" in result.stderr) == (7, True)
    assert endpoint.resources


def test_a_lost_request_for_a_token_is_repeated(
    cloud: Cloud, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [2]

    class Credential:
        def get_token(self, _: str) -> Any:
            if lost[0]:
                lost[0] -= 1
                raise ServiceRequestError("connection refused")
            return Token("token-1")

    monkeypatch.setattr(sign_in, "_credential", Credential)
    assert run(cloud, "list").exit_code == 0
    assert tokens == ["token-1"]
    lost[0] = 100
    assert run(cloud, "list", "--patience", "0s").exit_code == 7


def test_a_job_of_github_signs_in_with_its_own_token(
    cloud: Cloud, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[httpx.Request] = []

    def sign(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"value": "signed-by-github"})

    class Credential:
        def __init__(self, tenant: str, client: str, assertion: Any) -> None:
            assert (tenant, client) == ("a-tenant", "a-client")
            self._assertion = assertion

        def get_token(self, scope: str) -> Any:
            monkeypatch.setattr(service, "make_transport", lambda: httpx.MockTransport(sign))
            return Token(f"token-for-{scope}-{self._assertion()}")

    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(azure.identity, "ClientAssertionCredential", Credential)
    sign_in._credential.cache_clear()  # noqa: SLF001
    assert run(cloud, "list").exit_code == 0
    sign_in._credential.cache_clear()  # noqa: SLF001
    assert tokens == [f"token-for-{SCOPE}-signed-by-github"]
    (request,) = requests
    assert request.headers["Authorization"] == "Bearer of-this-job"
    assert dict(request.url.params) == {"api-version": "2", "audience": FEDERATION_AUDIENCE}


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(403, text="no of-this-job"),
        httpx.Response(200, text="<html>of-this-job"),
        httpx.Response(200, json={"other": 1}),
        httpx.Response(200, json=[]),
    ],
)
def test_a_job_that_gets_no_token_of_github_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, response: httpx.Response
) -> None:
    monkeypatch.setattr(service, "make_transport", lambda: httpx.MockTransport(lambda _: response))
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SignInError, match="GitHub gave no token") as raised:
        github_assertion()
    assert "of-this-job" not in str(raised.value)
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
    with pytest.raises(SignInError, match="id-token: write"):
        github_assertion()
