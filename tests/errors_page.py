"""The index of all error codes, read from the code that raises them.

A message is declared where it is raised, ``InputError("E401", f"there is no model file {path}")``;
what varies is shown as …. Codes that are said in several ways have one meaning, which is here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FAMILIES = {
    "E1": "Syntax",
    "E2": "Names, attributes and kinds",
    "E3": "Documents",
    "E4": "Models, data and statistics",
    "E5": "Tables and ranking",
    "E6": "Runs and files",
    "E7": "Spaces and training",
    "E8": "Simplification and printing",
}

MEANINGS = {
    "E104": "A character that starts nothing in the language.",
    "E107": "Two operands with nothing between them.",
    "E108": "An operand is missing at the end.",
    "E109": "Brackets or bars that do not pair.",
    "E110": "A sign where none can stand.",
    "E201": "A name that means nothing here.",
    "E203": "A formula whose value is not one number.",
    "E204": "A wrong number of arguments.",
    "E205": "Attributes that are not taken, not known, or exclude each other.",
    "E206": "A value that an attribute does not take.",
    "E207": "Values of kinds that an operator does not take.",
    "E208": "A let or proxy that is used before it is defined, or by itself.",
    "E209": "A pair where none can stand, or none where one must.",
    "E211": "A place in a population where none can stand.",
    "E221": "A file of one's own operators that does not run.",
    "E223": "The name of an operator or statistic of one's own that cannot be used.",
    "E224": "An operator or statistic of one's own that is defined wrongly.",
    "E305": "The first line of a document is not `proxy/1 name`.",
    "E308": "A name of a proxy or let that cannot be used.",
    "E310": "A line or header that documents do not have.",
    "E311": "Something that is given twice.",
    "E312": "A header whose value cannot be read.",
    "E313": "A formula line without its =.",
    "E322": "A reference line that cannot be read.",
    "E323": "Numbers that are no population.",
    "E403": "A file that gives no network.",
    "E404": "What a file gives as a network is none.",
    "E406": "A model that a library does not have.",
    "E407": "Weights that cannot be read, or that are another network's.",
    "E410": "Several models where there can be one.",
    "E413": "A model in a file that is not called as it is written.",
    "E420": "Data that cannot be found or read.",
    "E421": "Inputs of the wrong type, shape or number.",
    "E422": "Labels outside the classes.",
    "E423": "Samples of a shape that the network does not take.",
    "E425": "Fewer samples than are needed.",
    "E426": "Inputs that are not finite.",
    "E427": "Labels that are not whole numbers, one for each input.",
    "E429": "A data set of torchvision that cannot be had.",
    "E430": "Data from Python in a form that is not understood.",
    "E443": "A network without the layers that a statistic is about.",
    "E444": "A formula compares with a teacher, and there is none.",
    "E446": "The classifier of a network cannot be told.",
    "E447": "The last feature map of a network cannot be told.",
    "E454": "A statistic of one's own whose function fails or gives something else.",
    "E504": "A table that is not CSV.",
    "E505": "Names of columns that cannot be told apart.",
    "E508": "A table that does not say what its architectures are.",
    "E526": "A published table that cannot be read.",
    "E624": "An operator that a search cannot use.",
    "E631": "An option of a search outside its range.",
    "E640": "A folder that is no run.",
    "E651": "The store of scores cannot be used.",
    "E664": "A file of defaults that cannot be read.",
    "E665": "A file of defaults with a command or an option that there is not.",
    "E666": "A file of defaults with a value that an option does not take.",
    "E667": "An option in a file of defaults that stands on the command line.",
    "E690": "A file that cannot be read or written.",
    "E702": "A text that is no architecture of the space.",
    "E705": "A part of an architecture of the wrong length.",
    "E706": "A part of an architecture that is not allowed there.",
    "E712": "A file of a space that does not run.",
    "E715": "A file of a space that says in a wrong form what its networks take.",
    "E716": "A function of a space that fails or gives something else.",
    "E719": "Models in a table that lie elsewhere, or do not go together.",
    "E726": "No teacher, or one that guesses, for networks that are to be taught.",
    "E731": "Student and teacher differ where a loss needs them equal.",
    "E734": "A training run that diverges.",
    "E740": "A recipe that cannot be read.",
    "E741": "A recipe that says what is no option.",
    "E742": "A recipe with a value that an option does not take.",
    "E744": "A formula that cannot be a loss.",
    "E755": "Limits of a student search that leave nothing to find.",
}
"""What codes mean that are said in several ways, or in no words but those of others."""

UNSHOWN = {
    "E320": "After the first 50 mistakes of a document.",
    "E415": "When a file of the user's changes while worker processes build networks from it.",
    "E462": "With --compile, where no C++ compiler is found.",
    "E604": "When two processes are given the same run folder.",
    "E607": "When a search ends without one valid formula.",
    "E612": "When --memory does not hold the statistics of the teacher.",
    "E669": "When the folder that the program is started in was deleted.",
    "E745": "When --resume finds a file that is no state of a run.",
    "E746": "When --resume is given with other options than the run began with.",
    "E747": "When the maps that hints compare differ in height or width.",
    "E749": "When crd is to learn from a DataLoader.",
    "E756": "When inputs that are no images are to be flipped or cropped.",
    "E759": "When --test-data names the file or folder of --data.",
    "E761": "When the process that draws the plots of a search is killed.",
    "E720": "When --out names the file of another build.",
    **dict.fromkeys(
        ("E781", "E782", "E783", "E784", "E785", "E786", "E787", "E788"),
        "When work is to be done on a Ray cluster.",
    ),
    **dict.fromkeys(("E789", "E790", "E791"), "From Python, with workers or an executor of one's own."),
    "E780": "When networks defined inside a function are to be built in another process.",
    "E793": "When statistics that do not fit into --memory find no room on the disk.",
    "E794": "When statistics that lie on disk cannot be read back.",
    "E792": "When a network ends two workers of a search while its statistics are collected.",
    **dict.fromkeys(
        ("E634", "E635"), "When a proposer or a strategy of one's own fails in the middle of a search."
    ),
    **dict.fromkeys(
        ("E443", "E446", "E447", "E448", "E449", "E452", "E453", "E454", "E457", "E458",
         "E770", "E771"),
        "Read as the reason in E461, or beside the networks that a formula does not fit.",
    ),
    **dict.fromkeys(
        ("E405", "E406", "E414", "E429", "E521", "E535", "E660"),
        "Depends on the packages that are installed.",
    ),
    **dict.fromkeys(
        ("E445", "E609", "E650", "E651", "E724"),
        "When memory, a disk or a process of the machine gives out.",
    ),
    **dict.fromkeys(
        ("E652", "E653", "E654", "E655", "E656"), "When an editor renames through the language server."
    ),
    **dict.fromkeys(
        ("E430", "E431", "E625", "E626", "E701", "E714", "E728", "E732", "E737", "E755", "E801",
         "E803", "E804", "E805", "E807", "E808", "E812", "E813", "E814"),
        "From Python: the commands refuse or avoid it before.",
    ),
    "E810": "Inside `simplify`, which then leaves the formula as it is.",
}  # fmt: skip
"""When a code occurs that no example is given of."""

_HELP = {
    "InputError": 2, "StatisticError": 2, "error": 2, "__init__": 2,
    "Diagnostic": 3, "Fault": 3, "SyntaxFault": 3, "report": 3,
}  # fmt: skip
"""Which argument of what raises is the help; after a code comes the message."""

_UNCODED = {"KindError": "E207"}
"""Exceptions of a message and a help that are given their code where they are caught."""

_SUGGESTS = ("did_you_mean", "suggest", "suggestion")
_FIELD = "…"
_DEPTH = 3

_HEAD = f"""\
# Errors

