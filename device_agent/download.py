"""Download a package to the disk: in parts, over many connections, without repeating any part.

The rules:

1. What was written is kept over lost connections and losses of power, and only the rest is
   requested. A server that cannot resume, or now has another package, sends all of it again.
2. A loss of power may damage what was written since the last `sync`; only that is downloaded again.
   A killed process has lost nothing that it had written.
   A package with neither a hash nor a strong entity tag starts anew after each lost connection,
   because nothing would distinguish its rest from the rest of another package.
3. A package is hashed while it arrives. If it arrived in several parts and its hash is wrong, it is
   downloaded once more from the beginning; if it arrived in one part, it is refused.
4. Nothing is written beyond the known size, or beyond a limit if the size is unknown. Excess bytes
   and packages with a wrong hash do not stay on the disk.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from device_agent import partial_package
from device_agent.errors import Failure, UnavailableError, UpdateFailedError
from device_agent.offer import Offer, redact_url
from device_agent.partial_package import PartialPackage, WriteChunk
from device_agent.ports import Clock, PackageResponse, Storage, Transport
from device_agent.rate_limit import RateLimit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How much is downloaded, how fast, and for how long."""

    bytes_per_second: int | None = None
    """The highest rate; None means no limit."""
    max_package_bytes: int = 4 << 30
    """The largest package."""
    max_attempts: int = 10
    """The most attempts in a row without a new byte; also the most downloads from the beginning."""
    first_pause_seconds: float = 1.0
    """The pause after the first failed attempt; it doubles with each further one."""
    max_pause_seconds: float = 60.0
    """The longest pause between two attempts."""
    max_seconds: float = 50 * 60
    """The longest time from the update's acceptance to the whole package."""
    sync_bytes: int = 32 << 20
    """The most that a loss of power can damage."""


@dataclass(frozen=True, slots=True)
class DownloadedPackage:
    """A whole package on the disk that matches the known hash and size."""

    sha256: str
    """SHA-256 in lower-case hexadecimal digits."""
    size_bytes: int
    """The size in bytes."""


type OnProgress = Callable[[int, int | None], None]
"""Called with the bytes received so far, and with the size of the package or None if unknown."""


class Downloader:
    """Downloads packages to one file of the storage."""

    def __init__(
        self,
        storage: Storage,
        transport: Transport,
        clock: Clock,
        limits: DownloadLimits,
        bytes_needed: Callable[[int], int],
    ) -> None:
        """Set `bytes_needed` to return the free bytes that installing a package of a size takes."""
        self.storage = storage
        self.transport = transport
        self.clock = clock
        self.limits = limits
        self.bytes_needed = bytes_needed

    def fetch(
        self, offer: Offer, on_progress: OnProgress, spent_seconds: float = 0.0
    ) -> DownloadedPackage:
        """Download the whole package to the file PACKAGE.

        `spent_seconds` have passed since the update was accepted. Raises UpdateFailedError,
        SwitchedOffError, and OSError from the storage.
        """
        return _Download(self, offer, on_progress, spent_seconds).run()

    def discard(self) -> None:
        """Delete what is on the disk of the latest package."""
        partial_package.discard(self.storage)


