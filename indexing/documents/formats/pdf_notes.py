"""What was written onto a page of a PDF: comments, and what forms were filled in with."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

__all__ = ["page_notes"]

_COMMENTS = frozenset(
    (
        pdfium.FPDF_ANNOT_TEXT,
        pdfium.FPDF_ANNOT_FREETEXT,
        pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_SQUIGGLY,
        pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_CARET,
        pdfium.FPDF_ANNOT_STAMP,
        pdfium.FPDF_ANNOT_INK,
        pdfium.FPDF_ANNOT_LINE,
        pdfium.FPDF_ANNOT_SQUARE,
        pdfium.FPDF_ANNOT_CIRCLE,
        pdfium.FPDF_ANNOT_POLYGON,
    )
)
_MOST = 2000  # of a page; most are links
_LONGEST = 100_000  # bytes of one


def page_notes(page: Any) -> list[str]:
    """The comments on a `pypdfium2.PdfPage` and the values in its form, in the order of the file."""
    notes = []
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        text = ""
        if kind in _COMMENTS:
            text = _value(annotation, b"Contents")
            text = f"Comment: {text}" if text else ""
        elif kind == pdfium.FPDF_ANNOT_WIDGET and _value(annotation, b"FT") != "Btn":
            text = _value(annotation, b"V")
        pdfium.FPDFPage_CloseAnnot(annotation)
        if text:
            notes.append(text)
    return notes


def _value(annotation: Any, key: bytes) -> str:
    """A text or name of an annotation on one line; "" if it has none."""
    size = min(pdfium.FPDFAnnot_GetStringValue(annotation, key, None, 0), _LONGEST)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFAnnot_GetStringValue(
        annotation, key, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size
    )
    return " ".join(buffer.raw[: size - 2].decode("utf-16-le", "replace").replace("\x00", " ").split())
