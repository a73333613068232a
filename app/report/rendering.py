"""A report as a file: HTML, JSON or Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from app.report.markdown import render_markdown
from app.report.model import Report
from app.report.page import render_html
from app.text import plain_json
from indexing.errors import BadInput

__all__ = ["FORMATS", "format_of", "render"]

FORMATS = ("html", "json", "md")


def format_of(path: Path) -> str:
    """What the end of a name asks for.

    Raises:
        BadInput: it asks for nothing that there is.
    """
    ending = path.suffix.lower().removeprefix(".")
    ending = {"htm": "html", "markdown": "md"}.get(ending, ending)
    if ending not in FORMATS:
        raise BadInput(f"{path}: end the name in .{', .'.join(FORMATS)}, or say --format")
    return ending


def render(report: Report, format: str) -> str:
    """
    Raises:
        BadInput: there is no such format.
    """
    if format == "html":
        return render_html(report)
    if format == "json":
        return plain_json(json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)) + "\n"
    if format == "md":
        return render_markdown(report)
    raise BadInput(f"format {format!r}: use one of {', '.join(FORMATS)}")
