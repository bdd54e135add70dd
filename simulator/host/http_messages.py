"""HTTP requests and answers in the runtime library's terms.

How the host hands a request to a Python worker: azure-functions-host,
`GrpcMessageConversionExtensions.ToRpcHttp`. The body is handed over only when Content-Length is
positive, so that a chunked request arrives with an empty body, there as here.
"""

import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from simulator.host.percent import decode_query_part
from simulator.host.worker import Datum

# Set by the server for the body that is really sent.
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


def parse_query(query: str) -> dict[str, str]:
    """The query as a Python function sees it: one entry per key, values joined with commas.

    Keys ignore case, the first spelling stays. Empty values are dropped, and keys with them.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for part in query.split("&"):
        raw_key, _, raw_value = part.partition("=")
        value = decode_query_part(raw_value)
        if value:
            key = decode_query_part(raw_key)
            found.setdefault(key.lower(), (key, []))[1].append(value)
    return {key: ",".join(values) for key, values in found.values()}


def request_headers(request: web.BaseRequest) -> dict[str, str]:
    """Headers with lower-case names, repeated ones joined. Raises ValueError for broken UTF-8."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        if not value.isascii():
            value.encode()  # raises UnicodeEncodeError, a ValueError, for undecodable bytes
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return headers


def request_datum(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    route_parameters: Mapping[str, str],
    body: bytes,
) -> Any:
    """The Datum of an HTTP trigger's input."""
    return Datum(
        {
            "method": Datum(method, "string"),
            "url": Datum(url, "string"),
            "headers": _strings(headers),
            "query": _strings(query),
            "params": _strings(route_parameters),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def response_from(returned: Any) -> web.Response:
    """The answer for a function's return Datum. Raises ValueError when it is not one."""
    if returned is None:
        return web.Response(status=204)
    if returned.type == "http":
        return _rendered(returned.value)
    if returned.type == "string":
        return _from_text(returned.value)
    if returned.type in {"bytes", "json"}:
        body = returned.value
        return web.Response(body=body if isinstance(body, bytes) else body.encode())
    raise ValueError(f"a {returned.type} value is not an HTTP answer")


def _rendered(value: Mapping[str, Any]) -> web.Response:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, datum in value["headers"].items():
        if name.lower() not in _FRAMING_HEADERS:
            headers[name] = datum.value
    for cookie in value.get("cookies") or ():
        _add_cookies(headers, cookie)
    body = value["body"]
    content = body.value if isinstance(body.value, bytes) else str(body.value).encode()
    return _response(int(value["status_code"].value), headers, content)


def _from_text(text: str) -> web.Response:
    """A plain text return: an object with a `body` member describes a whole answer.

    Source: azure-functions-host, `HttpBinding.ParseResponseObject`.
    """
    try:
        described = json.loads(text)
    except ValueError:
        described = None
    headers: CIMultiDict[str] = CIMultiDict()
    if not isinstance(described, dict) or "body" not in described:
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return _response(200, headers, text.encode())
    headers.update({str(k): str(v) for k, v in (described.get("headers") or {}).items()})
    status: Any = described.get("statusCode") or described.get("status") or 200
    body = described["body"]
    content = body if isinstance(body, str) else json.dumps(body)
    headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    return _response(int(status), headers, content.encode())


def _response(status: int, headers: CIMultiDict[str], content: bytes) -> web.Response:
    if not 200 <= status <= 999:  # noqa: PLR2004 - what an HTTP/1.1 final status line can carry
        raise ValueError(f"{status} is not a status code")
    for name, value in headers.items():
        if any(character in "\r\n\0" for character in name + value):
            raise ValueError(f"the answer's header {name!r} holds a line break")
    return web.Response(status=status, headers=headers, body=content)


def _add_cookies(headers: CIMultiDict[str], cookie: SimpleCookie) -> None:
    for morsel in cookie.values():
        headers.add("Set-Cookie", morsel.OutputString())


def _strings(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: Datum(value, "string") for name, value in values.items()}
