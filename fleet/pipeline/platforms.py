"""The service that runs the build, as far as a rollout shows something in it."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from fleet.pipeline.escaping import log_line
from fleet.plain_text import one_line

Level = Literal["error", "warning", "notice"]

# https://docs.github.com/actions, "Workflow commands": 10 of a level for each step, and 1 MiB of
# summary. Azure Pipelines states no number; the same holds there.
MAX_ANNOTATIONS = 10
MAX_SUMMARY_BYTES = 1_000_000
_MAX_MESSAGE = 1_000


class Platform(Protocol):
    """What a build can show."""

    idempotency_key: str | None
    """The same for all runs of one build; None if the build has no id."""

    def group(self, title: str) -> None:
        """Begin a part of the log."""

    def annotate(self, level: Level, title: str, message: str) -> None:
        """Show a message beside the build; at most MAX_ANNOTATIONS of them are shown."""

    def set_output(self, name: str, value: str) -> None:
        """Set a value for later steps, named as in `planHash`."""

    def add_summary(self, markdown: str) -> None:
        """Add to the page of the build."""


def say(text: str) -> None:
    """Print a line of the log."""
    print(log_line(text), flush=True)


class Log:
    """Any other service, or a terminal: everything goes to the log."""

    idempotency_key: str | None = None

    def __init__(self) -> None:
        self._annotations = 0

    def group(self, title: str) -> None:
        say(f"== {title}")

    def annotate(self, level: Level, title: str, message: str) -> None:
        if self._annotations < MAX_ANNOTATIONS:
            self._annotations += 1
            self._annotate(level, one_line(title), one_line(message)[:_MAX_MESSAGE])

    def _annotate(self, level: Level, title: str, message: str) -> None:
        say(f"{level}: {title}: {message}")

    def set_output(self, name: str, value: str) -> None:
        say(f"{name}={value}")

    def add_summary(self, markdown: str) -> None:
        """Show nothing: the log holds it all."""


class GitHub(Log):
    """GitHub Actions: workflow commands on standard output, and environment files."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._environment = environment
        names = ("GITHUB_REPOSITORY_ID", "GITHUB_RUN_ID", "GITHUB_JOB")
        self.idempotency_key = _key("github", environment, names)
        self._summary_left = MAX_SUMMARY_BYTES
        self._in_group = False

    def group(self, title: str) -> None:
        if self._in_group:
            print("::endgroup::")
        self._in_group = True
        print(f"::group::{_github(title)}", flush=True)

    def _annotate(self, level: Level, title: str, message: str) -> None:
        escaped = _github(title).replace(":", "%3A").replace(",", "%2C")
        print(f"::{level} title={escaped}::{_github(message)}", flush=True)

    def set_output(self, name: str, value: str) -> None:
        end = secrets.token_hex(16)
        self._append("GITHUB_OUTPUT", f"{_with_dashes(name)}<<{end}\n{one_line(value)}\n{end}\n")

    def add_summary(self, markdown: str) -> None:
        part = fit(markdown, self._summary_left)
        self._summary_left -= len(part.encode())
        self._append("GITHUB_STEP_SUMMARY", part)

    def _append(self, variable: str, text: str) -> None:
        path = self._environment.get(variable)
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text)


class AzurePipelines(Log):
    """Azure Pipelines: logging commands on standard output."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        # Azure Pipelines calls a job of the file a phase, and a leg of its matrix a job.
        job = ("SYSTEM_STAGENAME", "SYSTEM_PHASENAME", "SYSTEM_JOBNAME")
        names = ("SYSTEM_COLLECTIONID", "BUILD_BUILDID", *job)
        self.idempotency_key = _key("azure-pipelines", environment, names)
        self._folder = environment.get("AGENT_TEMPDIRECTORY") or tempfile.gettempdir()

    def group(self, title: str) -> None:
        print(f"##[section]{log_line(title)}", flush=True)

    def _annotate(self, level: Level, title: str, message: str) -> None:
        text = _azure(f"{title}: {message}")
        if level == "notice":  # which Azure Pipelines does not know
            say(f"{title}: {message}")
        else:
            print(f"##vso[task.logissue type={level}]{text}", flush=True)

    def set_output(self, name: str, value: str) -> None:
        print(f"##vso[task.setvariable variable={name};isOutput=true]{_azure(value)}", flush=True)

    def add_summary(self, markdown: str) -> None:
        # The agent reads the file after the step, so each part has a file of its own.
        name = f"rollout-{secrets.token_hex(4)}.md"
        path = Path(self._folder, name)
        path.write_text(fit(markdown, MAX_SUMMARY_BYTES), encoding="utf-8")
        print(f"##vso[task.uploadsummary]{path}", flush=True)


def detect(environment: Mapping[str, str] = os.environ) -> Platform:
    """Return the service that runs this build."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return GitHub(environment)
    if environment.get("TF_BUILD", "").lower() == "true":
        return AzurePipelines(environment)
    return Log()


def fit(markdown: str, size: int) -> str:
    """Return the lines of a text that fit into `size` bytes, and say if some do not."""
    if len(markdown.encode()) <= size:
        return markdown
    more = "\n\nThe rest is too long for this page.\n"
    kept = markdown.encode()[: max(0, size - len(more.encode()))].decode(errors="ignore")
    return (kept[: kept.rfind("\n") + 1] + more) if size > len(more) else ""


def _key(prefix: str, environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    values = [environment.get(name, "") for name in names]
    return "-".join([prefix, *filter(None, values)]) if values[1] else None


def _github(text: str) -> str:
    return one_line(text).replace("%", "%25")


def _azure(text: str) -> str:
    return log_line(text).replace("%", "%AZP25")


def _with_dashes(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
