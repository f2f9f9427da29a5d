"""How does a template become Python that writes ready pieces? Jinja's compiler, bent for speed, not for meaning.

Its own code yields each piece, asks the environment for every field and escapes each value in three calls. Here all
pieces of a stretch go to one list in one call, literals are encoded already, and what can be decided when the program
is made (a literal link's address, the place of a link that stands outside loops) is decided then. What values mean,
which filters there are and what is refused stays the sandbox's: nothing is looked up round it but items of plain dicts.

What this compiler doesn't know it refuses (NotFused), and what fails while it runs fails again, with its place, in the
plain program.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from jinja2 import nodes
from jinja2.compiler import DependencyFinderVisitor, Frame
from jinja2.nodes import EvalContext
from jinja2.runtime import exported

from engine.errors import RenderFailed
from engine.message.dialects import Dialect, Kind, Literal, NotFused, tidied_stretch
from engine.message.encoding import SOFT, Blank, Fixed, piece
from engine.message.guards import WEB, address
from engine.message.sandbox import Sandbox
from engine.rules import RuleGenerator

# All that `str.strip` takes away, but for the line end.
_BLANKS = "".join(c for c in map(chr, range(0x3001)) if c.isspace() and c != "\n")
_SLOT = re.compile(r"\{(\w+)\}")
_SHORT = 1_000  # items of two lists together, which no limit is about
_IS_WORD = "{0}.isascii() and {0}.isalnum()"  # percent-encoding leaves such a text as it is
_LOOP_FIELDS = frozenset("index index0 revindex revindex0 first last length depth depth0 previtem nextitem".split())


@dataclass(frozen=True, slots=True)
class _Code:
    """Python that gives one piece, or several with commas between."""

    code: str
    is_closed: bool = False  # its last piece ends in a soft break already


class FusedGenerator(RuleGenerator):
    """Writes `def root(context, lookup, out, mark, prefix, pen, attribute, field, prices, own)`.

    It appends to `out` the pieces of literals, and values in words.
    """

    stream: StringIO
    dialect: Dialect
    literals: list[Literal]
    most_lost: int  # characters by which a literal is shorter than in the plain text
    called: dict[str, Any]  # the filters and tests of the program, by the names that it calls them by
    stored: frozenset[str]  # names that are not, or not only, the values'

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 - the names are Jinja's
        """The whole program."""
        self.literals, self.most_lost = [Literal(self.dialect.soft, "")], 0
        self.called = {}
        self.stored = frozenset(name.name for name in node.find_all(nodes.Name) if name.ctx != "load")
        self._has_set = node.find(nodes.Assign) is not None
        self._last = node.body[-1] if node.body else None
        self._blocks = self._names = 0
        self.writeline(f"from jinja2.runtime import {', '.join(sorted(exported))}")
        self.writeline("def root(context, lookup, out, mark, prefix, pen, attribute, field, prices, own):", extra=1)
        self.indent()
        self.writeline("undefined = environment.undefined")
        self.writeline("cond_expr_undefined = Undefined")
        inner = Frame(EvalContext(self.environment, self.name))
        inner.symbols.analyze_node(node)
        inner.toplevel = inner.rootlevel = True
        inner.buffer = "out"
        self.enter_frame(inner)
        self.pull_dependencies(node.body)
        for one in node.body:
            self.visit(one, inner)
        self.outdent()

    def pull_dependencies(self, nodes: Iterable[nodes.Node]) -> None:
        """The filters and tests that are called, as names of the program instead of a look-up in each message."""
        finder = DependencyFinderVisitor()
        for node in nodes:
            finder.visit(node)
        wanted = (
            (self.environment.filters, self.filters, finder.filters),
            (
                self.environment.tests,
                self.tests,
                finder.tests,
            ),
        )
        for known, own_names, names in wanted:
            for name in sorted(names):
                if name not in known:
                    raise NotFused(f"no {name}")
                self.called[own_names.setdefault(name, self.temporary_identifier())] = known[name]

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        """A branch or the body of a loop: leaves its mark, so that the way through the template is known."""
        self._blocks += 1
        self.writeline(f"mark({self._blocks})")
        for node in nodes:
            self.visit(node, frame)

    def get_resolve_func(self) -> str:
        """Where a name is looked for that no statement above has stored."""
        return "context.resolve_or_missing"

    def enter_frame(self, frame: Frame) -> None:
        """As Jinja's; where no `set` can have hidden a value, by a lookup that is the values' own method."""
        if self._has_set:
            super().enter_frame(frame)
            return
        for target, (action, parameter) in frame.symbols.loads.items():
            if action == "resolve":
                self.writeline(f"{target} = lookup({parameter!r}, missing)")
            elif action == "alias":
                self.writeline(f"{target} = {parameter}")
            elif action == "undefined":
                self.writeline(f"{target} = missing")

    # ------------------------------------------------------------ what is written

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802
        """All pieces of one stretch, appended at once."""
        written: list[str] = []
        is_closed = True  # are we in the first column?
        parts = list(self._parts(node, frame))
        for number, part in enumerate(parts):
            is_first, is_last = number == 0, number == len(parts) - 1
            if isinstance(part, str):
                stretches = self._stretches(part, is_first, is_last)
                for place, (stretch, is_blank) in enumerate(stretches, 1):
                    is_final = is_last and node is self._last and place == len(stretches)
                    soft = self.dialect.soft if is_last else SOFT
                    written.append(self._literal(stretch, is_closed, soft, is_final=is_final, is_blank=is_blank))
                    is_closed = True
                continue
            if not is_closed:
                written.append("K0")
            written.append(part.code)
            is_closed = part.is_closed or not self.dialect.is_encoded
        if not is_closed:
            written.append("K0")
        if written:
            self.writeline(f"out.extend(({', '.join(written)},))", node)

    def _stretches(self, text: str, is_first: bool, is_last: bool) -> list[tuple[str, bool]]:
        """A literal; of a text part without what `tidied` will take out, blanks at the edges by themselves."""
        if self.dialect.kind is not Kind.TEXT:
            return [(text, False)]
        length, text = len(text), tidied_stretch(text)
        self.most_lost = max(self.most_lost, length - len(text))
        start = len(text) - len(text.lstrip(_BLANKS)) if is_first else 0
        end = max(start, len(text.rstrip(_BLANKS)) if is_last else len(text))
        cut = ((text[:start], True), (text[start:end], False), (text[end:], True))
        return [one for one in cut if one[0]]

    def _literal(self, text: str, is_closed: bool, soft: str, *, is_final: bool, is_blank: bool) -> str:
        """The name of a literal's piece."""
        made = text
        if self.dialect.is_encoded:
            begun = "" if is_closed or (text[0] == "\n" and self.dialect.kind is Kind.TEXT) else SOFT
            encoded = begun + piece(text)
            bare = encoded.endswith("\r\n") or (is_final and not encoded.endswith(" ") and len(encoded) > 1)
            made = encoded if bare else encoded + soft
            made = Blank(made) if is_blank else Fixed(made)
        self.literals.append(Literal(made, text))
        return f"K{len(self.literals) - 1}"

    def _parts(self, node: nodes.Output, frame: Frame) -> Iterable[str | _Code]:
        """Literal stretches, joined, and the code of values."""
        literal = ""
        for child in self._children(node):
            for part in self._part(child, frame):
                if isinstance(part, str):
                    literal += part
                    continue
                if literal:
                    yield literal
                    literal = ""
                yield part
        if literal:
            yield literal

    def _children(self, node: nodes.Output) -> Iterable[nodes.Expr | tuple[nodes.Expr]]:
        """What is printed; a translation with slots as its stretches, each value in a tuple: it counts as text."""
        for child in node.nodes:
            yield from self._said(child) or [child]

    def _said(self, node: nodes.Expr) -> list[nodes.Expr | tuple[nodes.Expr]] | None:
        if (
            not isinstance(node, nodes.Call)
            or not isinstance(node.node, nodes.Name)
            or node.node.name != "_"
            or "_" in self.stored
            or len(node.args) != 1
            or node.dyn_args is not None
            or node.dyn_kwargs is not None
        ):
            return None
        text, values = node.args[0], {pair.key: pair.value for pair in node.kwargs}
        if not isinstance(text, nodes.Const) or type(text.value) is not str:
            return None
        split = _SLOT.split(text.value)
        if set(split[1::2]) != set(values):
            return None
        return [(values[one],) if i % 2 else nodes.Const(one, lineno=node.lineno) for i, one in enumerate(split) if one]

    def _part(self, child: "nodes.Expr | tuple[nodes.Expr]", frame: Frame) -> Iterable[str | _Code]:
        if isinstance(child, tuple):
            yield _Code(f"(_t if type(_t := {self._written(child[0], frame)}) is str else str(_t))")
            return
        constant = self._constant(child, frame)
        if constant is not None:
            yield constant
        elif isinstance(child, nodes.Filter) and child.name == "_link":
            yield from self._link(child, frame)
        elif isinstance(child, nodes.Filter) and child.name == "_address" and child.node is not None:
            code = self._written(child.node, frame)
            if self._is_own(child.node):
                yield _Code(f"(own(_t) if type(_t := {code}) is str else address(_t))")
            else:
                yield _Code(f"(GUARDED[_t] if type(_t := {code}) is str else address(_t))")
        elif (name := self._attribute(child)) is not None:
            whole = self.dialect.shown(self._written(child, frame))
            yield _Code(f"(_t if (_t := attribute({name!r})) and type(_t) is str else {whole})")
        elif isinstance(child, nodes.Name):
            known = frame.symbols.ref(child.name)
            yield _Code(f"({known} if type({known}) is str else {self.dialect.shown(self._written(child, frame))})")
        else:
            yield _Code(self.dialect.value(self._written(child, frame)))

    def _constant(self, child: nodes.Expr, frame: Frame) -> str | None:
        """What is known now, as it would be printed."""
        try:
            return self._output_child_to_const(child, frame, self._make_finalize())
        except (nodes.Impossible, Exception):
            return None

    def _written(self, node: nodes.Expr, frame: Frame) -> str:
        """The code of an expression."""
        kept, self.stream = self.stream, StringIO()
        held, self._new_lines = self._new_lines, 0
        self.visit(node, frame)
        code = self.stream.getvalue()
        self.stream, self._new_lines = kept, held
        return code

    # ------------------------------------------------------------ links

    def _link(self, node: nodes.Filter, frame: Frame) -> Iterable[str | _Code]:
        """The address at a link's place, where all that can be is decided now."""
        if node.node is None or len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], nodes.Const):
            raise NotFused("a link without a number")
        site, once = node.args[0].value, node.args[0].value not in self.dialect.repeated
        if not isinstance(node.node, nodes.Const):
            ask = "once" if once and self.dialect.is_counted else "link"
            yield _Code(f"pen.{ask}({self._written(node.node, frame)}, {site!r}), pen.end", is_closed=True)
            return
        try:
            checked = address(node.node.value)
        except RenderFailed as fault:
            raise NotFused("a link that fails each time") from fault
        if checked.partition(":")[0] not in WEB:
            yield self._escaped(checked)
        elif not once:
            yield _Code(f"pen.checked({checked!r}, {site!r}), pen.end", is_closed=True)
        elif self.dialect.is_counted:
            yield _Code("prefix", is_closed=True)
            yield f"{site}-0"
        else:
            yield _Code(f"pen.click({site!r}, 0, {checked!r})")

    def _escaped(self, text: str) -> str:
        return str(
            self._output_child_to_const(nodes.Const(text), Frame(EvalContext(self.environment)), self._make_finalize())
        )

    # ------------------------------------------------------------ expressions

    def _is_own(self, node: nodes.Expr) -> bool:
        """Is it one of the addresses that the engine itself makes: `links.X`?"""
        return (
            isinstance(node, nodes.Getattr)
            and isinstance(node.node, nodes.Name)
            and node.node.name == "links"
            and "links" not in self.stored
        )

    def _attribute(self, node: nodes.Expr) -> str | None:
        """The X of `attributes.X`, where that can only be the contact's column."""
        if isinstance(node, nodes.Getattr):
            name: Any = node.attr
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            name = node.arg.value
        else:
            return None
        if not isinstance(name, str) or name.startswith("_") or "attributes" in self.stored:
            return None
        return name if isinstance(node.node, nodes.Name) and node.node.name == "attributes" else None

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802
        """`card.title`: an item of a plain dict at once, anything else by the sandbox."""
        if isinstance(node.node, nodes.Const):
            super().visit_Getattr(node, frame)
        elif (name := self._attribute(node)) is not None:
            self.write(f"field({name!r})")
        elif isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in _LOOP_FIELDS:
            self.write("(_u." + node.attr + " if type(_u := ")
            self.visit(node.node, frame)
            self.write(f") is LoopContext else environment.getattr(_u, {node.attr!r}))")
        else:
            self._member(node.node, node.attr, "getattr", frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        """`card["title"]` is `card.title`."""
        if (name := self._attribute(node)) is not None:
            self.write(f"field({name!r})")
        elif (
            isinstance(node.node, nodes.Const)
            or not isinstance(node.arg, nodes.Const)
            or type(node.arg.value) is not str
        ):
            super().visit_Getitem(node, frame)
        else:
            self._member(node.node, node.arg.value, "getitem", frame)

    def _member(self, owner: nodes.Expr, name: str, method: str, frame: Frame) -> None:
        self.write(f"(_u[{name!r}] if type(_u := ")
        self.visit(owner, frame)
        self.write(f") is dict and {name!r} in _u else environment.{method}(_u, {name!r}))")

    def operation(self, operator: str) -> str:
        """The sandbox's operators look at no context."""
        return f"operators[{operator!r}]("

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802
        """Two short lists one after the other at once, anything else by the sandbox."""
        one, other = self._own_name(), self._own_name()
        self.write(f"({one} + {other} if (type({one} := ")
        self.visit(node.left, frame)
        self.write(f") is tuple) & (type({other} := ")
        self.visit(node.right, frame)
        self.write(f") is tuple) and len({one}) + len({other}) < {_SHORT} else {self.operation('+')}{one}, {other}))")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:  # noqa: N802
        """As Jinja's; what nearly all values come to in a few filters is decided without a call."""
        if node.node is None:
            super().visit_Filter(node, frame)
        elif node.name == "_rounds":
            self.write("pen.rounds(")
            self.visit(node.node, frame)
            self.write(")")
        elif node.name == "_joined":
            self.write(f"joined({self.filters[node.name]}, (")
            for part in (node.node, *node.args):
                self.visit(part, frame)
                self.write(", ")
            self.write("))")
        elif node.name == "_part" and (name := self._attribute(node.node)) is not None:
            own, whole = self._own_name(), f"{self.filters[node.name]}(field({name!r}))"
            self.write(f"({own} if type({own} := attribute({name!r})) is str and {_IS_WORD.format(own)} else {whole})")
        elif node.name == "take" and (count := _only_number(node)) is not None:
            own = self._own_name()
            self.write(f"(list({own}[:{max(0, count)}]) if type({own} := ")
            self.visit(node.node, frame)
            self.write(f") is tuple else {self.filters[node.name]}({own}, {count}))")
        elif node.name in ("money", "currency") and not node.args and not node.kwargs:
            self.write("(prices[_p] if type(_p := ")
            self.visit(node.node, frame)
            self.write(f") is float and _p > 0 else {self.filters[node.name]}(pen.context(), _p))")
        else:
            super().visit_Filter(node, frame)

    def _own_name(self) -> str:
        """A name in the program that no other place uses."""
        self._names += 1
        return f"_v{self._names}"


def _only_number(node: nodes.Filter) -> int | None:
    """The one argument of a filter, where it is a literal whole number."""
    if len(node.args) != 1 or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        return None
    only = node.args[0]
    return only.value if isinstance(only, nodes.Const) and type(only.value) is int else None


def generated(tree: nodes.Template, environment: Sandbox, dialect: Dialect) -> tuple[str, FusedGenerator]:
    """The Python of a part, and the generator that wrote it: its literals are the code's K0, K1 ..."""
    generator = FusedGenerator(environment, None, "<fused>", optimized=True)
    generator.dialect = dialect
    generator.visit(tree)
    return generator.stream.getvalue(), generator
