"""Write the options of a rollout into the action and the template.

    .venv/bin/python -m tests.pipelines.write_files

Each option of `fleet create` is an input of both files, and an environment variable of their steps.
So the options are declared once, in `fleet`; a test compares the files.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from fleet.pipeline.inputs import PREFIX
from fleet.rollout_options import RolloutOptions
from tests.pipelines.azure_template import TEMPLATE
from tests.pipelines.runner import ACTION

# Options that a command line repeats and a file lists, one a line.
PLURALS = {"device": "devices", "label": "labels", "wave": "waves", "window_day": "window_days"}
_SECTION = re.compile(
    r"^( *)(# Options of a rollout: .+)\n(?:.*\n)*?\1(# End of the options of a rollout\.)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Option:
    """One option as the files describe it."""

    variable: str  # the environment variable that passes it
    name: str  # with hyphens
    description: str

    @property
    def camel_name(self) -> str:
        first, *others = self.name.split("-")
        return first + "".join(part.capitalize() for part in others)


def options() -> Iterator[Option]:
    """Yield the options of `fleet create` in their order."""
    hints = get_type_hints(RolloutOptions, include_extras=True)
    for item in fields(RolloutOptions):
        (declared,) = hints[item.name].__metadata__
        name = PLURALS.get(item.name, item.name).replace("_", "-")
        description = declared.help.replace("; repeat for more", ", one a line")
        yield Option(PREFIX + item.name.upper(), name, description)


def complete_action(text: str) -> str:
    """Return the action with the options in its sections: inputs, then variables."""
    return _fill(text, [_action_input, _variable("inputs", lambda option: option.name)])


def complete_template(text: str) -> str:
    """Return the template with the options in its sections: parameters, then variables twice."""
    variable = _variable("parameters", lambda option: option.camel_name)
    return _fill(text, [_template_parameter, variable, variable])


type _Write = Callable[[Option], list[str]]


def _fill(text: str, writers: list[_Write]) -> str:
    remaining = iter(writers)

    def fill(found: re.Match[str]) -> str:
        write = next(remaining)
        lines = [line for option in options() for line in write(option)]
        return "\n".join(found[1] + line for line in [found[2], *lines, found[3]])

    filled = _SECTION.sub(fill, text)
    assert not list(remaining), "a section is missing"
    return filled


def _action_input(option: Option) -> list[str]:
    text: Any = option.description
    return [
        f"{option.name}:",
        f'  description: "{text}"' if ": " in text else f"  description: {text}",
    ]


def _template_parameter(option: Option) -> list[str]:
    return [
        f"# {option.description}",
        f"- name: {option.camel_name}",
        "  type: string",
        '  default: ""',
    ]


def _variable(context: str, name_of: Callable[[Option], str]) -> _Write:
    return lambda option: [f"{option.variable}: ${{{{ {context}.{name_of(option)} }}}}"]


def main() -> None:
    _rewrite(ACTION, complete_action)
    _rewrite(TEMPLATE, complete_template)


def _rewrite(path: Path, complete: Callable[[str], str]) -> None:
    path.write_text(complete(path.read_text()))


if __name__ == "__main__":
    main()
