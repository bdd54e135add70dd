"""HTTP requests and responses in the runtime library's terms.

How the host passes a request to a Python worker: azure-functions-host,
`GrpcMessageConversionExtensions.ToRpcHttp`. It passes the body only if Content-Length is positive,
so a chunked request arrives with an empty body, there as here.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from simulator.host.percent import decode_query_part
from simulator.host.worker import Datum

# The server sets these for the body that it sends.
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
# What the status line of an HTTP/1.1 response can carry.
_MIN_STATUS, _MAX_STATUS = 200, 999


def parse_query(query: str) -> dict[str, str]:
    """Parse a query as a Python function sees it: one entry per key, values joined with commas.

    Keys ignore case, the first spelling stays. Keys without a value are dropped.
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
    """Return headers by lower-case name, repeated ones joined. Raises ValueError if not UTF-8."""
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
    """Return the Datum of an HTTP trigger's input."""
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
    """Return the HTTP response for a function's return Datum.

    Raises ValueError unless the function returned an `HttpResponse` that HTTP can carry.
    """
    if returned is None or returned.type != "http":
        raise ValueError("the function did not return an HttpResponse")
    value = returned.value
    if value.get("cookies"):
        raise ValueError("cookies are not supported by the local host")
    headers: CIMultiDict[str] = CIMultiDict()
    for name, datum in value["headers"].items():
        if name.lower() not in _FRAMING_HEADERS:
            headers[name] = datum.value
    body = value["body"]
    content = body.value if isinstance(body.value, bytes) else str(body.value).encode()
    return _response(int(value["status_code"].value), headers, content)


def _response(status: int, headers: CIMultiDict[str], content: bytes) -> web.Response:
    if not _MIN_STATUS <= status <= _MAX_STATUS:
        raise ValueError(f"{status} is not a status code")
    for name, value in headers.items():
        if any(character in "\r\n\0" for character in name + value):
            raise ValueError(f"the response's header {name!r} holds a line break")
    return web.Response(status=status, headers=headers, body=content)


def _strings(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: Datum(value, "string") for name, value in values.items()}
