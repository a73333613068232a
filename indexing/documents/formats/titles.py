"""The title that a file gives itself, where it is one."""

from __future__ import annotations

import re

__all__ = ["MOST_TITLE", "sensible_title"]

MOST_TITLE = 300
_BLANKS = re.compile(r"\s+")
# What programs fill in when nobody gave a title: the name of a file or of a template.
_NO_TITLE = re.compile(
    r"(?:microsoft \w+ - .*"
    r"|.*\.(?:docx?|dotx?|pptx?|xlsx?|od[tsp]|rtf|txt|tex|dvi|pdf|e?ps|indd|qxd|html?|md)"
    r"|.*\.(?:png|jpe?g|gif|bmp|tiff?|svg|[ew]mf|webp)"
    r"|(?:untitled|document|slide|sheet|title|presentation|book|page)[ -]?\d*"
    r"|(?:power ?point|word|pdf) \w+|no title|none|null|\W*)",
    re.IGNORECASE | re.DOTALL,
)


def sensible_title(title: object) -> str:
    """`title` on one line, or "" for what a program made up (`Microsoft Word - x.doc`, `untitled`)."""
    text = _BLANKS.sub(" ", title[: 4 * MOST_TITLE]).strip() if isinstance(title, str) else ""
    return "" if _NO_TITLE.fullmatch(text) else text[:MOST_TITLE]
