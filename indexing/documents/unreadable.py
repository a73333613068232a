"""The one exception that readers raise for what is in a file."""

from __future__ import annotations

__all__ = ["Unreadable"]


class Unreadable(Exception):
    """The whole file cannot be read; the text is the reason a person sees."""
