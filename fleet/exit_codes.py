"""The exit codes of `fleet`, and the errors that lead to them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; scripts and pipelines rely on these numbers."""

    DONE = 0
    NOT_COMPLETED = 1  # the rollout failed or was cancelled
    REFUSED = 2  # the service refused the request, or the usage is wrong
    NOT_ENDED = 3  # the rollout did not end in time
    SIGN_IN = 4
    PAUSED = 5  # the rollout is paused, or waits for approval
    PLAN_CHANGED = 6
    UNREACHABLE = 7
    INTERRUPTED = 130  # by Ctrl-C, as shells say it


class CommandError(Exception):
    """A reason to end the command; its text is for people and holds no secret."""

    code = ExitCode.REFUSED


class UsageError(CommandError):
    """The arguments, the environment or a file of the caller cannot be used."""


class RefusedError(CommandError):
    """The service refuses the request; a repeat would end alike."""


class NotFoundError(RefusedError):
    """The service does not know the rollout or the device."""


class PlanChangedError(CommandError):
    """The plan is no longer the one that the caller has seen."""

    code = ExitCode.PLAN_CHANGED


class SignInError(CommandError):
    """The key or the token is missing, wrong or not sufficient."""

    code = ExitCode.SIGN_IN


class UnreachableError(CommandError):
    """The service did not respond, or responded that it cannot now."""

    code = ExitCode.UNREACHABLE


class NotEndedError(CommandError):
    """The rollout goes on, and the caller's time is over."""

    code = ExitCode.NOT_ENDED
