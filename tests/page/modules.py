"""The page's modules in Node: what they derive from data is tested without a browser."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from simulator.paths import REPOSITORY

NODE = shutil.which("node")
_CALL = REPOSITORY / "tests/page/node/call.mjs"


class Modules:
    """A process of Node that has loaded modules of the page."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, module: str, name: str, *arguments: Any) -> Any:
        """Call a function of a module, by their names. Return what it returns, as JSON does."""
        return self.run(module, f"return module.{name}(...given)", *arguments)

    def run(self, module: str, script: str, *given: Any) -> Any:
        """Run a script that knows `module` and `given`. Return what it returns, as JSON does."""
        line = json.dumps({"module": module, "script": script, "given": given})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        response = json.loads(self._process.stdout.readline())
        assert "error" not in response, response["error"]
        return response["value"]

    @classmethod
    @contextmanager
    def loaded(cls, folder: Path) -> Iterator[Self]:
        """Copy the modules to `folder`, where Node takes them for modules, and start it."""
        for source in (REPOSITORY / "functions/ui").glob("*.js"):
            shutil.copy(source, folder)
        (folder / "package.json").write_text('{"type": "module"}')
        pipe = subprocess.PIPE
        command = [NODE or "node", str(_CALL), str(folder)]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()