<!-- Written by `python -m pytest --golden` from the code; change the messages, not this file. -->

A mistake in a formula, a file, a network or a setting ends in a message with a code, its place and
what to do about it, and in exit status 1 (2, with the usage, when an option is written wrongly); a
traceback would be a mistake of ours. Codes keep their meaning between versions, messages need not.
Below stands what each code says, with {_FIELD} for what varies, and after → what to do; then an
example, whose first lines make its files, or when the code occurs. `autodas-dsl
explain E444` prints one of them, `check --format json` gives diagnostics to programs.
"""


@dataclass(frozen=True)
class Saying:
    """One way in which a code is said: where, its message, and what to do."""

    code: str
    module: str
    line: int
    message: str
    help: tuple[str, ...]


def sayings(root: Path) -> list[Saying]:
    """Every message with a code in the Python files of a folder, wherever in it, in one order.

    Raises
    ------
    LookupError
        When a code is passed to something of which `_HELP` does not say where the help is.
    """
    found: list[Saying] = []
    for path in sorted(root.rglob("*.py")):
        module = _Module(ast.parse(path.read_text(encoding="utf-8")))
        found += module.sayings(path.relative_to(root).as_posix())
    return sorted(found, key=lambda s: (s.code, s.message, s.module, s.line))


class _Module:
    """One parsed module: its constants and functions, which messages are made of."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.known: dict[str, list[ast.expr]] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.known[node.targets[0].id] = [node.value]
            if isinstance(node, ast.FunctionDef):
                self.known[node.name] = [
                    n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value
                ]

    def sayings(self, name: str) -> Iterator[Saying]:
        functions = [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)]
        seen: set[ast.Call] = set()
        for scope in [*reversed(functions), self.tree]:  # inner ones first
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and node not in seen:
                    seen.add(node)
                    yield from self._saying(node, scope, name)

    def _saying(self, call: ast.Call, scope: ast.AST, name: str) -> Iterator[Saying]:
        raiser = _last(call.func)
        if raiser in _UNCODED:
            code, message, at = _UNCODED[raiser], 0, 1
        elif call.args and _is_code(call.args[0]):
            code, message, at = ast.literal_eval(call.args[0]), 1, 0
            if raiser not in _HELP:
                raise LookupError(f"{name}:{call.lineno}: where is the help of {raiser}(…)?")
            at = _HELP[raiser]
        else:
            return
        values = {"help": call.args[at]} if len(call.args) > at else {}
        values |= {word.arg: word.value for word in call.keywords if word.arg}
        local = _assigned(scope.body, call) if isinstance(scope, ast.FunctionDef) else {}
        told = self._texts(values["help"], local) if "help" in values else ()
        told = tuple(text.strip() for text in told if text.strip(f"{_FIELD} "))
        for text in self._texts(call.args[message], local):
            yield Saying(code, name, call.lineno, text, told)

    def _texts(
        self, node: ast.expr, local: Mapping[str, list[ast.expr]], depth: int = 0
    ) -> tuple[str, ...]:
        """What an expression of texts can say, in the order of the source."""
        parts: list[ast.expr] = []
        if isinstance(node, ast.Constant):
            return (str(node.value),)
        if isinstance(node, ast.JoinedStr):
            text = "".join(self._piece(part) for part in node.values)
            return (text.replace(_FIELD * 2, _FIELD),)
        if isinstance(node, ast.BinOp):
            sides = [self._texts(side, local, depth)[:1] for side in (node.left, node.right)]
            return ("".join(side[0] if side else "" for side in sides).replace(_FIELD * 2, _FIELD),)
        if isinstance(node, ast.IfExp):
            parts = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            parts = node.values
        elif isinstance(node, ast.Call) and _last(node.func) in _SUGGESTS:
            return (f"did you mean `{_FIELD}`? ",)
        elif isinstance(node, (ast.Name, ast.Call)) and depth < _DEPTH:
            name = _last(node.func if isinstance(node, ast.Call) else node)
            parts = local.get(name) or self.known.get(name, [])
        texts = (text for part in parts for text in self._texts(part, local, depth + 1))
        return tuple(dict.fromkeys(text for text in texts if text)) or (_FIELD,)

    def _piece(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
            for value in self.known.get(part.value.id, []):
                if isinstance(value, ast.Constant):
                    return str(value.value)
        return _FIELD


def _last(function: ast.expr) -> str:
    """The name of what is called: ``error`` of ``sheet.error``."""
    return getattr(function, "attr", getattr(function, "id", ""))


def _is_code(node: ast.expr) -> bool:
    value = getattr(node, "value", None)
    return isinstance(value, str) and value[:1] == "E" and value[1:].isdecimal() and len(value) == 4


def _assigned(statements: Iterable[ast.stmt], call: ast.Call) -> dict[str, list[ast.expr]]:
    """What names may hold at a call: what is assigned on the way to it, not in other branches."""
    found: dict[str, list[ast.expr]] = {}
    for statement in statements:
        inside = call in ast.walk(statement)
        for block in _blocks(statement) if inside else ():
            if any(call in ast.walk(inner) for inner in block):
                found |= _assigned(block, call)
        if inside:
            break
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = [statement.value]
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement: those of its branches, and of what handles errors."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def by_code(found: Iterable[Saying]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The messages of each code, each with what to do; those without a word are left out."""
    codes: dict[str, dict[str, tuple[str, ...]]] = {}
    for saying in found:
        ways = codes.setdefault(saying.code, {})
        if re.search(r"[^\W\d_]", saying.message):
            told = (*ways.get(saying.message, ()), *saying.help)
            ways[saying.message] = tuple(dict.fromkeys(told))
    return codes


def error_index(
    codes: Mapping[str, Mapping[str, tuple[str, ...]]], examples: Mapping[str, str]
) -> str:
    """The whole page, Markdown.

    Parameters
    ----------
    codes : mapping
        As `by_code` gives them.
    examples : mapping of str to str
        What a terminal shows, by code.
    """
    lines = [_HEAD]
    for family, title in FAMILIES.items():
        lines.append(f"## {family}xx: {title[:1].lower()}{title[1:]}\n")
        for code, ways in codes.items():
            if code.startswith(family):
                lines += _entry(code, ways, examples.get(code, ""))
    return "\n".join(lines)


def _entry(code: str, ways: Mapping[str, tuple[str, ...]], example: str) -> Iterator[str]:
    yield f"### {code}\n"
    if code in MEANINGS:
        yield f"{MEANINGS[code]}\n"
    if code in UNSHOWN:
        yield f"{UNSHOWN[code]}\n"
    for message, told in ways.items():
        mend = " or ".join(map(_code, told))
        yield f"* {_code(message)}" + (f" → {mend}" if mend else "")
    if ways:
        yield ""
    if example:
        yield f"```console\n{example}\n```\n"


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
