"""Bringing a package to the disk: in parts, over many connections, and never more than it lacks.

The rules:

1. What has been written is kept, over cut connections and the loss of power, and only the rest is
   asked for. A server that cannot resume, or has another package now, sends all of it again.
2. The loss of power may spoil what was written since the last `sync`: only then it is fetched anew.
   A process that was killed has lost nothing that it had written.
3. A package is hashed as it comes. If the hash of one that came in several parts is wrong, it is
   fetched once more from its beginning; one that came in one go is refused.
4. Nothing is written beyond the size that is known, or else beyond a limit.
"""

import hashlib
import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from simulator.device.agent.errors import SwitchedOff, Unavailable, UpdateFailed
from simulator.device.agent.offer import Offer, address
from simulator.device.agent.ports import Clock, Response, Storage, Transport, Writer

logger = logging.getLogger(__name__)

PACKAGE = "package"
_NOTE = "package.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How much, how fast and for how long; `bytes_per_second` None is as fast as it comes."""

    bytes_per_second: int | None = None
    package_bytes: int = 4 << 30
    tries: int = 10
    """In a row without a single byte gained."""
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0
    seconds: float = 50 * 60
    sync_bytes: int = 16 << 20
    """At most so much is lost with the power."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A package that is on the disk, and is what it should be as far as that is known."""

    sha256: str
    size_bytes: int


type Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and those of the whole package if known."""


@dataclass(slots=True)
class _Part:
    """What is on the disk of one package."""

    source: str
    etag: str | None = None
    session: str = ""
    """Of the storage, when the note was written."""
    synced: int = 0
    """Bytes that outlive the loss of power."""


class Downloader:
    """Fetches packages into the storage's one file for them."""

    def __init__(
        self,
        storage: Storage,
        transport: Transport,
        clock: Clock,
        limits: DownloadLimits,
        needed_beside: Callable[[int], int],
    ) -> None:
        """`needed_beside` gives the free bytes that are to be left for a package of a size."""
        self.storage = storage
        self.transport = transport
        self.clock = clock
        self.limits = limits
        self.needed_beside = needed_beside

    def fetch(self, offer: Offer, progress: Progress) -> Fetched:
        """Have the whole package on the disk, under the name PACKAGE.

        Raises UpdateFailed, SwitchedOff, and OSError from the storage.
        """
        return _Fetching(self, offer, progress).run()

    def discard(self) -> None:
        """Remove what is on the disk of the latest package."""
        self.storage.delete(PACKAGE)
        self.storage.delete(_NOTE)


