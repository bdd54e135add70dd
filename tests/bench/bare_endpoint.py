"""Serve a constant body with aiohttp and TLS: `bare_endpoint ADDRESS CERTIFICATES BYTES`.

The local hub is aiohttp with the same certificate, so it cannot be faster than this.
"""

import asyncio
import signal
import sys
from pathlib import Path

from aiohttp import web

from simulator.hub.certificates import certificates_in


async def serve(address: str, certificates: Path, body: bytes) -> None:
    async def respond(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    context = certificates_in(certificates, ("localhost", "127.0.0.1", address)).server_context
    server = web.Server(respond, access_log=None)
    listening = await loop.create_server(server, address, 0, ssl=context)
    print("port", listening.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    listening.close()
    await server.shutdown(1)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), b'"' + b"x" * (int(sys.argv[3]) - 2) + b'"'))
