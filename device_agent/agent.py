"""The agent: takes up an offer, and carries the update to its end over any number of restarts.

Whoever runs it sends what it owes the hub (`owed`, then `told`), and lets it work when there is
work (`has_work`, `work`); a report comes first, so that the hub is never behind by more than one.
`invoke` may be called at any time, also while `work` is at work in another thread.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from device_agent.admission import Admission, DeclinedError, Policy
from device_agent.dialect import PROGRESS_PERCENT
from device_agent.download import Downloader, DownloadLimits, Progress
from device_agent.errors import Failure
from device_agent.journal import Journal, Phase
from device_agent.offer import Offer
from device_agent.ports import BootState, Product
from device_agent.stages import FirmwareStages, MethodResponse, Report, method_response
from device_agent.update import FirmwareStatus, Json, Update
from device_agent.update_worker import UpdateWorker

type Tell = Callable[[Report], None]

_DOWNLOADED_PERCENT = PROGRESS_PERCENT[FirmwareStatus.APPLYING]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How a device goes about its updates.

    `progress_step_percent` None tells the hub three times in an update and no more; a number adds
    a report for each such step of the download.
    """

    policy: Policy
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    progress_step_percent: int | None = None


class UpdateAgent:
    """One device's updates."""

    def __init__(self, product: Product, options: AgentOptions) -> None:
        """Takes up what the journal says. Raises OSError."""
        self._product = product
        self._options = options
        self._admission = Admission(
            policy=options.policy, readiness=product.readiness, clock=product.clock
        )
        self._journal = Journal(product.storage)
        downloader = Downloader(
            product.storage,
            product.transport,
            product.clock,
            options.limits,
            product.installer.bytes_needed,
        )
        self._downloader = downloader
        self._work = UpdateWorker(product, self._journal, downloader, self._admission)
        self._stages = FirmwareStages(version=self.version, attempts=dict(self._journal.attempts))
        self._greets = False

    @property
    def version(self) -> str:
        """The firmware that runs."""
        return self._product.installer.running().version

    @property
    def is_on_trial(self) -> bool:
        """Whether the running firmware is yet to be confirmed."""
        return self._product.installer.running().boot is BootState.ON_TRIAL

    @property
    def is_restarting(self) -> bool:
        """Whether the device is about to start anew: nothing is left to do in this life."""
        return self._work.is_restarting

    def read_twin(self, reported: Json) -> None:
        """Take note of what the hub knows of this device: its twin's reported properties.

        A device stands by with a report only where the hub does not know what it runs: a restart
        tells nothing new, and must not hide how the latest update ended.
        """
        self._greets = reported.get("firmwareVersion") != self.version

    def invoke(self, method: str, payload: object) -> MethodResponse:
        """Answer a direct method; an update that is begun is in the journal before the response."""
        return self._stages.invoke(method, payload, self._admit)

    def next_report(self) -> Report | None:
        """What the hub is to be told next; the same again until it was `told`."""
        job, now = self._journal.job, self._product.clock.now()
        if job is None:
            return self._stages.stand_by(now) if self._greets else None
        if job.unreported_status is None:
            return None
        self._stages.update, self._stages.status = job.offer.update, job.told
        self._stages.version = self.version
        if job.phase is Phase.FAILED and job.error is not None:
            return self._stages.fail(job.error, now)
        return self._stages.advance(now)

    def acknowledge(self, report: Report) -> None:
        """The hub has acknowledged the report. Raises OSError: it will be owed again."""
        self._greets = False
        self._journal.acknowledge(report.status)

    @property
    def has_work(self) -> bool:
        """Whether `work` has something to do now."""
        job = self._journal.job
        if self.is_restarting or (job is not None and job.unreported_status is not None):
            return False
        if job is None:
            return self.is_on_trial
        return job.phase not in (Phase.CONFIRMED, Phase.FAILED)

    def work(self, tell: Tell) -> None:
        """Do what the journal says is next; blocks for as long as it takes.

        `tell` sends the download's progress, if the options request it. Raises SwitchedOffError;
        raises OSError if the device must restart.
        """
        self._work.run_phase(self._progress(tell))

    def revert(self, why: str) -> None:
        """Give the running firmware up if it is on trial: the old one comes back."""
        self._work.revert(why)

    def _admit(self, payload: object, update: Update) -> MethodResponse | None:
        if self._journal.job is not None or self.is_on_trial:  # the hub has not heard of its end
            return method_response(409, "Another firmware update is under way")
        try:
            offer = self._admission.admitted(
                payload,
                update,
                running_version=self.version,
                highest_sequence=self._journal.highest_sequence,
            )
        except DeclinedError as declined:
            return declined.response
        return self._begun(offer)

    def _begun(self, offer: Offer) -> MethodResponse | None:
        try:
            with suppress(OSError):
                self._journal.begin(offer, self._product.clock.now())
                return None
            self._downloader.discard()  # on a full disk this makes room
            self._journal.begin(offer, self._product.clock.now())
        except OSError as error:
            text = f"Deferred: the device cannot store the update: {error.strerror}"
            return method_response(409, text, deferred=Failure.STORAGE_FAILED)
        return None

    def _progress(self, tell: Tell) -> Progress:
        """Tells of each step of the download; the whole download is half of the update."""
        step, latest = self._options.progress_step_percent, 0

        def progressed(received: int, size: int | None) -> None:
            nonlocal latest
            percent = _DOWNLOADED_PERCENT * received // size if size else 0
            if step and latest + step <= percent < _DOWNLOADED_PERCENT:
                latest = percent - percent % step
                tell(self._stages.report_progress(latest, self._product.clock.now()))

        return progressed
