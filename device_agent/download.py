"""Download a package to the disk: in parts, over many connections, without repeating any part.

The rules:

1. What was written is kept over lost connections and losses of power, and only the rest is
   requested. A server that cannot resume, or now has another package, sends all of it again.
2. A loss of power may damage what was written since the last `sync`; only that is downloaded again.
   A killed process has lost nothing that it had written.
   A package with neither a hash nor a strong entity tag starts anew after each lost connection,
   because nothing would distinguish its rest from the rest of another package.
3. A package is hashed while it arrives. With a wrong hash it is downloaded once more from the
   beginning, because it may be mixed from two packages, or come from a captive portal.
4. Nothing is written beyond the known size, or beyond a limit if the size is unknown. Excess bytes
   and packages with a wrong hash do not stay on the disk.
5. No single response ends the download: what a server refuses or sends wrongly is requested again.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from device_agent import partial_package
from device_agent.download_limits import Attempts, DownloadLimits, PoweredTime, RecordSeconds
from device_agent.errors import (
    Failure,
    RefusedError,
    SwitchedOffError,
    UnavailableError,
    UpdateFailedError,
)
from device_agent.offer import Offer, redact_url
from device_agent.package_space import PackageSpace
from device_agent.partial_package import PartialPackage, WriteChunk
from device_agent.ports import Clock, PackageResponse, Storage, Transport
from device_agent.rate_limit import RateLimit
from device_agent.response_checks import check_response, is_another_package

logger = logging.getLogger(__name__)

_MAX_WRONG_PACKAGES = 2


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
        self,
        offer: Offer,
        on_progress: OnProgress,
        spent_seconds: float = 0.0,
        record_seconds: RecordSeconds = lambda _: None,
    ) -> DownloadedPackage:
        """Download the whole package to the file PACKAGE.

        The download has taken `spent_seconds` before; `record_seconds` stores how long it has
        taken now. Raises UpdateFailedError, SwitchedOffError, and OSError from the storage.
        """
        time = PoweredTime(self.clock, spent_seconds, record_seconds)
        return _Download(self, offer, on_progress, time).run()

    def discard(self) -> None:
        """Delete what is on the disk of the latest package."""
        partial_package.discard(self.storage)


class _Download:
    def __init__(
        self, downloader: Downloader, offer: Offer, on_progress: OnProgress, time: PoweredTime
    ) -> None:
        self._downloader, self._limits = downloader, downloader.limits
        self._offer, self._on_progress, self._time = offer, on_progress, time
        self._rate_limit = RateLimit(downloader.clock, self._limits.bytes_per_second)
        self._attempts = Attempts(self._limits)
        self._space = PackageSpace(
            downloader.storage, downloader.bytes_needed, self._limits.max_package_bytes
        )
        self._new_bytes = self._starts_from_zero = self._wrong_packages = 0
        self._stated_size: int | None = None
        self._refusal: RefusedError | None = None
        self._is_complete = self._parts_are_unusable = False
        self._part = PartialPackage(downloader.storage, offer, self._limits.sync_bytes)

    @property
    def _expected_size(self) -> int | None:
        return self._offer.size_bytes or self._stated_size

    @property
    def _seconds_left(self) -> float:
        return self._limits.max_seconds - self._time.seconds

    def run(self) -> DownloadedPackage:
        try:
            while not self._is_whole():
                self._attempt()
        except SwitchedOffError:
            with suppress(OSError):  # the device stops, whether its disk works or not
                self._time.record()
            raise
        self._part.sync()
        return DownloadedPackage(self._part.sha256, self._part.received)

    def _is_whole(self) -> bool:
        """Return whether nothing is missing. Without a hash, only the response's end shows it."""
        return self._is_complete if self._offer.sha256 is None else self._has_right_hash()

    def _has_right_hash(self) -> bool:
        return self._part.received > 0 and self._part.sha256 == self._offer.sha256

    def _attempt(self) -> None:
        self._check_time()
        before = self._new_bytes
        try:
            self._receive()
        except UnavailableError as error:
            has_progress = self._new_bytes > before
            self._refusal = error if isinstance(error, RefusedError) else None
            self._parts_are_unusable |= bool(self._refusal) and error.code == Failure.BAD_RESPONSE
            if not self._part.can_resume or (self._refusal and has_progress):
                self._restart()  # the bytes cannot be continued, or are not the package's
            self._pause(error, has_progress=has_progress)

    def _receive(self) -> None:
        part = self._part
        offset, before = 0 if self._parts_are_unusable else part.received, self._new_bytes
        with self._downloader.transport.get(
            self._offer.url, offset, part.etag, self._seconds_left
        ) as response:
            self._accept(response)
            overlap = part.received - response.offset
            with part.open() as write:
                for chunk in response.chunks:
                    self._receive_chunk(write, chunk[overlap:])
                    overlap = max(0, overlap - len(chunk))
        if self._is_slice(response) and self._new_bytes > before:
            return
        self._check_end(response)

    def _is_slice(self, response: PackageResponse) -> bool:
        """Return whether the server sent less than was requested, as some caches do."""
        is_short = self._part.received < (self._expected_size or 0)
        return response.offset > 0 and response.has_length and is_short

    def _check_end(self, response: PackageResponse) -> None:
        """Check that the response has brought the rest of the package."""
        received, size = self._part.received, self._expected_size
        is_cut = size is None and not response.has_length and not self._has_right_hash()
        if is_cut or received < (size or 1):
            raise UnavailableError(f"the connection ended after {received} bytes")
        self._is_complete = True
        if self._offer.sha256 is not None and not self._has_right_hash():
            self._discard_wrong_package()

    def _discard_wrong_package(self) -> None:
        self._restart()
        self._wrong_packages += 1
        message = "the package's SHA-256 differs from the expected one"
        if self._wrong_packages == _MAX_WRONG_PACKAGES:
            raise UpdateFailedError(Failure.HASH_MISMATCH, message)
        raise UnavailableError(message, Failure.HASH_MISMATCH)

    def _restart(self) -> None:
        self._part.restart()
        self._stated_size, self._is_complete = None, False

    def _accept(self, response: PackageResponse) -> None:
        if response.offset > self._part.received:
            raise RefusedError(
                "the server sent another part than the requested one", Failure.BAD_RESPONSE
            )
        check_response(response, self._offer)
        self._refusal = None
        is_from_zero = response.offset == 0
        self._starts_from_zero += is_from_zero
        if is_from_zero or is_another_package(response, self._part.etag, self._stated_size):
            self._restart()
        if response.offset > self._part.received:
            raise UnavailableError("the package changed during the download")
        self._stated_size = response.total or self._stated_size
        if self._expected_size is not None:
            self._space.check(self._expected_size, self._part.received)
        if response.etag is not None and self._part.etag is None:
            self._part.set_etag(response.etag)

    def _receive_chunk(self, write: WriteChunk, chunk: bytes) -> None:
        self._check_time()
        self._check_room(self._part.received + len(chunk))
        if chunk:
            write(chunk)
        self._new_bytes += len(chunk)
        self._on_progress(self._part.received, self._expected_size)
        self._rate_limit.wait(len(chunk))

    def _check_room(self, received: int) -> None:
        size = self._expected_size
        if size is not None and received > size:
            raise RefusedError(
                f"the server sends more than the expected {size} bytes", Failure.SIZE_MISMATCH
            )
        if size is None:
            try:
                self._space.check(received, self._part.received)
            except UpdateFailedError:
                self._restart()
                raise

    def _check_time(self) -> None:
        self._time.record_if_due()
        if self._seconds_left <= 0:
            if self._refusal is not None:  # says more than that the time is over
                raise UpdateFailedError(self._refusal.code, str(self._refusal))
            raise UpdateFailedError(
                Failure.TOO_SLOW, f"the download took longer than {self._limits.max_seconds:g} s"
            )

    def _pause(self, error: UnavailableError, *, has_progress: bool) -> None:
        self._check_time()
        seconds = self._attempts.choose_pause(
            error, has_progress=has_progress, downloads=self._starts_from_zero
        )
        if seconds >= self._seconds_left:
            raise UpdateFailedError(error.code, str(error))
        logger.info("%s: %s; next attempt in %.1f s", redact_url(self._offer.url), error, seconds)
        self._downloader.clock.sleep(seconds)