class _Download:
    def __init__(
        self, downloader: Downloader, offer: Offer, on_progress: OnProgress, spent_seconds: float
    ) -> None:
        self._downloader, self._limits = downloader, downloader.limits
        self._clock = downloader.clock
        self._offer, self._on_progress = offer, on_progress
        self._rate_limit = RateLimit(self._clock, self._limits.bytes_per_second)
        # Setting the clock back meanwhile must not extend the limit.
        self._deadline = (
            self._clock.monotonic() + self._limits.max_seconds - max(0.0, spent_seconds)
        )
        self._new_bytes = self._starts_from_zero = 0
        self._stated_size: int | None = None
        self._is_complete = self._is_in_one_part = False
        self._part = PartialPackage(downloader.storage, offer, self._limits.sync_bytes)

    @property
    def _expected_size(self) -> int | None:
        return self._offer.size_bytes or self._stated_size

    @property
    def _seconds_left(self) -> float:
        return self._deadline - self._clock.monotonic()

    def run(self) -> DownloadedPackage:
        for is_last_download in (False, True):
            self._receive_all()
            if self._offer.sha256 in (None, self._part.sha256):
                break
            self._restart()
            if self._is_in_one_part or is_last_download:
                raise UpdateFailedError(
                    Failure.HASH_MISMATCH, "the package's SHA-256 differs from the expected one"
                )
        self._part.sync()
        return DownloadedPackage(self._part.sha256, self._part.received)

    def _restart(self) -> None:
        self._part.restart()
        self._stated_size, self._is_complete = None, False

    def _receive_all(self) -> None:
        attempts = 0
        while not self._is_whole():
            self._check_time()
            before = self._new_bytes
            try:
                self._receive()
            except UnavailableError as error:
                attempts = 1 if self._new_bytes > before else attempts + 1
                if not self._part.can_resume:
                    self._restart()
                self._pause(max(attempts, self._starts_from_zero), error)

    def _is_whole(self) -> bool:
        """Return whether nothing is missing. Without a hash, only the response's end shows it."""
        has_hash = self._offer.sha256 is not None
        return self._is_complete or (has_hash and 0 < self._part.received == self._expected_size)

    def _receive(self) -> None:
        part = self._part
        with self._downloader.transport.get(
            self._offer.url, part.received, part.etag, self._seconds_left
        ) as response:
            self._accept(response)
            with part.open() as write:
                for chunk in response.chunks:
                    self._receive_chunk(write, chunk)
        if part.received < (self._expected_size or 1):
            raise UnavailableError(f"the connection ended after {part.received} bytes")
        self._is_complete = True

    def _accept(self, response: PackageResponse) -> None:
        if response.offset not in (0, self._part.received):
            raise UpdateFailedError(
                Failure.BAD_RESPONSE, "the server sent another part than the requested one"
            )
        self._check_total(response.total)
        self._is_in_one_part = response.offset == 0
        self._starts_from_zero += self._is_in_one_part
        if self._is_in_one_part or self._is_another_package(response):
            self._restart()
        if response.offset != self._part.received:
            raise UnavailableError("the package changed during the download")
        self._stated_size = response.total or self._stated_size
        self._check_size()
        if response.etag is not None and self._part.etag is None:
            self._part.set_etag(response.etag)

    def _is_another_package(self, response: PackageResponse) -> bool:
        was, now = (self._part.etag, self._stated_size), (response.etag, response.total)
        return any(None not in pair and pair[0] != pair[1] for pair in zip(was, now, strict=True))

    def _check_total(self, total: int | None) -> None:
        size = self._offer.size_bytes
        if None not in (size, total) and size != total:
            raise UpdateFailedError(
                Failure.SIZE_MISMATCH, f"the package has {total} bytes, expected {size}"
            )

    def _check_size(self) -> None:
        size, most = self._expected_size, self._limits.max_package_bytes
        if size is None:
            return
        if size > most:
            raise UpdateFailedError(
                Failure.TOO_LARGE, f"the package has {size} bytes; at most {most} are allowed"
            )
        self._check_space(size)

    def _check_space(self, size: int) -> None:
        needed = size - self._part.received + self._downloader.bytes_needed(size)
        free = self._downloader.storage.free_bytes()
        if needed > free:
            raise UpdateFailedError(
                Failure.NO_SPACE, f"the update needs {needed} bytes, but the disk has {free} free"
            )

    def _receive_chunk(self, write: WriteChunk, chunk: bytes) -> None:
        self._check_time()
        self._check_room(self._part.received + len(chunk))
        write(chunk)
        self._new_bytes += len(chunk)
        self._on_progress(self._part.received, self._expected_size)
        self._rate_limit.wait(len(chunk))

    def _check_room(self, received: int) -> None:
        size, most = self._expected_size, self._limits.max_package_bytes
        if received > (most if size is None else size):
            code = Failure.TOO_LARGE if size is None else Failure.SIZE_MISMATCH
            self._restart()
            raise UpdateFailedError(
                code, f"the server sends more than the expected {size or most} bytes"
            )
        if size is None:
            self._check_space(received)

    def _check_time(self) -> None:
        if self._seconds_left <= 0:
            raise UpdateFailedError(
                Failure.TOO_SLOW, f"the download took longer than {self._limits.max_seconds:g} s"
            )

    def _pause(self, attempts: int, reason: UnavailableError) -> None:
        limits = self._limits
        longest = min(limits.max_pause_seconds, limits.first_pause_seconds * 2 ** (attempts - 1))
        seconds = longest * random.uniform(0.5, 1)
        self._check_time()
        if attempts >= limits.max_attempts or seconds >= self._seconds_left:
            raise UpdateFailedError(Failure.DOWNLOAD_FAILED, str(reason))
        logger.info("%s: %s; next attempt in %.1f s", redact_url(self._offer.url), reason, seconds)
        self._clock.sleep(seconds)
