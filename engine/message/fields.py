"""Which fields does a template read, and is all it asks for allowed? Follows names through loops, filters and `set`.

Jinja's own `find_undeclared_variables` knows top-level names only; a frozen context holds no more than what is read, so
`new_for_you.title` must be known apart from `new_for_you.price`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from zoneinfo import ZoneInfo

from jinja2 import Environment, TemplateSyntaxError, nodes

from engine.clock import parse_duration, parse_moment
from engine.errors import BadTemplate, Usage, nearest
from engine.message.forbidden import FUNCTIONS, forbidden_in
from engine.message.sources import Source
from engine.model import CARD_LISTS, FIELDS, TEMPLATE_EXTRAS, Card, FieldKind, Profile

CARD_FIELDS = tuple(one.name for one in fields(Card))
SHOP_FIELDS = ("name", "postal_address", "url", "currency")
LINK_FIELDS = ("unsubscribe", "preferences", "view")
SEGMENTS = "segments"  # in a frozen context: whether the contact was in each segment that the template asks for
MOMENT = "at"  # in a frozen context: the moment that `ago` counts from

_EXAMPLES = {"segment": "segment('vip')", "ago": "ago('90 days')", "date": "date('2026-01-01')"}
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "shop": SHOP_FIELDS,
    "links": LINK_FIELDS,
    "favourite_product": CARD_FIELDS,
    **dict.fromkeys(CARD_LISTS, CARD_FIELDS),
}
# Fields that a contact may lack; greeting always has its whole-sentence form.
_MAY_LACK = frozenset(one.name for one in fields(Profile) if one.default is None) - {"greeting", "email"}
_MAY_LACK |= {"basket_url"}
_CARD_MAY_LACK = frozenset(["price"])
_SAME_ITEMS = frozenset("first last take batch sort reverse unique uniq compact where list default d".split())
_BY_ATTRIBUTE = frozenset(["map", "sort", "sum", "join", "unique", "where"])
_ONLY_PRESENCE = frozenset(["size", "length", "count"])


@dataclass(slots=True)
class Reading:
    """What a template reads, what is wrong with it, and which values it prints although they may be missing."""

    fields: set[str] = field(default_factory=set)
    faults: list[tuple[int, str]] = field(default_factory=list)  # line, what
    bare: list[tuple[int, str]] = field(default_factory=list)  # line, field


def read_fields(text: str) -> Reading:
    """Parse a template and follow its names; raises TemplateSyntaxError."""
    reader = _Reader()
    tree = Environment().parse(text)
    reader.found.faults += forbidden_in(tree)
    reader.statements(tree.body, {})
    return reader.found


def checked_fields(source: Source) -> set[str]:
    """The fields read; raises BadTemplate with all faults, each with its place."""
    try:
        reading = read_fields(source.text)
    except TemplateSyntaxError as fault:
        raise BadTemplate(f"{source.place_of_line(fault.lineno)}: {fault.message}") from fault
    if reading.faults:
        raise BadTemplate("; ".join(f"{source.place_of_line(line)}: {what}" for line, what in reading.faults))
    return reading.fields


class _Reader:
    """Walks the tree; a scope leads from a local name to the fields it may stand for."""

    def __init__(self) -> None:
        self.found = Reading()
        self._sure: list[frozenset[str]] = []  # fields that an enclosing condition has asked for

    def statements(self, body: Iterable[nodes.Node], scope: dict[str, frozenset[str]]) -> None:
        """Each statement in order; `set` changes the scope for those behind it."""
        for node in body:
            if isinstance(node, nodes.Output):
                for part in node.nodes:
                    self._printed(part, scope)
            elif isinstance(node, nodes.If):
                self._if(node, scope)
            elif isinstance(node, nodes.For):
                self._for(node, scope)
            elif isinstance(node, nodes.Assign):
                self._bind(node.target, self._paths(node.node, scope), scope)
            elif isinstance(node, nodes.With):
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    self._bind(target, self._paths(value, scope), inner)
                self.statements(node.body, inner)

    def _printed(self, node: nodes.Expr, scope: dict[str, frozenset[str]]) -> None:
        if isinstance(node, nodes.TemplateData):
            return
        self._note_bare(node, scope)
        self._use(self._paths(node, scope))

    def _note_bare(self, node: nodes.Expr, scope: dict[str, frozenset[str]]) -> None:
        if isinstance(node, nodes.Call):
            for argument in chain(node.args, (pair.value for pair in node.kwargs)):
                self._note_bare(argument, scope)
            return
        while (
            isinstance(node, nodes.Filter)
            and node.node is not None
            and node.name not in ("default", "d", *_ONLY_PRESENCE)
        ):
            node = node.node
        if isinstance(node, nodes.Name | nodes.Getattr):
            for path in self._paths(node, scope):
                if _may_lack(path) and not any(path in sure for sure in self._sure):
                    self.found.bare.append((node.lineno, path))

    def _if(self, node: nodes.If, scope: dict[str, frozenset[str]]) -> None:
        asked = self._condition(node.test, scope)
        self._sure.append(asked)
        self.statements(node.body, dict(scope))
        for other in node.elif_:
            self._if(other, scope)
        self.statements(node.else_, dict(scope))
        self._sure.pop()

    def _for(self, node: nodes.For, scope: dict[str, frozenset[str]]) -> None:
        items = self._paths(node.iter, scope)
        self.found.fields |= items
        inner = dict(scope) | {"loop": frozenset()}
        self._bind(node.target, items, inner)
        self._sure.append(self._condition(node.test, inner) if node.test is not None else frozenset())
        self.statements(node.body, inner)
        self._sure.pop()
        self.statements(node.else_, dict(scope))

    def _condition(self, node: nodes.Node, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        """All fields that a condition asks for."""
        before, self.found.fields = self.found.fields, set()
        self.found.fields |= self._paths(node, scope)
        asked = frozenset(self.found.fields)
        self.found.fields |= before
        return asked

    def _bind(self, target: nodes.Node, paths: frozenset[str], scope: dict[str, frozenset[str]]) -> None:
        for name in target.find_all(nodes.Name):
            scope[name.name] = paths
        if isinstance(target, nodes.Name):
            scope[target.name] = paths

    def _paths(self, node: nodes.Node, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        """The fields that an expression's value may be, or be an item of; what it computes from is noted as used."""
        if isinstance(node, nodes.Name):
            return self._name(node, scope)
        if isinstance(node, nodes.Getattr):
            return self._member(node, self._paths(node.node, scope), node.attr)
        if isinstance(node, nodes.Getitem):
            return self._item(node, scope)
        if isinstance(node, nodes.Filter):
            return self._filter(node, scope)
        if isinstance(node, nodes.Test):
            self.found.fields |= self._paths(node.node, scope)
            self._use_all(node.args, scope)
            return frozenset()
        if isinstance(node, nodes.Not):
            self.found.fields |= self._paths(node.node, scope)
            return frozenset()
        if isinstance(node, nodes.And | nodes.Or | nodes.Add):  # `+` may join two lists
            return self._paths(node.left, scope) | self._paths(node.right, scope)
        if isinstance(node, nodes.CondExpr):
            self.found.fields |= self._paths(node.test, scope)
            other = self._paths(node.expr2, scope) if node.expr2 is not None else frozenset()
            return self._paths(node.expr1, scope) | other
        if isinstance(node, nodes.List | nodes.Tuple):
            return frozenset(chain.from_iterable(self._paths(item, scope) for item in node.items))
        if isinstance(node, nodes.Call):
            return self._call(node, scope)
        self._use_all(node.iter_child_nodes(), scope)
        return frozenset()

    def _name(self, node: nodes.Name, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        if node.name in scope:
            return scope[node.name]
        if node.name in FIELDS or node.name in TEMPLATE_EXTRAS or node.name == "attributes":
            return frozenset([node.name])
        known = [*FIELDS, *TEMPLATE_EXTRAS, "attributes", *FUNCTIONS, *scope]
        self._fault(node, f"there is no field {node.name!r}{nearest(node.name, known)}")
        return frozenset()

    def _member(self, node: nodes.Node, owners: frozenset[str], name: str) -> frozenset[str]:
        for owner in owners:
            if owner != "attributes" and name not in _GROUPS.get(owner, ()):
                self._fault(node, _no_member(owner, name))
        return frozenset(
            f"{owner}.{name}" for owner in owners if owner == "attributes" or name in _GROUPS.get(owner, ())
        )

    def _item(self, node: nodes.Getitem, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        owners = self._paths(node.node, scope)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._member(node, owners, node.arg.value)
        self._use_all([node.arg], scope)
        if "attributes" in owners:
            self._fault(node, "attributes[...] takes a literal name")
        return owners

    def _filter(self, node: nodes.Filter, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        source = self._paths(node.node, scope) if node.node is not None else frozenset()
        arguments = [*node.args, *(pair.value for pair in node.kwargs)]
        if node.name in _ONLY_PRESENCE:
            self.found.fields |= source
            return frozenset()
        chosen = _attribute_named(node)
        if chosen is not None and node.name in _BY_ATTRIBUTE:
            members = self._member(node, source, chosen)
            self.found.fields |= members
            source = members if node.name == "map" else source
        if node.name in ("default", "d"):
            return source | frozenset(chain.from_iterable(self._paths(one, scope) for one in arguments))
        self._use_all(arguments, scope)
        if node.name in _SAME_ITEMS or node.name == "map":
            return source
        self._use(source if chosen is None else frozenset())
        return frozenset()

    def _call(self, node: nodes.Call, scope: dict[str, frozenset[str]]) -> frozenset[str]:
        self._use_all([*node.args, *(pair.value for pair in node.kwargs)], scope)
        function = node.node
        if (
            isinstance(function, nodes.Getattr)
            and isinstance(function.node, nodes.Name)
            and function.node.name == "loop"
        ):
            return frozenset()
        name = function.name if isinstance(function, nodes.Name) else ""
        if name not in FUNCTIONS:
            known = "_, skip, ago, date, segment, range"
            self._fault(node, f"values have no methods, and the only functions are {known}; use a filter")
        elif name in ("segment", "ago", "date"):
            self._literal_call(node, name)
        return frozenset()

    def _literal_call(self, node: nodes.Call, name: str) -> None:
        """Functions whose argument must be known when the template is compiled."""
        said = node.args[0].value if node.args and isinstance(node.args[0], nodes.Const) else None
        if not isinstance(said, str):
            self._fault(node, f"{name}() takes a literal text, as in {_EXAMPLES[name]}")
            return
        if name == "segment":
            self.found.fields.add(f"{SEGMENTS}.{said}")
            return
        try:
            parse_duration(said) if name == "ago" else parse_moment(said, ZoneInfo("UTC"))
        except (ValueError, Usage) as fault:
            self._fault(node, str(fault))
        if name == "ago":
            self.found.fields.add(MOMENT)

    def _use_all(self, parts: Iterable[nodes.Node], scope: dict[str, frozenset[str]]) -> None:
        for node in parts:
            self._use(self._paths(node, scope))

    def _use(self, paths: frozenset[str]) -> None:
        """A value that is printed or computed with: of a card or the shop, all of it."""
        for path in paths:
            self.found.fields.add(path)
            self.found.fields |= {f"{path}.{name}" for name in _GROUPS.get(path, ())}

    def _fault(self, node: nodes.Node, what: str) -> None:
        if (node.lineno, what) not in self.found.faults:
            self.found.faults.append((node.lineno, what))


def _attribute_named(node: nodes.Filter) -> str | None:
    """The literal attribute that a filter picks: `map(attribute="title")`, `where("brand", ...)`."""
    named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
    if not named and node.name == "where":
        named = node.args[:1]
    found = named[0] if named else None
    return str(found.value) if isinstance(found, nodes.Const) else None


def _no_member(owner: str, name: str) -> str:
    if owner in _GROUPS:
        return f"{owner} has no {name!r}{nearest(name, _GROUPS[owner])}"
    kind = FIELDS.get(owner, FieldKind.TEXT)
    return f"{owner} is a {kind} and has no .{name}; use a filter, as in {owner} | upper"


def _may_lack(path: str) -> bool:
    first, _, member = path.partition(".")
    if first == "attributes":
        return True
    if member:
        return first == "favourite_product" or (first in CARD_LISTS and member in _CARD_MAY_LACK)
    return first in _MAY_LACK or first == "favourite_product"
