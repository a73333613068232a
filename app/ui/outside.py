"""Text from outside on the page: as HTML, and as a label of a widget, which Streamlit reads as Markdown.

Streamlit reads Markdown in the labels of all widgets, in buttons, pop-overs, expanders, captions, toasts and
the options of a segmented control; not in placeholders, nor in the options of a select box or multiselect.
"""

from __future__ import annotations

import re
from html import escape

from app.text import plain

__all__ = ["as_html", "as_label", "isolate"]

# Words of letters and digits, which are no Markdown.
_HARMLESS = re.compile(r"(?:[^\W_]+ ?)+")
_BACKTICKS = re.compile("`+")


def as_html(text: str, *, prose: bool = False) -> str:
    """`text`, made plain and escaped."""
    return escape(plain(text, prose=prose))


def isolate(text: str) -> str:
    """`text` as HTML that turns nothing around it: a name written from right to left stays in its place."""
    return f"<bdi>{as_html(text)}</bdi>"


def as_label(text: str) -> str:
    """`text` as Markdown that shows it letter by letter: words as they are, anything else as code, in which
    Markdown has no meaning. The style sheet gives such code the look of its surroundings.
    """
    text = plain(text)
    if _HARMLESS.fullmatch(text):
        return text
    # Streamlit looks for its icons in code too, unless something stands within that nobody sees.
    text = text.replace(":material/", ":material\u2060/")
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    return f"{fence} {text} {fence}"
