"""The work of an update, phase by phase: download, install, switch, and after the restart judge.

Whatever is found in the journal is done again from the beginning of its phase. Between a switch
and the end of the trial only the slots know what runs: the journal follows them.
"""

import errno
import logging
from dataclasses import replace

from simulator.device.agent.download import Downloader, Progress
from simulator.device.agent.errors import Failure, UpdateFailed
from simulator.device.agent.journal import Job, Journal, Phase
from simulator.device.agent.offer import Image, address
from simulator.device.agent.partial import PACKAGE
from simulator.device.agent.ports import Boot, Product, Running
from simulator.device.update import UpdateError

logger = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A hub takes texts of 4 KiB in a twin (Microsoft Learn, "Understand and use device twins").
_MESSAGE_CHARACTERS = 500


class UpdateWork:
    """What is done with the journal's job in one life of the device."""

    def __init__(self, product: Product, journal: Journal, downloader: Downloader) -> None:
        """Does nothing before `go_on`."""
        self._product = product
        self._journal = journal
        self._downloader = downloader
        self.is_restarting = False
        """Whether the device is about to start anew."""

    def go_on(self, job: Job, progress: Progress) -> None:
        """Do what comes next; blocks for as long as it takes.

        Raises SwitchedOff, and OSError from a storage that fails after the switch: the device is
        to start anew.
        """
        try:
            self._advance(job, progress)
        except UpdateFailed as error:
            self._fail(error.code, error.message)
        except OSError as error:
            now = self._journal.job
            if now is None or now.phase not in (Phase.DOWNLOADING, Phase.INSTALLING):
                raise
            self._out_of_order(error)

    def revert(self, job: Job, why: str) -> None:
        """End the trial of the running firmware: the old one comes back."""
        error = _error(Failure.REVERTED, f"the new firmware was not well: {why}")
        self._journal.enter(replace(job, error=error))
        self._product.installer.revert()
        self._restart()

    def _advance(self, job: Job, progress: Progress) -> None:
        match job.phase:
            case Phase.DOWNLOADING:
                self._download(job, progress)
            case Phase.INSTALLING:
                self._install(job)
            case Phase.SWITCHING:
                self._switch(job)

    def _download(self, job: Job, progress: Progress) -> None:
        logger.info("downloading %s", address(job.offer.url))
        fetched = self._downloader.fetch(job.offer, progress)
        version = job.offer.update.version or f"sha256-{fetched.sha256[:12]}"
        image = Image(version=version, sha256=fetched.sha256, size_bytes=fetched.size_bytes)
        self._journal.enter(replace(job, phase=Phase.INSTALLING, image=image))

    def _install(self, job: Job) -> None:
        installer = self._product.installer
        if job.image is None:
            raise UpdateFailed(Failure.INSTALL_FAILED, "the journal does not say what to install")
        installer.install(job.image, self._product.storage.chunks(PACKAGE))
        job = replace(job, phase=Phase.SWITCHING, old_slot=installer.running().slot)
        self._journal.enter(job)
        self._switch(job)

    def _switch(self, job: Job) -> None:
        running = self._product.installer.running()
        match running.boot:
            case Boot.SETTLED if running.slot == job.old_slot:
                self._product.installer.switch()
                self._restart()
            case Boot.SWITCHED:
                self._restart()
            case Boot.ON_TRIAL:
                self._judge(job)
            case Boot.SETTLED:  # confirmed, and the power was lost before the journal said so
                self._confirmed(job)
            case Boot.FELL_BACK:
                error = job.error or _did_not_stay(running)
                self._fail(Failure.REVERTED, error.message)

    def _judge(self, job: Job) -> None:
        try:
            problem = self._product.health.problem()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a check not passed
            problem = f"its health check broke with {type(error).__name__}"
        if problem is not None:
            self.revert(job, problem)
            return
        self._product.installer.confirm()
        self._confirmed(job)

    def _confirmed(self, job: Job) -> None:
        self._journal.confirm(job)
        self._downloader.discard()

    def _restart(self) -> None:
        self.is_restarting = True
        self._product.installer.restart()

    def _out_of_order(self, error: OSError) -> None:
        full = error.errno in _FULL
        if full:
            self._downloader.discard()  # for the journal to have room again
        code, what = (
            (Failure.NO_SPACE, "is full") if full else (Failure.STORAGE_FAILED, "does not work")
        )
        self._fail(code, f"the device's storage {what}: {error.strerror}")

    def _fail(self, code: Failure, message: str) -> None:
        job = self._journal.job
        if job is not None:
            self._journal.enter(replace(job, phase=Phase.FAILED, error=_error(code, message)))


def _error(code: Failure, message: str) -> UpdateError:
    return UpdateError(code=code, message=message[:_MESSAGE_CHARACTERS])


def _did_not_stay(running: Running) -> UpdateError:
    return _error(Failure.REVERTED, f"the new firmware did not stay: {running.version} runs again")
