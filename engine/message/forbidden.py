"""What can Jinja do that the run pass of a template may not? Statements, filters, tests, names it does not have."""

from collections.abc import Iterator, Mapping

from jinja2 import nodes

from engine.errors import nearest
from engine.message.filters import FILTERS, TESTS

FUNCTIONS = frozenset(["_", "skip", "ago", "date", "segment", "range"])

_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Block: "block",
    nodes.Extends: "extends",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set ... endset",
    nodes.ScopedEvalContextModifier: "autoescape",
}


def forbidden_in(tree: nodes.Template) -> list[tuple[int, str]]:
    """Line and fault of all that a template may not use."""
    return [(node.lineno, what) for node, what in (*_statements(tree), *_words(tree), *_names(tree))]


def _statements(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    for node in tree.find_all(tuple(_REFUSED)):
        word = _REFUSED[type(node)]
        yield node, f"{{% {word} %}} belongs to the build pass: [% {word} %]"
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            yield loop, "a loop can't be recursive"


def _words(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    for one in tree.find_all(nodes.Filter):
        if one.name not in FILTERS:
            yield one, f"there is no filter {one.name!r}{nearest(one.name, FILTERS)}"
    for test in tree.find_all(nodes.Test):
        if test.name not in TESTS:
            yield test, f"there is no test {test.name!r}{nearest(test.name, TESTS)}"


def _names(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    for member in tree.find_all(nodes.Getattr):
        if member.attr.startswith("_"):
            yield member, f"{member.attr} is no field"
    for name in tree.find_all(nodes.Name):
        if name.ctx == "store" and (name.name in FUNCTIONS or name.name.startswith("_")):
            yield name, f"the name {name.name!r} is the engine's own; choose another"
