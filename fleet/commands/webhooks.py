"""The command of the webhooks, which send events to people and programs."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from fleet.exit_codes import ExitCode, NotFoundError, UsageError
from fleet.session import Session

ACTIONS = ("list", "show", "set", "remove", "test")


@dataclass(frozen=True)
class WebhookOptions:
    """What `fleet webhooks set` stores; of a webhook that exists, what is not given stays."""

    url: Annotated[
        str | None,
        typer.Option(envvar="FLEET_WEBHOOK_URL", help="the variable keeps it out of lists"),
    ] = field(default=None, repr=False)
    format: Annotated[str | None, typer.Option(help="cloudEvents, teams or slack")] = None
    event: Annotated[
        list[str], typer.Option(help="only events with this action; repeat for more")
    ] = field(default_factory=list)
    all_events: Annotated[bool, typer.Option("--all-events", help="events of all actions")] = False
    secret: Annotated[
        str | None,
        typer.Option(envvar="FLEET_WEBHOOK_SECRET", help="whsec_...; default: one is made"),
    ] = field(default=None, repr=False)
    rotate_secret: Annotated[bool, typer.Option("--rotate-secret", help="make another one")] = False


def webhooks(
    session: Session,
    options: WebhookOptions,
    action: Annotated[str, typer.Argument(metavar="list|show|set|remove|test")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
) -> ExitCode:
    """List, show, set, remove or test webhooks. set prints the secret of a new one, once."""
    _check_usage(action, name, options)
    if action == "list" or name is None:
        return _list(session)
    if action == "set":
        return _set(session, name, options)
    return {"show": _show, "remove": _remove, "test": _test}[action](session, name)


def _check_usage(action: str, name: str | None, options: WebhookOptions) -> None:
    if action not in ACTIONS:
        raise UsageError(f"fleet webhooks {', '.join(ACTIONS[:-1])} or test, not {action!r}.")
    if (name is None) != (action == "list"):
        raise UsageError("fleet webhooks list; or show, set, remove or test with the NAME of one.")
    if options.event and options.all_events:
        raise UsageError("Set --event or --all-events, not both.")
    if action == "set" and options.url is None:
        raise UsageError(
            "fleet webhooks set needs --url or FLEET_WEBHOOK_URL, also for a webhook that exists:"
            " the service never shows it in full."
        )


def _path(name: str, more: str = "") -> str:
    from fleet.service import quoted

    return f"/webhooks/{quoted(name)}{more}"


def _list(session: Session) -> ExitCode:
    found = session.service.pages("/webhooks", {})
    if session.for_programs:
        session.print_items(found)
        return ExitCode.DONE
    for item in found:
        print(f"{item['name']}  {item['format']}  {item['url']}  {_state(item)}")
    return ExitCode.DONE


def _show(session: Session, name: str) -> ExitCode:
    return _print(session, session.service.get(_path(name)))


def _set(session: Session, name: str, options: WebhookOptions) -> ExitCode:
    body = {"url": options.url, "rotateSecret": options.rotate_secret}
    if options.secret is not None:
        body["secret"] = options.secret
    known = {"format": options.format, "actions": options.event or None}
    if not (options.format and (options.event or options.all_events)):
        known = {**_kept(session, name, options), **_given(known)}
    return _print(session, session.service.send("PUT", _path(name), {**body, **_given(known)}))


def _kept(session: Session, name: str, options: WebhookOptions) -> dict[str, Any]:
    """Return what stays of a webhook that exists; the service replaces it as a whole."""
    try:
        stored = session.service.get(_path(name))
    except NotFoundError:
        return {}
    kept = {"format": stored["format"]}
    return kept if options.all_events else {**kept, "actions": stored["actions"]}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _remove(session: Session, name: str) -> ExitCode:
    found = session.service.send("DELETE", _path(name), {})
    if session.for_programs:
        session.print_json(found)
    else:
        print(f"removed {name}; what it has not received is not sent.")
    return ExitCode.DONE


def _test(session: Session, name: str) -> ExitCode:
    found = session.service.send("POST", _path(name, "/test"), {})
    if session.for_programs:
        session.print_json(found)
    else:
        print(f"{'delivered' if found['delivered'] else 'not delivered'}: {found['detail']}")
    return ExitCode.DONE if found["delivered"] else ExitCode.NOT_COMPLETED


def _print(session: Session, found: dict[str, Any]) -> ExitCode:
    if session.for_programs:
        session.print_json(found)
        return ExitCode.DONE
    print(f"{found['name']}: {_state(found)}")
    print(f"  {found['format']} to {found['url']}")
    print(f"  events: {', '.join(found['actions']) or 'all'}")
    print(f"  public key {found['publicKey']}")
    if found.get("secret"):
        print(f"  secret {found['secret']} (shown this once; keep it where the receiver reads it)")
    return ExitCode.DONE


def _state(item: dict[str, Any]) -> str:
    from fleet.texts import time_of

    disabled, failing = item.get("disabled"), item.get("failing")
    if disabled:
        return f"disabled at {time_of(disabled['at'])}: {disabled['reason']}; set enables it again"
    if failing:
        return f"failing since {time_of(failing['since'])}: {failing['detail']}"
    return "enabled"
