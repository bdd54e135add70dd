"""Docstrings of functions begin with a verb in the imperative."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VERBS = frozenset(
    """
    abort accept acknowledge acquire act adapt add adjust admit advance allow answer append
    apply approve arrange assemble assert assign attach authenticate begin bind block book boot
    break bring build cache calculate call cancel carry change charge check choose claim clean
    clear close collect combine commit compare compile complete compose compute confirm connect
    consume continue convert copy correct count create cut deal decide declare decline decode
    decompress deduct defer define delay delete deliver deny deploy derive describe detach
    determine disable discard disconnect dispatch display divide do download draw drop emit
    empty enable encode end enqueue ensure enter escape estimate evaluate exclude execute exit
    expand expect expire explain export extend extract fail fetch fill filter find finish flush
    fold follow forget format forward free freeze gather generate get give go group handle hash
    hide hold ignore implement import include increase index indicate initialize insert inspect
    install interpret interrupt invoke iterate join judge keep kill label lay lease leave let
    limit link list listen load lock log look make map mark match measure merge migrate mint
    mirror modify move name normalize note notify number observe offer open order override pack
    pad paint parse pass pause peek perform persist pick place plan poll pop post prefix prepare
    present prevent print process produce promote prove provide publish pull push put query
    queue quote raise rank read rebuild receive recognise recompute reconnect record recover
    redirect reduce refer refill refuse register rehearse reject release reload remember remove
    rename render renew reopen reorder repeat replace replay reply report request requeue
    require reserve reset resolve respond restart restore restrict resume retry return reuse
    reverse revert revoke rewrite roll rotate round route run sample save say scale scan
    schedule seal search select send separate serialize serve set settle share shorten show
    shuffle shut sign signal simplify simulate skip sleep slow solve sort split spread stage
    stand start state step stop store stream strip stub subscribe subtract sum summarize supply
    suppress survive suspend swap switch sync take tell terminate test throttle time toggle
    trace track transform translate trigger trim trip try turn unbind undo unlock unpack
    unregister unsubscribe update upload use validate verify visit wait wake warn watch wipe
    withdraw work wrap write yield
    """.split()  # noqa: SIM905 - a list of words reads better as text
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with a docstring, and the first word of it."""

    path: Path
    line: int
    name: str
    first_word: str

    @property
    def begins_with_verb(self) -> bool:
        return self.first_word.lower() in VERBS


def functions(path: Path) -> Iterator[Function]:
    """Yield each function of a file that has a docstring; properties describe values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_property(node):
            continue
        docstring = ast.get_docstring(node)
        if docstring:
            first = docstring.split(maxsplit=1)[0].strip("`.,:;")
            yield Function(path, node.lineno, node.name, first)


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(item).rsplit(".", 1)[-1] for item in node.decorator_list}
    return bool(names & {"property", "cached_property"})
