"""Text from outside as HTML: titles, questions, names."""

from __future__ import annotations

from html import escape

from app.text import plain

__all__ = ["as_html", "isolate"]


def as_html(text: str) -> str:
    """`text` made plain and escaped."""
    return escape(plain(text))


def isolate(text: str) -> str:
    """The same, turning nothing around it: a name written from right to left stays in its place."""
    return f"<bdi>{as_html(text)}</bdi>"
