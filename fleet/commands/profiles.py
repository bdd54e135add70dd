"""The command that keeps connections."""

from typing import Annotated

import typer

from fleet.exit_codes import ExitCode, UsageError
from fleet.profiles import DEFAULT_PROFILE, profiles_path, read_profiles, save_profile
from fleet.session import Session


def profile(
    session: Session,
    action: Annotated[str, typer.Argument(metavar="list|save|remove")] = "list",
    name: Annotated[str, typer.Option(help="of the profile")] = DEFAULT_PROFILE,
) -> ExitCode:
    """List, save or remove connections. save keeps --api with --key or --scope."""
    if action == "list":
        for known, kept in read_profiles().items():
            sign_in = "key" if kept.key else kept.scope or "no key"
            print(f"{known}  {kept.api}  {sign_in}")
    elif action == "save":
        from fleet.connection import check_api, check_key

        check_api(session.given.api or "")
        check_key(session.given.key)
        save_profile(name, session.given)
        print(f"saved {name} in {profiles_path()}")
    elif action == "remove":
        save_profile(name, None)
    else:
        raise UsageError(f"fleet profile list, save or remove, not {action!r}.")
    return ExitCode.DONE
