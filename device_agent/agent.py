"""Accept an update and take it to its end, over any number of restarts.

The caller sends the agent's reports (`next_report`, then `acknowledge`) and lets it work when it
has work (`has_work`, `work`). Send a report first, so that the hub is at most one status behind.
`invoke` may be called at any time, also while `work` runs in another thread.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from device_agent.admission import Admission, DeclinedError, Policy
from device_agent.dialect import PROGRESS_PERCENT
from device_agent.download import Downloader, OnProgress
from device_agent.download_limits import DownloadLimits
from device_agent.errors import Failure
from device_agent.journal import Journal, Phase
from device_agent.json_types import JsonObject
from device_agent.offer import Offer
from device_agent.ports import BootState, Product
from device_agent.stages import FirmwareStages, MethodResponse, Report, method_response
from device_agent.update import FirmwareStatus, Update
from device_agent.update_worker import UpdateWorker

type SendReport = Callable[[Report], None]

_DOWNLOADED_PERCENT = PROGRESS_PERCENT[FirmwareStatus.APPLYING]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How a device updates itself."""

    policy: Policy
    """Which updates it accepts."""
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    """The limits of a download."""
    progress_step_percent: int | None = None
    """Report the download's progress in steps of this size; None reports three statuses only."""


class UpdateAgent:
    """The updates of one device."""

    def __init__(self, product: Product, options: AgentOptions) -> None:
        """Continue from the journal. Raises OSError."""
        self._product = product
        self._options = options
        self._admission = Admission(
            policy=options.policy, readiness=product.readiness, clock=product.clock
        )
        self._journal = Journal(product.storage)
        self._downloader = Downloader(
            product.storage,
            product.transport,
            product.clock,
            options.limits,
            product.installer.bytes_needed,
        )
        self._worker = UpdateWorker(product, self._journal, self._downloader, self._admission)
        self._stages = FirmwareStages(version=self.version, attempts=dict(self._journal.attempts))
        self._must_report_version = False

    @property
    def version(self) -> str:
        """The firmware that runs."""
        return self._product.installer.running().version

    @property
    def is_on_trial(self) -> bool:
        """Whether the running firmware is not confirmed yet."""
        return self._product.installer.running().boot is BootState.ON_TRIAL

    @property
    def is_restarting(self) -> bool:
        """Whether the device is about to restart; the agent then has no more work."""
        return self._worker.is_restarting

    def read_twin(self, reported: JsonObject) -> None:
        """Compare the twin's reported properties with what runs.

        The device reports standBy only if the hub does not know its version. Otherwise a restart
        would overwrite the result of the latest update.
        """
        self._must_report_version = reported.get("firmwareVersion") != self.version

    def invoke(self, method: str, payload: object) -> MethodResponse:
        """Respond to a direct method; the journal holds an accepted update first."""
        if self._journal.can_begin:
            self._stages.update = None  # it has ended, whether the hub knows it or not
        return self._stages.invoke(method, payload, self._admit)

    def next_report(self) -> Report | None:
        """Return the next report for the hub, or None. It stays the same until `acknowledge`."""
        job, now = self._journal.unreported_job, self._product.clock.now()
        if job is None:
            is_idle = self._journal.job is None
            return self._stages.stand_by(now) if is_idle and self._must_report_version else None
        self._stages.update, self._stages.status = job.offer.update, job.told
        self._stages.version = self.version
        if job.phase is Phase.FAILED and job.error is not None:
            return self._stages.fail(job.error, now)
        return self._stages.advance(now)

    def acknowledge(self, report: Report) -> None:
        """Record that the hub has received the report.

        Raises OSError; `next_report` then returns the report again.
        """
        self._must_report_version = False
        self._journal.acknowledge(report.status)

    @property
    def has_work(self) -> bool:
        """Whether `work` has something to do now."""
        job = self._journal.job
        if self.is_restarting or self._journal.unreported_job is not None:
            return False
        return self.is_on_trial if job is None else job.is_under_way

    def work(self, send_report: SendReport) -> None:
        """Run the journal's next phase; blocks until it ends.

        `send_report` sends the download's progress, if the options request it. Raises
        SwitchedOffError; raises OSError if the device must restart.
        """
        self._worker.run_phase(self._on_progress(send_report))

    def revert(self, reason: str) -> None:
        """End the trial of the running firmware, if it is on trial, and return to the old one."""
        self._worker.revert(reason)

    def _admit(self, payload: object, update: Update) -> MethodResponse | None:
        if not self._journal.can_begin or self.is_on_trial:
            return method_response(409, "Another firmware update is under way")
        try:
            offer = self._admission.admit(
                payload,
                update,
                running_version=self.version,
                highest_sequence=self._journal.highest_sequence,
            )
        except DeclinedError as declined:
            return declined.response
        return self._start(offer)

    def _start(self, offer: Offer) -> MethodResponse | None:
        try:
            with suppress(OSError):
                self._journal.begin(offer, self._product.clock.now())
                return None
            self._downloader.discard()  # frees space if the disk is full
            self._journal.begin(offer, self._product.clock.now())
        except OSError as error:
            text = f"Deferred: the device cannot store the update: {error.strerror}"
            return method_response(409, text, deferred=Failure.STORAGE_FAILED)
        return None

    def _on_progress(self, send_report: SendReport) -> OnProgress:
        """Return a callback that reports each step of the download, which is half the update."""
        step, latest = self._options.progress_step_percent, 0

        def progressed(received: int, size: int | None) -> None:
            nonlocal latest
            percent = _DOWNLOADED_PERCENT * received // size if size else 0
            if step and latest + step <= percent < _DOWNLOADED_PERCENT:
                latest = percent - percent % step
                send_report(self._stages.report_progress(latest, self._product.clock.now()))

        return progressed
