"""Turn a public member of the standard library into a passage that is pleasant to read."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from walk import Member, own_doc

_TITLE_WIDTH = 72
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
# The opening of a C docstring whose machine-readable signature the interpreter could not read.
_BARE_SIGNATURE = re.compile(r"\A\w+\([^\n]*\)\n--\n\n")
# Docstrings that a machine wrote, or that everything inherits.
_GENERIC = re.compile(
    r"Alias for field number \d+$"
    r"|An enumeration\.$"
    r"|Initialize self\.\s+See help\(type\(self\)\) for accurate signature\.$"
)
_GENERIC_SIGNATURES = frozenset(["()", "(*args, **kwargs)", "(*args, **kwds)", "(/, *args, **kwargs)"])
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class _Elided:
    """Stands for a default value that has no short, repeatable spelling."""

    def __repr__(self) -> str:
        return "..."


def passage(member: Member) -> dict[str, Any] | None:
    """Return a member as a BEIR document, or None where its docstring says nothing.

    Keys: ``_id`` (dotted name), ``title`` (name with its signature, shortened to one line),
    ``text`` (the docstring) and ``metadata`` (module, kind, signature, python).
    """
    text = _text(member)
    if not text:
        return None
    signature = _signature(member, text)
    return {
        "_id": member.name,
        "title": member.name + _short(signature, len(member.name)),
        "text": text,
        "metadata": {"module": member.module, "kind": member.kind, "signature": signature, "python": _PYTHON},
    }


def _text(member: Member) -> str:
    text = _clean(member.doc)
    if member.kind != "class":
        return text
    if _only_a_signature(member.name, text):
        text = ""
    more = _clean(own_doc(vars(member.obj).get("__init__")))
    return "\n\n".join(filter(None, [text, more if more not in text else ""]))


def _clean(doc: str) -> str:
    """Return a docstring without indentation, or '' where it is empty or generic."""
    text = _BARE_SIGNATURE.sub("", _ADDRESS.sub("", inspect.cleandoc(doc))).strip()
    words = re.findall(r"[^\W\d_]{2,}", text)
    return "" if min(len(words), len(text.split())) < 2 or _GENERIC.match(text) else text


def _only_a_signature(name: str, text: str) -> bool:
    """Tell a generated class docstring, such as a dataclass's ``Point(x, y)``."""
    return text.startswith(name.rpartition(".")[2] + "(") and text.endswith(")") and "\n" not in text


def _signature(member: Member, text: str) -> str:
    """Return the call signature without ``self`` and annotations, or '' for what is not called."""
    if member.kind not in ("class", "function", "method"):
        return ""
    try:
        signature = _introspected(member)
    except (TypeError, ValueError, AttributeError, NameError):
        # C code that tells its signature in prose, if at all, or with a default nobody can look up.
        signature = _signature_in(text, member.name.rpartition(".")[2])
    return "" if member.kind == "class" and signature in _GENERIC_SIGNATURES else signature


def _introspected(member: Member) -> str:
    signature = inspect.signature(member.obj, **_annotations_as_text())
    parameters = list(signature.parameters.values())
    if member.kind == "method" and parameters and parameters[0].name in ("self", "cls", "type", "mcls"):
        parameters = parameters[1:]
    plain = [p.replace(annotation=inspect.Parameter.empty, default=_default(p.default)) for p in parameters]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def _annotations_as_text() -> dict[str, Any]:
    """Keep Python 3.14 from evaluating annotations, which may name what only type checkers import."""
    if sys.version_info < (3, 14):
        return {}
    from annotationlib import Format

    return {"annotation_format": Format.STRING}


def _default(value: object) -> object:
    """Return a default as is if its repr is short and the same in every run."""
    if value is inspect.Parameter.empty or value is None:
        return value
    plain = isinstance(value, (bool, int, float, str, bytes)) or value == ()
    return value if plain and len(repr(value)) <= 30 and "<" not in repr(value) else _Elided()


def _signature_in(text: str, name: str) -> str:
    """Return the signature that opens a docstring: '(k[,d])' of 'D.pop(k[,d]) -> v, remove ...'."""
    found = re.match(rf"(?:\w+\.)?{re.escape(name)}(\([^\n]*?\))(?=\s|:|$)", text)
    return found.group(1) if found else ""


def _short(signature: str, used: int) -> str:
    """Return the signature cut to what fits a title line beside ``used`` characters of name."""
    room = _TITLE_WIDTH - used
    if len(signature) <= room:
        return signature
    kept: list[str] = []
    for argument in signature[1:-1].split(", "):
        if len(", ".join([*kept, argument])) > room - len("(, …)"):
            break
        kept.append(argument)
    return f"({', '.join([*kept, '…'])})"
