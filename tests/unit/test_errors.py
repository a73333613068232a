"""The tree of errors: as drawn, one for the whole library, and of the kinds that older scripts catch."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import stlib
from stlib import errors, runtime

PACKAGE = Path(stlib.__file__).parent


def drawn_tree() -> dict[str, tuple[str, ...]]:
    """Each error of the docstring with its bases: its parent in the drawing, then those in brackets."""
    tree: dict[str, tuple[str, ...]] = {}
    parents: dict[int, str] = {}
    drawing = re.findall(r"^    ([ │]*(?:[├└]── )?)(\w+)(?:\(([\w, ]+)\))?(?: .*)?$", errors.__doc__, re.M)
    for branch, name, bases in drawing:
        depth = len(branch) // 4
        parents[depth] = name
        own = tuple(bases.split(", ")) if bases else ()
        tree[name] = ((parents[depth - 1],) if depth else ("Exception",)) + own
    return tree


def test_the_drawing_is_the_tree():
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert drawn_tree() == {
        name: tuple(base.__name__ for base in value.__bases__) for name, value in classes.items()
    }


def test_no_error_that_users_meet_is_defined_elsewhere():
    known = {*drawn_tree(), *(name for name in dir(builtins) if name.endswith(("Error", "Exception")))}
    elsewhere = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if known & {ast.unparse(base) for base in node.bases}
    ]
    assert elsewhere == []


def test_names_of_the_runtime_are_errors_of_the_tree():
    assert runtime.ModelError is errors.StlibError
    assert runtime.InvalidModelError is errors.ModelConfigError
    assert runtime.MissingDependencyError is errors.MissingDependency
    assert runtime.MissingModelFileError is errors.MissingModelFile
    assert runtime.ModelNotFoundError is errors.ModelNotFound
    assert runtime.UnknownPromptError is errors.UnknownPrompt
    assert runtime.UnknownTaskError is errors.UnknownTask
    assert runtime.UnsupportedModelError is errors.UnsupportedModel
