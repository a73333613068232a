"""Functions and classes of a source file, found in its syntax tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node, Tree

from indexing.documents.formats.code_grammars import GRAMMARS, Grammar

__all__ = ["Symbol", "broken_share", "find_symbols"]


@dataclass
class Symbol:
    """`start` and `end` are bytes of the source, comments and decorators before it included. `bodies` are
    those of the functions in it, which stand in documents of their own; `inner` says that another symbol
    holds this one.
    """

    name: str
    kind: str
    start: int
    end: int
    inner: bool = False
    bodies: list[tuple[int, int]] = field(default_factory=list)


_COMMENTS = frozenset({"comment", "line_comment", "block_comment", "multiline_comment"})
# What stands before a symbol, as a sibling in the tree, and belongs to it.
_BEFORE = _COMMENTS | {"attribute_item", "decorator", "annotation", "attribute_list"}
# Statements that hold one symbol and nothing else of their own.
_WRAPPERS = frozenset(
    "ambient_declaration decorated_definition export_statement expression_statement lexical_declaration "
    "template_declaration type_declaration variable_declaration".split()
)
_FUNCTION_VALUES = frozenset(
    "arrow_function function function_expression function_definition generator_function".split()
)
_NAMES = frozenset(
    "destructor_name field_identifier identifier operator_cast operator_name qualified_identifier "
    "type_identifier".split()
)
_BODIES = frozenset(
    "block body_statement class_body compound_statement declaration_list enum_class_body function_body "
    "statement_block template_body".split()
)
_UNNAMED = {
    "companion_object": "Companion",
    "init_declaration": "init",
    "secondary_constructor": "constructor",
}
_KINDS_OF_TYPES = {
    "struct_type": "struct",
    "interface_type": "interface",
    "struct_specifier": "struct",
    "union_specifier": "union",
    "enum_specifier": "enum",
}
_ARGUMENTS = re.compile(r"(?<!operator)<[^<>]*>")
_EXPORTS = re.compile(r"^(module\.)?exports\.|\.prototype(?=\.)|^this\.|^(self|window|globalThis)\.")
_LONGEST_NAME = 200
_DOC_COMMENTS = (b"/**", b"///", b"/*!", b"//!")
_GAP_AFTER_DOC = 2  # line breaks between one of them and what it explains


def find_symbols(tree: Tree, source: bytes, language: str) -> list[Symbol]:
    """In the order of their beginnings."""
    return _Finder(source, GRAMMARS[language]).find(tree.root_node)


def broken_share(tree: Tree) -> float:
    """How much of the source the parser could make nothing of, 0 to 1."""
    root = tree.root_node
    if not root.has_error or not root.end_byte:
        return 0.0
    broken, stack = 0, [root]
    while stack:
        node = stack.pop()
        if node.is_error:
            broken += node.end_byte - node.start_byte
        elif node.has_error:
            stack.extend(node.children)
    return broken / root.end_byte


@dataclass(frozen=True)
class _Place:
    """Where children are looked at: names around them, the symbol that holds them, the statement they are
    the whole of.
    """

    scope: str = ""
    holder: Symbol | None = None
    outer: Node | None = None
    before: int = 0  # where the comments before `outer` begin


class _Finder:
    def __init__(self, source: bytes, grammar: Grammar) -> None:
        self._source = source
        self._grammar = grammar
        self._found: list[Symbol] = []

    def find(self, root: Node) -> list[Symbol]:
        stack: list[tuple[Node, _Place]] = [(root, _Place())]
        while stack:
            node, place = stack.pop()
            stack.extend(self._children(node, place))
        return sorted(self._found, key=lambda symbol: (symbol.start, -symbol.end))

    def _children(self, node: Node, place: _Place) -> Iterator[tuple[Node, _Place]]:
        """What is to be looked at within `node`; the symbols among its children are noted."""
        siblings = _siblings(node)
        for index, child in enumerate(siblings):
            if not child.is_named or child.type in _BEFORE:
                continue
            here = place
            if place.outer is None:
                here = _Place(place.scope, place.holder, child, self._comments_before(siblings, index))
            if child.type in _WRAPPERS and _holds_one(child):
                yield child, here
                continue
            deeper = self._note(child, here)
            if deeper is not None:
                yield child, deeper

    def _note(self, node: Node, place: _Place) -> _Place | None:
        """Notes `node` if it is a symbol; where to look within it, None for nowhere."""
        kind = self._grammar.scopes.get(node.type)
        if kind is not None:
            return self._note_scope(node, kind, place)
        kind = self._grammar.functions.get(node.type)
        if kind is None or not self._is_symbol(node, place):
            return _Place(place.scope, place.holder)
        name, kind = self._name(node), self._kind(node, kind)
        if not name:
            return _Place(place.scope, place.holder)
        if kind == "function" and place.scope:
            kind = "method"
        symbol = self._add(name, kind, place)
        body = _body(node)
        if body is not None and place.holder is not None and kind in ("method", "function"):
            place.holder.bodies.append((body.start_byte, body.end_byte))
        return None if symbol else _Place(place.scope, place.holder)

    def _note_scope(self, node: Node, kind: str, place: _Place) -> _Place:
        name = self._name(node)
        body = _body(node)
        if node.type == self._grammar.unit:
            return _Place(_join(place.scope, name), place.holder)
        if not name or (body is None and node.type.endswith("_specifier")):
            return _Place(place.scope, place.holder)  # `struct a *x`: a mention
        symbol = self._add(name, kind, place)
        if body is not None and place.holder is not None:
            place.holder.bodies.append((body.start_byte, body.end_byte))
        return _Place(_join(place.scope, name), symbol)

    def _add(self, name: str, kind: str, place: _Place) -> Symbol:
        outer = place.outer
        assert outer is not None
        full = _join(place.scope, name)[:_LONGEST_NAME]
        symbol = Symbol(full, kind, place.before, outer.end_byte, place.holder is not None)
        self._found.append(symbol)
        return symbol

    def _is_symbol(self, node: Node, place: _Place) -> bool:
        """Whether a node of the type of a function is one, and says something."""
        kind = node.type
        if kind in ("variable_declarator", "field_definition", "public_field_definition", "pair"):
            value = node.child_by_field_name("value")
            return value is not None and value.type in _FUNCTION_VALUES
        if kind == "assignment_expression":
            right = node.child_by_field_name("right")
            return right is not None and right.type in _FUNCTION_VALUES
        if kind == "assignment_statement":
            values = [child for child in node.named_children if child.type == "expression_list"]
            return bool(values) and any(c.type == "function_definition" for c in values[0].named_children)
        if kind in ("struct_specifier", "union_specifier", "enum_specifier"):
            return node.child_by_field_name("body") is not None
        if kind == "type_definition":
            of = node.child_by_field_name("type")
            return of is not None and of.child_by_field_name("body") is not None
        if kind in ("declaration", "field_declaration") and not _declares_function(node):
            return False
        if kind in self._grammar.declared and _body(node) is None:
            return place.outer is not None and place.before < place.outer.start_byte
        return True

    def _kind(self, node: Node, kind: str) -> str:
        if kind == "type":
            of = node.child_by_field_name("type")
            return _KINDS_OF_TYPES.get(of.type, kind) if of is not None else kind
        return kind

    def _name(self, node: Node) -> str:
        found = self._name_node(node)
        if found is None:
            return _UNNAMED.get(node.type, "")
        text = self._source[found.start_byte : found.end_byte].decode("utf-8", "replace")
        if found.type == "operator_cast":
            text = text.partition("(")[0]
        text = " ".join(text.split())
        while (shorter := _ARGUMENTS.sub("", text)) != text:
            text = shorter
        text = text.replace("::", ".").replace(":", ".")
        if node.type == "assignment_expression":
            text = _EXPORTS.sub("", text)
        if node.type == "method_declaration" and (receiver := self._receiver(node)):
            text = f"{receiver}.{text}"
        return text.strip("\"'` ")

    def _name_node(self, node: Node) -> Node | None:
        if node.type == "impl_item":
            return node.child_by_field_name("type")
        if node.type == "assignment_expression":
            return node.child_by_field_name("left")
        if node.type == "assignment_statement":
            return node.named_children[0].child_by_field_name("name")
        for field_name in ("name", "property", "key"):
            found = node.child_by_field_name(field_name)
            if found is not None:
                return found
        found = node.child_by_field_name("declarator")
        while found is not None and found.type not in _NAMES:
            inner = found.child_by_field_name("declarator")
            if inner is None:
                named = (c for c in found.named_children if c.type in _NAMES or "declarator" in c.type)
                inner = next(named, None)
            found = inner
        return found

    def _receiver(self, node: Node) -> str:
        """The type of which a Go function is a method."""
        stack = [part for part in [node.child_by_field_name("receiver")] if part is not None]
        while stack:
            part = stack.pop()
            if part.type == "type_identifier":
                return self._source[part.start_byte : part.end_byte].decode("utf-8", "replace")
            stack.extend(reversed(part.named_children))
        return ""

    def _comments_before(self, siblings: list[Node], index: int) -> int:
        """Where the comments and attributes begin that stand right before one of the siblings."""
        start, row = siblings[index].start_byte, siblings[index].start_point[0]
        for position in range(index - 1, -1, -1):
            before = siblings[position]
            if before.type not in _BEFORE:
                break
            opening = self._source[before.start_byte : before.start_byte + 3]
            gap = _GAP_AFTER_DOC if opening in _DOC_COMMENTS else 1
            if row - _last_row(before) > gap or (position and _is_remark(siblings[position - 1], before)):
                break
            start, row = before.start_byte, before.start_point[0]
        return start


def _siblings(node: Node) -> list[Node]:
    """The children of `node`. Comments before the first statement of a block stand before the block in some
    grammars.
    """
    if node.type not in ("block", "body_statement") or node.parent is None:
        return node.children
    head = node.parent.start_point[0]
    before = [c for c in node.parent.children if c.type in _COMMENTS and c.end_byte <= node.start_byte]
    return [*(comment for comment in before if comment.start_point[0] > head), *node.children]


def _last_row(node: Node) -> int:
    """The row of its last character; some comments hold their line end."""
    row, column = node.end_point
    return row - (column == 0)


def _is_remark(previous: Node, comment: Node) -> bool:
    """Whether a comment belongs to what stands before it on its line."""
    return previous.type not in _BEFORE and _last_row(previous) == comment.start_point[0]


def _holds_one(node: Node) -> bool:
    """Whether a statement holds a single declaration."""
    apart = ("template_parameter_list", "requires_clause")
    return sum(child.type not in _BEFORE and child.type not in apart for child in node.named_children) == 1


def _declares_function(node: Node) -> bool:
    found = node.child_by_field_name("declarator")
    while found is not None and found.type != "function_declarator":
        found = found.child_by_field_name("declarator")
    return found is not None


def _body(node: Node) -> Node | None:
    for field_name in ("value", "right"):
        value = node.child_by_field_name(field_name)
        if value is not None and value.type in _FUNCTION_VALUES:
            node = value
            break
    body = node.child_by_field_name("body")
    if body is None:
        body = next((child for child in node.named_children if child.type in _BODIES), None)
    return body


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
