"""The agent: takes up an offer, and carries the update to its end over any number of restarts.

Whoever runs it sends what it owes the hub (`owed`, then `told`), and lets it work when there is
work (`has_work`, `work`); a report comes first, so that the hub is never behind by more than one.
`invoke` may be called at any time, also while `work` is at work in another thread.
"""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from simulator.device.agent import journal
from simulator.device.agent.admission import Admission, Declined, Policy
from simulator.device.agent.download import PACKAGE, Downloader, DownloadLimits, Progress
from simulator.device.agent.errors import UpdateFailed
from simulator.device.agent.journal import Job, Journal, Phase
from simulator.device.agent.offer import Image, Offer, address
from simulator.device.agent.ports import (
    Boot,
    Clock,
    Health,
    Installer,
    Readiness,
    Running,
    Storage,
    Transport,
)
from simulator.device.dialect import CONTRACT, PROGRESS_PERCENT, Dialect
from simulator.device.stages import FirmwareStages, MethodAnswer, Report, answer
from simulator.device.update import FirmwareStatus, Json, Update, UpdateError

logger = logging.getLogger(__name__)

type Tell = Callable[[Report], None]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a device is made of."""

    storage: Storage
    transport: Transport
    clock: Clock
    installer: Installer
    health: Health
    readiness: Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How a device goes about its updates.

    `progress_step_percent` None tells the hub three times in an update and no more; a number adds
    a report for each such step of the download.
    """

    policy: Policy
    dialect: Dialect = CONTRACT
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    progress_step_percent: int | None = None


