"""Do the work of an update, phase by phase: download, install, switch, and end the trial.

After a restart, the work of the journal's phase starts again from the beginning. From the switch to
the end of the trial, the slots decide what runs, and the journal is brought in line with them.
"""

import errno
import logging
import threading
from dataclasses import replace

from device_agent.admission import Admission
from device_agent.download import Downloader, OnProgress
from device_agent.errors import Failure, SwitchedOffError, UpdateFailedError
from device_agent.journal import Job, Journal, Phase
from device_agent.offer import Image, redact_url
from device_agent.partial_package import PACKAGE
from device_agent.ports import BootState, Product, RunningFirmware
from device_agent.update import UpdateError

logger = logging.getLogger(__name__)

_READINESS_SECONDS = 30.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A hub takes strings of up to 4 KiB in a twin (Microsoft Learn, "Understand and use device twins").
_MAX_MESSAGE_CHARACTERS = 500


class UpdateWorker:
    """Works on the journal's update, from one start of the device to the next."""

    def __init__(
        self, product: Product, journal: Journal, downloader: Downloader, admission: Admission
    ) -> None:
        self._product = product
        self._journal = journal
        self._downloader = downloader
        self._admission = admission
        self._trial_lock = threading.Lock()
        self.is_restarting = False
        """Whether the device is about to restart."""

    def run_phase(self, on_progress: OnProgress) -> None:
        """Run the journal's next phase; blocks until it ends.

        Raises SwitchedOffError; raises OSError if the storage fails during a trial, after which
        the device must restart.
        """
        try:
            self._run(self._journal.job, on_progress)
        except SwitchedOffError:
            raise
        except Exception as error:
            if not self._is_before_switch():
                raise  # the slots decide what runs: after a restart, `_check_slot` reads them
            self._fail(*self._classify(error))

    def revert(self, reason: str) -> None:
        """End the trial of the running firmware, unless it is decided; return to the old one."""
        with self._trial_lock:
            boot = self._product.installer.running().boot
            if self.is_restarting or boot is not BootState.ON_TRIAL:
                return
            job = self._journal.job
            if job is not None:
                error = _error(Failure.REVERTED, f"the new firmware failed its trial: {reason}")
                self._journal.enter(replace(job, error=error))
            self._product.installer.revert()
            self._restart()

    def _run(self, job: Job | None, on_progress: OnProgress) -> None:
        match job.phase if job else None:
            case Phase.DOWNLOADING if job:
                self._download(job, on_progress)
            case Phase.INSTALLING if job:
                self._install(job)
            case Phase.SWITCHING if job:
                self._switch(job)
            case Phase.TRYING | None:
                self._check_slot(job)

    def _download(self, job: Job, on_progress: OnProgress) -> None:
        logger.info("downloading %s", redact_url(job.offer.url))
        package = self._downloader.fetch(
            job.offer,
            on_progress,
            job.download_seconds,
            lambda seconds: self._journal.enter(replace(job, download_seconds=seconds)),
        )
        version = job.offer.update.version or f"sha256-{package.sha256[:12]}"
        image = Image(version=version, sha256=package.sha256, size_bytes=package.size_bytes)
        self._journal.enter(replace(job, phase=Phase.INSTALLING, image=image))

    def _install(self, job: Job) -> None:
        installer = self._product.installer
        if job.image is None:
            raise UpdateFailedError(Failure.INSTALL_FAILED, "the journal does not name the image")
        self._admission.check_again(
            job.offer,
            running_version=installer.running().version,
            highest_sequence=self._journal.highest_sequence,
        )
        installer.install(job.image, self._product.storage.chunks(PACKAGE))
        job = replace(job, phase=Phase.SWITCHING, old_slot=installer.running().slot)
        self._journal.enter(job)
        self._downloader.discard()  # the slot has it; a full disk must not stop the switch
        self._switch(job)

    def _switch(self, job: Job) -> None:
        is_before = self._is_before_switch()
        if is_before:
            self._wait_until_ready()
            self._product.installer.switch()
        job = replace(job, phase=Phase.TRYING)
        self._journal.enter(job)
        if is_before:
            self._restart()
        else:
            self._check_slot(job)

    def _check_slot(self, job: Job | None) -> None:
        running = self._product.installer.running()
        has_fallen_back = running.boot is BootState.FELL_BACK
        if running.boot is BootState.SWITCHED:
            self._restart()
        elif running.boot is BootState.ON_TRIAL:
            self._end_trial(job)
        elif job is not None and (has_fallen_back or running.slot == job.old_slot):
            error = job.error or _fell_back_error(running)
            self._fail(Failure.REVERTED, error.message)
        elif job is not None:
            # The slot was confirmed before a loss of power. No trial is left to end, so the
            # firmware is not judged again: its health is the next update's concern.
            self._journal.confirm(job)

    def _end_trial(self, job: Job | None) -> None:
        problem = self._find_problem(job)
        if problem is not None:
            self.revert(problem)
            return
        with self._trial_lock:
            if self.is_restarting:  # the trial timed out during the health check
                return
            self._product.installer.confirm()
        if job is not None:
            self._journal.confirm(job)

    def _find_problem(self, job: Job | None) -> str | None:
        running = self._product.installer.running().version
        wanted = job.offer.update.version if job else None
        if wanted is not None and running != wanted:
            return f"it reports version {running}, expected {wanted}"
        try:
            return self._product.health.find_problem()
        except Exception as error:  # noqa: BLE001 - a health check that raises has not passed
            return f"its health check raised {type(error).__name__}"

    def _wait_until_ready(self) -> None:
        while (deferral := self._product.readiness.find_deferral()) is not None:
            logger.info("waiting with the restart: %s", deferral.message)
            self._product.clock.sleep(_READINESS_SECONDS)

    def _is_before_switch(self) -> bool:
        """Return whether the update has not changed the boot record yet."""
        job = self._journal.job
        if job is None or job.phase is not Phase.SWITCHING:
            return job is not None and job.phase in (Phase.DOWNLOADING, Phase.INSTALLING)
        running = self._product.installer.running()
        return running.boot is BootState.SETTLED and running.slot == job.old_slot

    def _restart(self) -> None:
        self.is_restarting = True
        self._product.installer.restart()

    def _classify(self, error: Exception) -> tuple[str, str]:
        """Return the code and the message to report for an error."""
        if isinstance(error, UpdateFailedError):
            return error.code, error.message
        if not isinstance(error, OSError):
            logger.error("the update failed unexpectedly", exc_info=error)
            return Failure.INTERNAL_ERROR, f"the device's software raised {type(error).__name__}"
        if error.errno in _DISK_FULL:
            self._downloader.discard()  # frees space for the journal
            return Failure.NO_SPACE, f"the device's disk is full: {error.strerror}"
        return Failure.STORAGE_FAILED, f"the device's disk failed: {error.strerror}"

    def _fail(self, code: str, message: str) -> None:
        job = self._journal.job
        if job is not None:
            self._journal.enter(replace(job, phase=Phase.FAILED, error=_error(code, message)))


def _error(code: str, message: str) -> UpdateError:
    return UpdateError(code=code, message=message[:_MAX_MESSAGE_CHARACTERS])


def _fell_back_error(running: RunningFirmware) -> UpdateError:
    message = f"the new firmware was not confirmed; the old version {running.version} runs again"
    return _error(Failure.REVERTED, message)
