"""The languages that are read by symbol: which nodes of their syntax trees are functions and classes.

The trees are those of tree-sitter; each grammar is a package of its own (see README.md, "Source code").
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

from tree_sitter import Language, Parser

__all__ = ["GRAMMARS", "LANGUAGES", "Grammar", "parser_of"]


@dataclass(frozen=True)
class Grammar:
    """`package` and `entry` make the parser. The types of nodes: `scopes` hold other symbols, `functions` do
    not, and what stands without a body in `declared` is a symbol only where a comment explains it.
    """

    package: str
    scopes: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    entry: str = "language"
    unit: str = ""
    """What holds a scope's name where it is no symbol itself, such as a block that implements a trait."""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _kinds(kinds: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in kinds.split())


_SCRIPT = Grammar(
    "tree_sitter_javascript",
    _kinds("class_declaration:class class:class"),
    _kinds(
        "function_declaration:function generator_function_declaration:function method_definition:function "
        "variable_declarator:function assignment_expression:function field_definition:function pair:function"
    ),
)
_TYPED_SCOPES = {
    **_SCRIPT.scopes,
    **_kinds(
        "abstract_class_declaration:class interface_declaration:interface enum_declaration:enum "
        "internal_module:namespace"
    ),
}
_TYPED_FUNCTIONS = {
    **_SCRIPT.functions,
    **_kinds(
        "public_field_definition:function type_alias_declaration:type function_signature:function "
        "abstract_method_signature:function method_signature:function"
    ),
}
_TYPED_DECLARED = _words("function_signature abstract_method_signature method_signature")
_C_FUNCTIONS = _kinds(
    "function_definition:function declaration:function preproc_function_def:macro type_definition:type "
    "struct_specifier:struct union_specifier:union enum_specifier:enum"
)

GRAMMARS = {
    "python": Grammar(
        "tree_sitter_python", _kinds("class_definition:class"), _kinds("function_definition:function")
    ),
    "javascript": _SCRIPT,
    "typescript": Grammar(
        "tree_sitter_typescript", _TYPED_SCOPES, _TYPED_FUNCTIONS, _TYPED_DECLARED, "language_typescript"
    ),
    "tsx": Grammar(
        "tree_sitter_typescript", _TYPED_SCOPES, _TYPED_FUNCTIONS, _TYPED_DECLARED, "language_tsx"
    ),
    "java": Grammar(
        "tree_sitter_java",
        _kinds(
            "class_declaration:class interface_declaration:interface enum_declaration:enum "
            "record_declaration:record annotation_type_declaration:annotation"
        ),
        _kinds("method_declaration:function constructor_declaration:function"),
        _words("method_declaration"),
    ),
    "c": Grammar("tree_sitter_c", {}, _C_FUNCTIONS, _words("declaration")),
    "cpp": Grammar(
        "tree_sitter_cpp",
        _kinds("class_specifier:class struct_specifier:struct"),
        {
            **{name: kind for name, kind in _C_FUNCTIONS.items() if name != "struct_specifier"},
            **_kinds("field_declaration:function concept_definition:concept alias_declaration:type"),
        },
        _words("declaration field_declaration alias_declaration"),
    ),
    "go": Grammar(
        "tree_sitter_go",
        {},
        _kinds("function_declaration:function method_declaration:function type_spec:type type_alias:type"),
    ),
    "rust": Grammar(
        "tree_sitter_rust",
        _kinds("trait_item:trait mod_item:module impl_item:implementation"),
        _kinds(
            "function_item:function function_signature_item:function struct_item:struct enum_item:enum "
            "union_item:union macro_definition:macro"
        ),
        _words("function_signature_item"),
        unit="impl_item",
    ),
    "csharp": Grammar(
        "tree_sitter_c_sharp",
        _kinds(
            "class_declaration:class struct_declaration:struct interface_declaration:interface "
            "record_declaration:record enum_declaration:enum"
        ),
        _kinds(
            "method_declaration:function constructor_declaration:function destructor_declaration:function "
            "operator_declaration:function delegate_declaration:delegate"
        ),
        _words("method_declaration delegate_declaration"),
    ),
    "ruby": Grammar(
        "tree_sitter_ruby",
        _kinds("class:class module:module"),
        _kinds("method:function singleton_method:function"),
    ),
    "php": Grammar(
        "tree_sitter_php",
        _kinds(
            "class_declaration:class interface_declaration:interface trait_declaration:trait "
            "enum_declaration:enum"
        ),
        _kinds("function_definition:function method_declaration:function"),
        _words("method_declaration"),
        "language_php",
    ),
    "bash": Grammar("tree_sitter_bash", {}, _kinds("function_definition:function")),
    "kotlin": Grammar(
        "tree_sitter_kotlin",
        _kinds("class_declaration:class object_declaration:object companion_object:object"),
        _kinds("function_declaration:function secondary_constructor:function"),
        _words("function_declaration"),
    ),
    "swift": Grammar(
        "tree_sitter_swift",
        _kinds("class_declaration:class protocol_declaration:protocol"),
        _kinds(
            "function_declaration:function init_declaration:function protocol_function_declaration:function"
        ),
        _words("protocol_function_declaration"),
    ),
    "lua": Grammar(
        "tree_sitter_lua", {}, _kinds("function_declaration:function assignment_statement:function")
    ),
    "scala": Grammar(
        "tree_sitter_scala",
        _kinds("class_definition:class object_definition:object trait_definition:trait enum_definition:enum"),
        _kinds("function_definition:function function_declaration:function"),
        _words("function_declaration"),
    ),
}

LANGUAGES = {
    **dict.fromkeys(_words(".py .pyi .pyw"), "python"),
    **dict.fromkeys(_words(".js .mjs .cjs .jsx"), "javascript"),
    **dict.fromkeys(_words(".ts .mts .cts"), "typescript"),
    **dict.fromkeys(_words(".cc .cpp .cxx .hh .hpp .hxx .inl .ipp"), "cpp"),
    **dict.fromkeys(_words(".rb .rake .gemspec"), "ruby"),
    **dict.fromkeys(_words(".sh .bash .zsh .ksh"), "bash"),
    **dict.fromkeys(_words(".kt .kts"), "kotlin"),
    **dict.fromkeys(_words(".scala .sc"), "scala"),
    **dict.fromkeys(_words(".c .h"), "c"),
    **{".tsx": "tsx", ".java": "java", ".go": "go", ".rs": "rust", ".cs": "csharp", ".php": "php"},
    **{".swift": "swift", ".lua": "lua", ".sql": "sql", ".r": "r"},
}
"""Extension to language; `sql` and `r` have no grammar here and are scanned."""


def parser_of(language: str) -> Parser:
    """Raises `ImportError` where the package of the grammar is not installed."""
    grammar = GRAMMARS[language]
    return Parser(Language(getattr(importlib.import_module(grammar.package), grammar.entry)()))