class _Fetching:
    def __init__(self, setting: Downloader, offer: Offer, progress: Progress) -> None:
        self._storage, self._transport = setting.storage, setting.transport
        self._clock, self._limits = setting.clock, setting.limits
        self._needed_beside = setting.needed_beside
        self._offer, self._progress = offer, progress
        self._began = self._clock.monotonic()
        self._gained = 0
        self._total: int | None = None
        self._ended = False
        self._one_go = False
        self._is_last_chance = False
        self._part = self._found()
        self._received = self._believed()
        self._hash = hashlib.sha256()
        self._take_up()

    @property
    def _expected(self) -> int | None:
        return self._offer.size_bytes or self._total

    @property
    def _seconds_left(self) -> float:
        return self._began + self._limits.seconds - self._clock.monotonic()

    def run(self) -> Fetched:
        while True:
            self._receive_all()
            digest = self._hash.hexdigest()
            if self._offer.sha256 in (None, digest):
                return Fetched(digest, self._received)
            self._restart()
            if self._one_go or self._is_last_chance:
                raise UpdateFailed("hashMismatch", "the package's SHA-256 is not the expected one")
            self._is_last_chance = True

    def _found(self) -> _Part:
        part = _read_note(self._storage)
        if part is not None and part.source == self._offer.source:
            return part
        self._storage.delete(PACKAGE)
        return self._new_part()

    def _believed(self) -> int:
        """How many of the bytes on the disk are worth going on from (rule 2)."""
        offer, size = self._offer, self._storage.size(PACKAGE)
        if self._part.session != self._storage.session:
            size = min(size, self._part.synced)
        recognisable = offer.sha256 is not None or self._part.etag is not None
        fits = offer.size_bytes is None or size <= offer.size_bytes
        return size if recognisable and fits else 0

    def _take_up(self) -> None:
        with self._storage.append(PACKAGE, self._received):
            pass  # cut off what is not believed
        self._hash = hashlib.sha256()
        for chunk in self._storage.chunks(PACKAGE):
            self._hash.update(chunk)

    def _restart(self) -> None:
        self._storage.delete(PACKAGE)
        self._part = self._new_part()
        self._received, self._ended = 0, False
        self._hash = hashlib.sha256()

    def _new_part(self) -> _Part:
        part = _Part(self._offer.source)
        self._write_note(part)
        return part

    def _receive_all(self) -> None:
        tries = 0
        while not self._is_whole():
            before = self._gained
            try:
                self._receive()
            except Unavailable as error:
                tries = 1 if self._gained > before else tries + 1
                self._pause(tries, error)

    def _is_whole(self) -> bool:
        return self._ended or (self._received > 0 and self._received == self._expected)

    def _receive(self) -> None:
        offer, part = self._offer, self._part
        with self._transport.get(
            offer.url, self._received, part.etag, self._seconds_left
        ) as response:
            self._begin(response)
            with self._storage.append(PACKAGE, self._received) as file, self._kept(file):
                for chunk in response.chunks:
                    self._keep(file, chunk)
        if self._expected is not None and self._received < self._expected:
            raise Unavailable(f"the server ended after {self._received} of {self._expected} bytes")
        self._ended = True

    def _begin(self, response: Response) -> None:
        if response.offset not in (0, self._received):
            raise UpdateFailed("badResponse", "the server sent a part that was not asked for")
        changed = response.etag is not None and response.etag != self._part.etag
        if response.offset and changed and self._part.etag is not None:
            self._restart()
            raise Unavailable("the package changed while it was downloaded")
        self._one_go = response.offset == 0
        if response.offset == 0 and self._received:
            self._restart()
        self._check_size(response.total)
        if changed:
            self._part.etag = response.etag
            self._write_note(self._part)

    def _check_size(self, total: int | None) -> None:
        known = self._offer.size_bytes
        if None not in (known, total) and known != total:
            message = f"the package has {total} bytes, not {known}"
            raise UpdateFailed("sizeMismatch", message)
        self._total = total
        size = self._expected
        if size is None:
            return
        if size > self._limits.package_bytes:
            message = f"{size} bytes are more than the {self._limits.package_bytes} allowed"
            raise UpdateFailed("tooLarge", message)
        needed = size - self._received + self._needed_beside(size)
        if needed > self._storage.free_bytes():
            raise UpdateFailed("noSpace", f"{needed} bytes more are needed than the disk has free")

    def _keep(self, file: Writer, chunk: bytes) -> None:
        size = self._expected
        if self._received + len(chunk) > (self._limits.package_bytes if size is None else size):
            raise UpdateFailed("sizeMismatch", "the server sends more than the package's size")
        file.write(chunk)
        self._hash.update(chunk)
        self._received += len(chunk)
        self._gained += len(chunk)
        if self._received - self._part.synced >= self._limits.sync_bytes:
            self._sync(file)
        self._progress(self._received, size)
        self._slow_down()

    @contextmanager
    def _kept(self, file: Writer) -> Iterator[None]:
        """What came before an interruption is as good as the rest."""
        try:
            yield
        except (Unavailable, SwitchedOff):
            self._sync(file)
            raise
        self._sync(file)

    def _sync(self, file: Writer) -> None:
        file.sync()
        self._part.synced = self._received
        self._write_note(self._part)

    def _write_note(self, part: _Part) -> None:
        part.session = self._storage.session
        self._storage.replace(_NOTE, json.dumps(asdict(part)).encode())

    def _slow_down(self) -> None:
        if self._seconds_left <= 0:
            raise UpdateFailed(
                "tooSlow", f"the package was not there after {self._limits.seconds:g} s"
            )
        rate = self._limits.bytes_per_second
        ahead = self._began + self._gained / rate - self._clock.monotonic() if rate else 0
        if ahead > 0:
            self._clock.sleep(ahead)

    def _pause(self, tries: int, reason: Unavailable) -> None:
        limits = self._limits
        longest = min(limits.longest_pause_seconds, limits.first_pause_seconds * 2 ** (tries - 1))
        seconds = longest * random.uniform(0.5, 1)
        if tries >= limits.tries or seconds >= self._seconds_left:
            raise UpdateFailed("downloadFailed", str(reason))
        logger.info("%s: %s; again in %.1f s", address(self._offer.url), reason, seconds)
        self._clock.sleep(seconds)


def _read_note(storage: Storage) -> _Part | None:
    note = storage.read(_NOTE)
    try:
        return _Part(**json.loads(note)) if note else None
    except (ValueError, TypeError):
        return None