class UpdateAgent:
    """One device's updates."""

    def __init__(self, product: Product, options: AgentOptions) -> None:
        """Takes up what the journal says. Raises OSError, and ValueError for a broken journal."""
        self._product = product
        self._options = options
        self._admission = Admission(
            policy=options.policy, readiness=product.readiness, clock=product.clock
        )
        self._downloader = Downloader(
            product.storage,
            product.transport,
            product.clock,
            options.limits,
            product.installer.bytes_needed,
        )
        self._journal = journal.read(product.storage)
        self._stages = FirmwareStages(
            options.dialect,
            product.installer.running().version,
            update=self._job.offer.update if self._job else None,
            attempts=dict(self._journal.attempts),
        )
        self._greets = False
        self.is_restarting = False
        """Whether the device is about to start anew: nothing is left to do in this life."""

    @property
    def _job(self) -> Job | None:
        return self._journal.job

    @property
    def version(self) -> str:
        """The firmware that runs."""
        return self._product.installer.running().version

    @property
    def is_on_trial(self) -> bool:
        """Whether the running firmware is yet to be confirmed."""
        return self._product.installer.running().boot is Boot.ON_TRIAL

    def meet(self, reported: Json) -> None:
        """Take note of what the hub knows of this device: its twin's reported properties.

        A device stands by with a report only where the hub does not know what it runs: a restart
        tells nothing new, and must not hide how the latest update ended.
        """
        self._greets = reported.get("firmwareVersion") != self.version

    def invoke(self, method: str, payload: object) -> MethodAnswer:
        """Answer a direct method; an update that is begun is in the journal before the answer."""
        offer: Offer | None = None

        def admit(payload: object, update: Update) -> MethodAnswer | None:
            nonlocal offer
            try:
                offer = self._admission.admitted(
                    payload,
                    update,
                    running_version=self.version,
                    highest_sequence=self._journal.highest_sequence,
                )
                self._begin(offer)
            except Declined as declined:
                return declined.answer
            except OSError as error:
                return answer(500, f"The device cannot store the update: {error.strerror}")
            return None

        return self._stages.invoke(method, payload, admit)

    def owed(self) -> Report | None:
        """What the hub is to be told next; the same again until it was `told`."""
        job, now = self._job, self._product.clock.now()
        if job is None:
            return self._stages.standing_by(now) if self._greets else None
        if job.owes is None:
            return None
        self._stages.update, self._stages.status = job.offer.update, job.told
        if job.error is not None and job.phase is Phase.FAILED:
            return self._stages.failed(job.error, now)
        return self._stages.moved_on(now)

    def told(self, report: Report) -> None:
        """The hub has acknowledged the report."""
        self._greets = False
        job = self._job
        if job is None:
            return
        if report.status in (FirmwareStatus.COMPLETED, FirmwareStatus.FAILED):
            self._write(replace(self._journal, job=None))
        elif job.told is not report.status:
            self._write(replace(self._journal, job=replace(job, told=report.status)))

    @property
    def has_work(self) -> bool:
        """Whether `work` has something to do now."""
        job = self._job
        if job is None or self.is_restarting or job.owes is not None:
            return False
        return job.phase not in (Phase.CONFIRMED, Phase.FAILED)

    def work(self, tell: Tell) -> None:
        """Do what the journal says is next; blocks for as long as it takes.

        `tell` gets the download's progress, if the options want it told. Raises SwitchedOff, and
        OSError from a storage that fails in the middle of a switch: the device is to start anew.
        """
        job = self._job
        if job is None:
            return
        try:
            self._advance(job, tell)
        except UpdateFailed as error:
            self._fail(error.code, error.message)
        except OSError as error:
            if self._job is None or self._job.phase is Phase.SWITCHING:
                raise  # by now only the slots tell what runs: see it anew, after a restart
            self._out_of_order(error)

    def distrust(self, why: str) -> None:
        """Give the running firmware up if it is on trial: the old one comes back."""
        if self._job is not None and self.is_on_trial:
            self._reject(self._job, why)

    def _begin(self, offer: Offer) -> None:
        attempts = dict(self._journal.attempts)
        if offer.update.rollout_id and offer.update.attempt:
            attempts.pop(offer.update.rollout_id, None)  # the latest comes last
            attempts[offer.update.rollout_id] = offer.update.attempt
        self._write(replace(self._journal, job=Job(offer=offer), attempts=attempts))

    def _advance(self, job: Job, tell: Tell) -> None:
        match job.phase:
            case Phase.DOWNLOADING:
                self._download(job, tell)
            case Phase.INSTALLING:
                self._install(job)
            case Phase.SWITCHING:
                self._switch(job)

    def _download(self, job: Job, tell: Tell) -> None:
        logger.info("downloading %s", address(job.offer.url))
        fetched = self._downloader.fetch(job.offer, self._progress(tell))
        version = job.offer.update.version or f"sha256-{fetched.sha256[:12]}"
        image = Image(version=version, sha256=fetched.sha256, size_bytes=fetched.size_bytes)
        self._enter(replace(job, phase=Phase.INSTALLING, image=image))

    def _install(self, job: Job) -> None:
        installer = self._product.installer
        if job.image is None:
            raise UpdateFailed("installFailed", "the journal does not say what to install")
        installer.install(job.image, self._product.storage.chunks(PACKAGE))
        job = replace(job, phase=Phase.SWITCHING, old_slot=installer.running().slot)
        self._enter(job)
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
                self._fail(error.code, error.message)

    def _judge(self, job: Job) -> None:
        try:
            problem = self._product.health.problem()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a check not passed
            problem = f"its health check broke with {type(error).__name__}"
        if problem is not None:
            self._reject(job, problem)
            return
        self._product.installer.confirm()
        self._confirmed(job)

    def _confirmed(self, job: Job) -> None:
        highest = max(self._journal.highest_sequence, job.offer.sequence or 0)
        done = replace(job, phase=Phase.CONFIRMED)
        self._write(replace(self._journal, job=done, highest_sequence=highest))
        self._stages.version = self.version
        self._downloader.discard()

    def _reject(self, job: Job, why: str) -> None:
        error = UpdateError(code="reverted", message=f"the new firmware was not well: {why}")
        self._enter(replace(job, error=error))
        self._product.installer.reject()
        self._restart()

    def _restart(self) -> None:
        self.is_restarting = True
        self._product.installer.restart()

    def _out_of_order(self, error: OSError) -> None:
        full = error.errno in _FULL
        if full:
            self._downloader.discard()  # for the journal to have room again
        code, what = ("noSpace", "is full") if full else ("storageFailed", "does not work")
        self._fail(code, f"the device's storage {what}: {error.strerror}")

    def _fail(self, code: str, message: str) -> None:
        if self._job is not None:
            error = UpdateError(code=code, message=message)
            self._enter(replace(self._job, phase=Phase.FAILED, error=error))

    def _enter(self, job: Job) -> None:
        self._write(replace(self._journal, job=job))

    def _write(self, changed: Journal) -> None:
        journal.write(self._product.storage, changed)
        self._journal = changed

    def _progress(self, tell: Tell) -> Progress:
        """Tells of each step of the download; the whole download is half of the update."""
        step, latest = self._options.progress_step_percent, 0

        def progressed(received: int, size: int | None) -> None:
            nonlocal latest
            percent = PROGRESS_PERCENT[FirmwareStatus.APPLYING] * received // size if size else 0
            if step and latest + step <= percent < PROGRESS_PERCENT[FirmwareStatus.APPLYING]:
                latest = percent - percent % step
                tell(self._stages.progressed(latest, self._product.clock.now()))

        return progressed


def _did_not_stay(running: Running) -> UpdateError:
    message = f"the new firmware did not stay: {running.version} runs again"
    return UpdateError(code="reverted", message=message)
