"""The file that a result is from, as HTML: its path, a page as a picture, lines with their numbers."""

from __future__ import annotations

import base64

from app.facade.originals import Lines
from app.pictures import PagePicture
from app.settings import host_from_environment, is_loopback
from app.ui.outside import as_html, isolate

__all__ = ["listing", "original_path", "page_count", "page_picture"]


def original_path(path: str) -> str:
    """Where the file lies, for those who can open it there."""
    return f'<p class="st-path">{isolate(path)}</p>' if is_loopback(host_from_environment()) else ""


def page_count(page: int, pages: int) -> str:
    return f'<span class="st-page">Page {page:,} of {pages:,}</span>'


def page_picture(picture: PagePicture) -> str:
    """The picture travels in the page itself: nothing else on this server can be asked for it."""
    data = base64.b64encode(picture.png).decode("ascii")
    alt = f"Page {picture.page}" + (", the passage is marked" if picture.marked else "")
    return f'<img class="st-sheet" alt="{alt}" src="data:image/png;base64,{data}">'


def listing(lines: Lines) -> str:
    """Lines of a file with their numbers, those that answer marked."""
    first, last = lines.marked or (0, 0)
    rows = "".join(
        f"<div{' data-marked' if first <= number <= last else ''}><span>{number}</span>"
        f"<code>{as_html(line, prose=True)}</code></div>"
        for number, line in enumerate(lines.lines, start=lines.first)
    )
    end = lines.first + len(lines.lines) - 1
    around = f"Lines {lines.first:,} to {end:,}" + (f" of {lines.total:,}" if lines.total else "")
    rest = f'<p class="st-rest">{around}</p>' if len(lines.lines) != lines.total else ""
    return f'<div class="st-listing" tabindex="0" translate="no">{rows}</div>{rest}'
