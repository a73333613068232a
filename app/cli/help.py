"""Help that fits the terminal, however narrow it is: click's own is never narrower than 50 columns."""

from __future__ import annotations

from collections.abc import Iterable

import click

from app.cli.terminal import terminal_width

__all__ = ["HelpContext", "HelpFormatter"]

# In fewer columns a description has no room beside its option: it stands below it.
_TWO_COLUMNS = 70
_INDENT = 6


class HelpFormatter(click.HelpFormatter):
    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        super().__init__(indent_increment, width or terminal_width(), max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        if self.width >= _TWO_COLUMNS:
            super().write_dl(list(rows), col_max, col_spacing)
            return
        for term, description in rows:
            self._write_wrapped(term, self.current_indent)
            self._write_wrapped(description, _INDENT)

    def _write_wrapped(self, text: str, indent: int) -> None:
        margin = " " * indent
        self.write(click.wrap_text(text, self.width, margin, margin) + "\n")


class HelpContext(click.Context):
    formatter_class = HelpFormatter
