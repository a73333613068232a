"""Another function in an attribute of an object for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replace(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let ``owner.name`` be ``function`` inside the block, and be what it was after it."""
    own = vars(owner)
    before = (own[name],) if name in own else ()
    setattr(owner, name, function)
    try:
        yield
    finally:
        if before:
            setattr(owner, name, before[0])
        else:  # that of the class shows again
            delattr(owner, name)


def unwrap(model: Any, kind: type | str) -> Any:
    """The model inside wrappers of distributed training and compilation; None if there is none.

    Args:
        model: what may be wrapped.
        kind: its class, or the ``model_type`` of one that cannot be imported: its ``fit`` imports the caller.
    """
    while not _is_a(model, kind):
        inner = getattr(model, "_orig_mod", None) or getattr(model, "module", None)
        if inner is None:
            return None
        model = inner
    return model


def _is_a(model: Any, kind: type | str) -> bool:
    if isinstance(kind, type):
        return isinstance(model, kind)
    return any(vars(cls).get("model_type") == kind for cls in type(model).__mro__)
