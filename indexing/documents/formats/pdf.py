"""PDF through PDFium: one file is one document, its pages and its outline are marks.

Lines of a paragraph flow together, words divided at line ends are whole; comments and what a form was filled
in with follow their page. A PDF without text is named for what it is, scanned, and read by tesseract where
that is installed (`ocr.py`). README.md here says why PDFium.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from indexing.documents.formats.assembly import Heading, assemble
from indexing.documents.formats.ocr import find_tesseract, read_pages
from indexing.documents.formats.pdf_lines import HYPHEN, page_text
from indexing.documents.formats.pdf_notes import page_notes
from indexing.documents.formats.titles import sensible_title
from indexing.documents.marks import MOST_MARKS
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_WORD = re.compile(r"\w+(?:-\w+)*")
_DIVIDED = re.compile(rf"([\w-]*\w){HYPHEN}(\w+)")
_DEEPEST_OUTLINE = 6
# A page without text is scanned if pictures cover this much of it; less is a cover with a logo.
_SCAN_COVERS = 0.4


def read(file: SourceFile) -> Iterator[Item]:
    if file.size == 0:
        raise Unreadable("no text in it")
    with file.open() as stream:
        source = stream if stream.seekable() else io.BytesIO(stream.read())
        try:
            pdf = pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            yield Skipped(file.source, None, _refusal(error))
            return
        try:
            file.bytes_read = file.size
            yield _document(file, pdf)
        finally:
            pdf.close()


def _refusal(error: pypdfium2.PdfiumError) -> str:
    if error.err_code == pdfium.FPDF_ERR_PASSWORD:
        return "is encrypted: it needs a password; save a copy without one"
    return "is not a PDF that can be read: it is damaged, cut off or something else"


def _document(file: SourceFile, pdf: Any) -> Item:
    texts = _page_texts(file, pdf)
    _read_scanned(file, pdf, texts)
    text, marks = assemble(_whole_words(texts), _outline(pdf), pages=True)
    title, author = _information(pdf)
    return Document(file.name, text, title, {"author": author} if author else {}, marks=marks)


def _page_texts(file: SourceFile, pdf: Any) -> list[str]:
    texts = []
    for number in range(len(pdf)):
        try:
            page = pdf[number]
            textpage = page.get_textpage()
        except pypdfium2.PdfiumError:
            file.note("has damaged pages: they were left out")
            texts.append("")
            continue
        texts.append("\n\n".join(filter(None, [page_text(textpage), *page_notes(page)])))
        textpage.close()
        page.close()
    return texts


def _read_scanned(file: SourceFile, pdf: Any, texts: list[str]) -> None:
    """Fill in the pages that are pictures. Raises `Unreadable` if that leaves no text."""
    scanned = [number for number, text in enumerate(texts) if not text and _is_scan(pdf, number)]
    if not scanned:
        if not any(texts):
            raise Unreadable("no text in it")
        return
    whole = len(scanned) == len(texts) or not any(texts)
    if find_tesseract() is None:
        if whole:
            raise Unreadable("has no text: a scanned PDF; install tesseract to read it")
        file.note("has pages that are pictures without text; install tesseract to read them")
        return
    found = read_pages(pdf, scanned)
    for number, text in found.items():
        texts[number] = text
    if not any(texts):
        raise Unreadable("has no text: a scanned PDF on which tesseract found no words")
    if len(found) < len(scanned):
        file.note(f"is scanned: tesseract read {len(found)} of its {len(scanned)} pages in the time allowed")


def _is_scan(pdf: Any, number: int) -> bool:
    """Whether pictures cover most of the page."""
    try:
        page = pdf[number]
    except pypdfium2.PdfiumError:
        return False
    width, height = page.get_size()
    covered = 0.0
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = picture.get_bounds()
        covered += (right - left) * (top - bottom)
    page.close()
    return covered > _SCAN_COVERS * width * height


def _whole_words(texts: list[str]) -> list[str]:
    """Put words that were divided at line ends together again.

    The hyphen stays where the document writes the word with one elsewhere, and without one nowhere.
    """
    if not any(HYPHEN in text for text in texts):
        return texts
    known = {word.lower() for text in texts for word in _WORD.findall(text)}

    def join(match: re.Match[str]) -> str:
        left, right = match.groups()
        divided, whole = f"{left}-{right}", f"{left}{right}"
        keep = "-" in left or (divided.lower() in known and whole.lower() not in known)
        return divided if keep else whole

    return [_DIVIDED.sub(join, text).replace(HYPHEN, "-") if HYPHEN in text else text for text in texts]


def _information(pdf: Any) -> tuple[str, str]:
    """(title, author) as the file says; empty where it says nothing sensible."""
    try:
        found = pdf.get_metadata_dict(skip_empty=True)
    except UnicodeDecodeError:
        return "", ""
    return sensible_title(found.get("Title")), sensible_title(found.get("Author"))


def _outline(pdf: Any) -> dict[int, list[Heading]]:
    """Headings by page number, from 0, each with its level from 1, as the document's outline lists them."""
    headings: dict[int, list[Heading]] = {}
    room = MOST_MARKS - len(pdf)
    try:
        for bookmark in pdf.get_toc(max_depth=_DEEPEST_OUTLINE):
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            words = " ".join(bookmark.get_title().split())
            if page is not None and words and room > 0:
                headings.setdefault(page, []).append(Heading(words, bookmark.level + 1))
                room -= 1
    except (pypdfium2.PdfiumError, UnicodeDecodeError):  # damaged: the headings before it are as good as any
        return headings
    return headings
