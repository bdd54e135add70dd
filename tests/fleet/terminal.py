"""Run `fleet` in a process of its own, in a terminal of any width or in a pipe."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pyte

from tests.fleet.conftest import API, KEY, Cloud

ROWS = 48


@dataclass
class Shown:
    """What a terminal showed, and how the command ended."""

    exit_code: int = 0
    raw: str = ""  # with escape sequences
    screen: list[str] = field(default_factory=list)  # lines at the end, without spaces behind
    frames: list[list[str]] = field(default_factory=list)  # lines after each change


@contextmanager
def serve(cloud: Cloud) -> Iterator[str]:
    """Serve the API on a port of this machine; yield its URL. Time passes while one waits."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            pass_time(cloud, self.path)
            url = f"{API}{self.path.removeprefix('/api')}"
            made = cloud.handle(httpx.Request(self.command, url, headers=dict(self.headers)))
            self.send_response(made.status_code)
            self.send_header("Content-Type", made.headers["Content-Type"])
            self.send_header("Content-Length", str(len(made.content)))
            self.end_headers()
            self.wfile.write(made.content)

        do_GET = respond  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pass_time(cloud: Cloud, path: str) -> None:
    """Let time pass until the rollout of a waiting request has changed."""
    query = parse_qs(urlsplit(path).query)
    if "after" not in query:
        return
    rollout_id, after = urlsplit(path).path.rpartition("/")[2], int(query["after"][0])
    while cloud.world.rollout(rollout_id).revision <= after:
        cloud.world.tick()


def run_in_terminal(api: str, width: int, *arguments: str, **environment: str) -> Shown:
    """Run a command in a terminal of `width` columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, width, 0, 0))
    process = _start(api, arguments, {"TERM": "xterm-256color", **environment}, slave)
    os.close(slave)
    screen, shown = pyte.Screen(width, ROWS), Shown()
    stream = pyte.ByteStream(screen)
    while part := _read(master):
        stream.feed(part)
        shown.raw += part.decode(errors="replace")
        shown.frames.append(_lines(screen))
    os.close(master)
    shown.exit_code, shown.screen = process.wait(), _lines(screen)
    return shown


def run_in_pipe(api: str, *arguments: str) -> Shown:
    """Run a command whose output goes to a pipe."""
    process = _start(api, arguments, {}, subprocess.PIPE)
    out, _ = process.communicate()
    text = out.decode()
    return Shown(process.returncode, text, text.splitlines())


def _start(
    api: str, arguments: tuple[str, ...], more: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    inherited = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in inherited if name in os.environ}
    environment = {**kept, "FLEET_API": api, "FLEET_KEY": KEY, "PYTHONUTF8": "1", **more}
    command = [sys.executable, "-m", "fleet", *arguments]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )


def _read(master: int) -> bytes:
    """Return what the terminal got; nothing once the command has ended."""
    try:
        return os.read(master, 65_536)
    except OSError:  # Linux says EIO for the end
        return b""


def _lines(screen: pyte.Screen) -> list[str]:
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines
