"""A single text is a sequence, too: of letters. Where a list belongs it is refused by the argument's name."""

from __future__ import annotations

from typing import Any

from stlib.errors import InvalidInput

__all__ = ["refuse_text"]


def refuse_text(**arguments: Any) -> None:
    """Refuse arguments that are one text, where a list (or another collection) belongs.

    Raises:
        InvalidInput: names the argument.
    """
    for name, value in arguments.items():
        if isinstance(value, (str, bytes)):
            shown = repr(value[:60])
            raise InvalidInput(
                f"{name} is the text {shown}, where a list belongs; for a single one: [{shown}]"
            )
