"""The firmware that a rollout installs."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """One version of a firmware, and where devices download it."""

    version: str
    package_uri: str = field(repr=False)  # may hold a secret
    sha256: str | None = None  # 64 lower-case hex digits; None: unknown
    size_bytes: int | None = None  # None: unknown
    manifest: str | None = field(default=None, repr=False)  # signed, see `manifest`; None: unsigned
    reported_as: tuple[str, ...] = ()  # other names under which devices report this version

    def is_named(self, running: str) -> bool:
        """Return whether a device that reports version `running` runs this firmware.

        Names are compared exactly; only space around them does not count.
        """
        return running in [name.strip() for name in (self.version, *self.reported_as)]
