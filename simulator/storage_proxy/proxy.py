"""Forward the requests to one service of a storage account, with latency and faults.

Signatures stay valid: no header changes, and Shared Key of the table service does not sign the
parameter $top (Microsoft Learn, "Authorize with Shared Key").
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

from aiohttp import ClientError, ClientSession, DummyCookieJar, web
from multidict import CIMultiDict
from yarl import URL

from simulator.storage_proxy.faults import StorageFault, StorageFaultPlan, StorageFaults

COUNTS_PATH = "/_proxy/counts"
_MAX_BODY_BYTES = 16 * 1024 * 1024
_OWN_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# RFC 9110, section 7.6.1: these hold for one connection only.
_NOT_FORWARDED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
# The row of a rollout, in the path of a request or in the requests of a transaction.
_ROLLOUT_ROW = re.compile(rb"rollout-[^)]*RowKey=(%27|')rollout(%27|')")


class StorageProxy:
    """Stands before one service: tables, queues or blobs."""

    def __init__(
        self,
        service: str,
        target: str,
        plan: StorageFaultPlan,
        faults: StorageFaults,
        counts: Counter[str],
    ) -> None:
        """Forward to the URL `target`. Proxies of one account share `faults` and `counts`."""
        self._service = service
        self._target = target
        self._plan = plan
        self._faults = faults
        self._counts = counts

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_get(COUNTS_PATH, self._show_counts)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.cleanup_ctx.append(self._keep_session)
        return application

    async def _keep_session(self, _application: web.Application) -> AsyncIterator[None]:
        async with ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False) as session:
            self._session = session
            yield

    async def _show_counts(self, _request: web.Request) -> web.Response:
        return web.json_response(dict(self._counts))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._plan.latency_seconds:
            await asyncio.sleep(self._plan.latency_seconds)
        is_query = self._service == "table" and request.method == "GET" and "()" in request.path
        fault = self._faults.choose(is_query=is_query)
        if fault is not None:
            self._counts[f"fault {fault}"] += 1
        if fault is StorageFault.BUSY:
            return self._error(HTTPStatus.SERVICE_UNAVAILABLE, "ServerBusy")
        if fault is StorageFault.TIMED_OUT:
            return self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "OperationTimedOut")
        response = await self._forward(request, fault)
        if fault is StorageFault.TIMED_OUT_LATE:
            return self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "OperationTimedOut")
        if fault is StorageFault.DROPPED and request.transport is not None:
            request.transport.abort()
        return response

    async def _forward(self, request: web.Request, fault: StorageFault | None) -> web.Response:
        url = URL(self._target + request.raw_path, encoded=True)
        if fault is StorageFault.EARLY_PAGE:
            url = _with_top(url, self._faults.early_rows())
        try:
            async with self._session.request(
                request.method,
                url,
                headers=_forwarded(request.headers),
                data=await request.read(),
                skip_auto_headers=_OWN_HEADERS,
                allow_redirects=False,
            ) as found:
                body = await found.read()
        except ClientError:  # the emulator is down, or starting
            return self._error(HTTPStatus.BAD_GATEWAY, "EmulatorUnreachable")
        self._count(request, await request.read(), found.status, body)
        return web.Response(status=found.status, headers=_forwarded(found.headers), body=body)

    def _count(self, request: web.Request, sent: bytes, status: int, body: bytes) -> None:
        """Count what the emulator did; a change of a rollout also as a commit or a lost race."""
        self._counts[f"{self._service} {request.method}"] += 1
        if request.method == "GET" or not _ROLLOUT_ROW.search(request.raw_path.encode() + sent):
            return
        is_lost = status == HTTPStatus.PRECONDITION_FAILED or b"HTTP/1.1 412" in body
        self._counts["lost races" if is_lost else "commits"] += 1

    def _error(self, status: HTTPStatus, code: str) -> web.Response:
        headers = {"x-ms-error-code": code}
        if self._service == "table":
            found = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": code}}}
            text, content_type = json.dumps(found), "application/json"
        else:
            text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
            content_type = "application/xml"
        return web.Response(status=status, text=text, content_type=content_type, headers=headers)


def _forwarded(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept = (item for item in headers.items() if item[0].lower() not in _NOT_FORWARDED)
    return CIMultiDict(kept)


def _with_top(url: URL, rows: int) -> URL:
    """Limit the page to `rows` rows, or to the request's own limit if that is lower."""
    wanted = int(url.query.get("$top", rows))
    query = "&".join(part for part in url.raw_query_string.split("&") if "top=" not in part[:6])
    return URL(f"{url.with_query(None)}?{query}&$top={min(rows, wanted)}", encoded=True)
