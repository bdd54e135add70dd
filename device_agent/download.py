"""Bringing a package to the disk: in parts, over many connections, and never more than it lacks.

The rules:

1. What has been written is kept, over cut connections and the loss of power, and only the rest is
   asked for. A server that cannot resume, or has another package now, sends all of it again.
2. The loss of power may spoil what was written since the last `sync`: only then it is fetched anew.
   A process that was killed has lost nothing that it had written.
   A package with neither a hash nor a strong entity tag is begun anew after each cut: nothing
   would tell the rest of it from the rest of another one.
3. A package is hashed as it comes. If the hash of one that came in several parts is wrong, it is
   fetched once more from its beginning; one that came in one go is refused.
4. Nothing is written beyond the size that is known, or else beyond a limit. What is too much, or
   has a wrong hash, does not stay on the disk.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from device_agent import partial_package as partial
from device_agent.errors import Failure, UnavailableError, UpdateFailedError
from device_agent.offer import Offer, redact_url
from device_agent.partial_package import Keep, PartialPackage
from device_agent.ports import Clock, PackageResponse, Storage, Transport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How much, how fast and for how long; `bytes_per_second` None is as fast as it comes."""

    bytes_per_second: int | None = None
    max_package_bytes: int = 4 << 30
    max_attempts: int = 10
    """In a row without a single byte gained; and from the package's beginning, in all."""
    first_pause_seconds: float = 1.0
    max_pause_seconds: float = 60.0
    max_seconds: float = 50 * 60
    sync_bytes: int = 32 << 20
    """At most so much is lost with the power."""


@dataclass(frozen=True, slots=True)
class DownloadedPackage:
    """A package that is on the disk, and is what it should be as far as that is known."""

    sha256: str
    size_bytes: int


type Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and those of the whole package if known."""


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

    def fetch(
        self, offer: Offer, progress: Progress, spent_seconds: float = 0.0
    ) -> DownloadedPackage:
        """Have the whole package on the disk, under the name PACKAGE.

        `spent_seconds` of the time that it may take were spent in earlier lives.

        Raises UpdateFailedError, SwitchedOffError, and OSError from the storage.
        """
        return _Download(self, offer, progress, spent_seconds).run()

    def discard(self) -> None:
        """Remove what is on the disk of the latest package."""
        partial.discard(self.storage)


class _Download:
    def __init__(
        self, setting: Downloader, offer: Offer, progress: Progress, spent_seconds: float
    ) -> None:
        self._setting, self._limits, self._clock = setting, setting.limits, setting.clock
        self._offer, self._progress = offer, progress
        self._free_at = self._clock.monotonic()
        # A device whose clock is set in between may have more time, never less than none.
        self._ends = self._free_at + self._limits.max_seconds - max(0.0, spent_seconds)
        self._gained = self._starts = 0
        self._total: int | None = None
        self._ended = self._one_go = False
        self._part = PartialPackage(setting.storage, offer, setting.limits.sync_bytes)

    @property
    def _expected(self) -> int | None:
        return self._offer.size_bytes or self._total

    @property
    def _seconds_left(self) -> float:
        return self._ends - self._clock.monotonic()

    def run(self) -> DownloadedPackage:
        for is_last_chance in (False, True):
            self._receive_all()
            if self._offer.sha256 in (None, self._part.sha256):
                break
            self._restart()
            if self._one_go or is_last_chance:
                raise UpdateFailedError(
                    Failure.HASH_MISMATCH, "the package's SHA-256 is not the expected one"
                )
        self._part.settle()
        return DownloadedPackage(self._part.sha256, self._part.received)

    def _restart(self) -> None:
        self._part.restart()
        self._total, self._ended = None, False

    def _receive_all(self) -> None:
        tries = 0
        while not self._is_whole():
            self._check_time()
            before = self._gained
            try:
                self._receive()
            except UnavailableError as error:
                tries = 1 if self._gained > before else tries + 1
                if not self._part.can_resume:
                    self._restart()
                self._pause(max(tries, self._starts), error)

    def _is_whole(self) -> bool:
        """Without a hash to tell, only the server can say that there is no more."""
        tells = self._offer.sha256 is not None
        return self._ended or (tells and 0 < self._part.received == self._expected)

    def _receive(self) -> None:
        part = self._part
        with self._setting.transport.get(
            self._offer.url, part.received, part.etag, self._seconds_left
        ) as response:
            self._begin(response)
            with part.open() as keep:
                for chunk in response.chunks:
                    self._receive_chunk(keep, chunk)
        if part.received < (self._expected or 1):
            raise UnavailableError(f"the server ended after {part.received} bytes")
        self._ended = True

    def _begin(self, response: PackageResponse) -> None:
        if response.offset not in (0, self._part.received):
            raise UpdateFailedError(
                Failure.BAD_RESPONSE, "the server sent a part that was not asked for"
            )
        self._check_total(response.total)
        self._one_go = response.offset == 0
        self._starts += self._one_go
        if self._one_go or self._is_another(response):
            self._restart()
        if response.offset != self._part.received:
            raise UnavailableError("the package changed while it was downloaded")
        self._total = response.total or self._total
        self._check_size()
        if response.etag is not None and self._part.etag is None:
            self._part.name(response.etag)

    def _is_another(self, response: PackageResponse) -> bool:
        was, now = (self._part.etag, self._total), (response.etag, response.total)
        return any(None not in pair and pair[0] != pair[1] for pair in zip(was, now, strict=True))

    def _check_total(self, total: int | None) -> None:
        size = self._offer.size_bytes
        if None not in (size, total) and size != total:
            raise UpdateFailedError(
                Failure.SIZE_MISMATCH, f"the package has {total} bytes, not {size}"
            )

    def _check_size(self) -> None:
        size, most = self._expected, self._limits.max_package_bytes
        if size is None:
            return
        if size > most:
            raise UpdateFailedError(
                Failure.TOO_LARGE, f"{size} bytes are more than the {most} allowed"
            )
        self._check_space(size)

    def _check_space(self, size: int) -> None:
        needed = size - self._part.received + self._setting.needed_beside(size)
        if needed > self._setting.storage.free_bytes():
            raise UpdateFailedError(
                Failure.NO_SPACE, f"{needed} bytes are needed, more than the disk has free"
            )

    def _receive_chunk(self, keep: Keep, chunk: bytes) -> None:
        self._check_time()
        self._check_room(self._part.received + len(chunk))
        keep(chunk)
        self._gained += len(chunk)
        self._progress(self._part.received, self._expected)
        self._slow_down(len(chunk))

    def _check_room(self, received: int) -> None:
        size, most = self._expected, self._limits.max_package_bytes
        if received > (most if size is None else size):
            code = Failure.TOO_LARGE if size is None else Failure.SIZE_MISMATCH
            self._restart()
            raise UpdateFailedError(code, f"the server sends more than {size or most} bytes")
        if size is None:
            self._check_space(received)

    def _slow_down(self, received: int) -> None:
        """A second that the server was slow in may be caught up with, and no more."""
        rate = self._limits.bytes_per_second
        if rate:
            now = self._clock.monotonic()
            self._free_at = max(self._free_at, now - 1) + received / rate
            if self._free_at > now:
                self._clock.sleep(self._free_at - now)

    def _check_time(self) -> None:
        if self._seconds_left <= 0:
            raise UpdateFailedError(
                Failure.TOO_SLOW, f"the package was not there after {self._limits.max_seconds:g} s"
            )

    def _pause(self, tries: int, reason: UnavailableError) -> None:
        limits = self._limits
        longest = min(limits.max_pause_seconds, limits.first_pause_seconds * 2 ** (tries - 1))
        seconds = longest * random.uniform(0.5, 1)
        self._check_time()
        if tries >= limits.max_attempts or seconds >= self._seconds_left:
            raise UpdateFailedError(Failure.DOWNLOAD_FAILED, str(reason))
        logger.info("%s: %s; again in %.1f s", redact_url(self._offer.url), reason, seconds)
        self._clock.sleep(seconds)
