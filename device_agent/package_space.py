"""Check that a package fits the device's limit and its disk."""

from collections.abc import Callable
from dataclasses import dataclass

from device_agent.errors import Failure, UpdateFailedError
from device_agent.ports import Storage


@dataclass(frozen=True, slots=True)
class PackageSpace:
    """The space for one package."""

    storage: Storage
    """The disk."""
    bytes_needed: Callable[[int], int]
    """Returns the free bytes that installing a package of a size takes."""
    max_bytes: int
    """The largest package."""

    def check(self, size: int, received: int) -> None:
        """Check that a package of `size` bytes fits, of which `received` are on the disk.

        Raises UpdateFailedError.
        """
        if size > self.max_bytes:
            raise UpdateFailedError(
                Failure.TOO_LARGE,
                f"the package has {size} bytes; at most {self.max_bytes} are allowed",
            )
        needed = size - received + self.bytes_needed(size)
        free = self.storage.free_bytes()
        if needed > free:
            raise UpdateFailedError(
                Failure.NO_SPACE, f"the update needs {needed} bytes, but the disk has {free} free"
            )
