"""Writes what a person says as a file of each kind: `MAKERS[reader](title, paragraphs, extension)`."""

from __future__ import annotations

import base64
import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from html import escape

import xlsxwriter

from tests.unit.documents.made_office import (
    make_docx,
    make_odt,
    make_pptx,
    make_zip,
    odf,
    paragraph,
    shape,
)
from tests.unit.documents.made_outlook import outlook
from tests.unit.documents.made_pdf import Pdf, flowing

__all__ = ["MAKERS", "make_archive", "make_letter", "wrapped"]

Paragraphs = list[str]


def wrapped(text: str, width: int = 78) -> str:
    """`text` in lines, as an editor breaks it."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def _blocks(paragraphs: Paragraphs) -> str:
    return "\n\n".join(wrapped(text) for text in paragraphs)


def make_text(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return f"{title}\n\n{_blocks(paragraphs)}\n".encode()


def make_markdown(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return f"# {title}\n\n{_blocks(paragraphs)}\n".encode()


def make_rst(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return f"{title}\n{'=' * len(title)}\n\n{_blocks(paragraphs)}\n".encode()


def make_org(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return f"#+TITLE: {title}\n\n* First part\n\n{_blocks(paragraphs)}\n".encode()


def make_latex(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    head = f"\\documentclass{{article}}\n\\title{{{title}}}\n\\begin{{document}}\n\\maketitle\n"
    return f"{head}\n{_blocks(paragraphs)}\n\\end{{document}}\n".encode()


def make_man(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    sections = "".join(f".PP\n{wrapped(text)}\n" for text in paragraphs)
    return f'.TH NOTE 1 "May 2024"\n.SH NAME\nnote \\- {title}\n.SH DESCRIPTION\n{sections}'.encode()


def make_subtitles(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    lines = [line for text in paragraphs for line in wrapped(text, 40).split("\n")]
    if extension in (".ass", ".ssa"):
        said = "".join(
            f"Dialogue: 0,0:00:{n:02}.00,0:00:{n + 1:02}.00,S,,0,0,0,,{line}\n"
            for n, line in enumerate(lines)
        )
        form = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
        return f"[Script Info]\nTitle: {title}\n\n[Events]\n{form}\n{said}".encode()
    point, arrow = {".srt": (",", " --> "), ".sbv": (".", ",")}.get(extension, (".", " --> "))
    cues = [
        f"{n + 1}\n00:00:{n:02}{point}000{arrow}00:00:{n + 1:02}{point}000\n{line}\n"
        for n, line in enumerate(lines)
    ]
    return (("WEBVTT\n\n" if extension == ".vtt" else "") + "\n".join(cues)).encode()


def make_html(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    menu = "<nav><a href='/'>Home</a> <a href='/all'>All notes</a></nav>"
    body = "".join(f"<p>{escape(text)}" for text in paragraphs)  # nobody closes them
    return f"<!doctype html><title>{escape(title)}</title>{menu}<main>{body}</main>".encode()


def make_xml(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    items = "".join(f"<para>{escape(text)}</para>" for text in paragraphs)
    return f'<?xml version="1.0"?>\n<note><title>{escape(title)}</title>{items}</note>'.encode()


def make_json(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return json.dumps({"title": title, "notes": {"lines": paragraphs}, "version": 3}, indent=1).encode()


def make_settings(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    pairs = {f"note_{n}": text for n, text in enumerate(paragraphs)}
    if extension in (".yaml", ".yml"):
        lines = [f"{key}: {json.dumps(text)}" for key, text in pairs.items()]
        return "\n".join([f"title: {json.dumps(title)}", *lines]).encode()
    lines = [f"{key} = {json.dumps(text)}" for key, text in pairs.items()]
    return "\n".join([f"# {title}", "[notes]", *lines]).encode()


def make_notebook(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": [f"# {title}\n"]}]
    for text in paragraphs:
        cells.append({"cell_type": "markdown", "metadata": {}, "source": wrapped(text).splitlines(True)})
        cells.append({"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": []})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _rows(title: str, paragraphs: Paragraphs) -> list[dict[str, str | int]]:
    return [
        {"no": 100 + n, "subject": title if n == 1 else f"Entry {n}", "remark": text}
        for n, text in enumerate(paragraphs)
    ]


def make_delimited(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    rows = _rows(title, paragraphs)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t" if extension == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def make_jsonl(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in _rows(title, paragraphs)).encode()


def make_parquet(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_rows(title, paragraphs)), stream)
    return stream.getvalue()


def make_sheets(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    rows = _rows(title, paragraphs)
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    if extension in (".ods", ".ots"):
        return make_odt(_odf_table(lines), kind="spreadsheet")
    if extension == ".fods":
        return _flat("spreadsheet", _odf_table(lines))
    if extension == ".xls":  # as many programs export it
        return "\n".join("\t".join(map(str, line)) for line in lines).encode()
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as workbook:
        sheet = workbook.add_worksheet("Notes")
        for number, line in enumerate(lines):
            sheet.write_row(number, 0, line)
    return stream.getvalue()


def _odf_table(lines: list[list]) -> str:
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(str(cell))}</text:p>'
            "</table:table-cell>"
            for cell in line
        )
        + "</table:table-row>"
        for line in lines
    )
    return f'<table:table table:name="Notes">{rows}</table:table>'


def _flat(kind: str, body: str) -> bytes:
    head = f'office:mimetype="application/vnd.oasis.opendocument.{kind}"'
    document = odf("document", f"<office:body><office:{kind}>{body}</office:{kind}></office:body>")
    return document.replace("<office:document ", f"<office:document {head} ", 1).encode()


def make_odf(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    inside = "".join(f"<text:p>{escape(text)}</text:p>" for text in paragraphs)
    heading = f'<text:h text:outline-level="1">{escape(title)}</text:h>'
    kind = {"p": "presentation", "g": "drawing"}.get(extension[-1], "text")
    if extension == ".otp":
        kind = "presentation"
    if kind != "text":
        frame = f"<draw:frame><draw:text-box>{heading}{inside}</draw:text-box></draw:frame>"
        body = f'<draw:page draw:name="page1">{frame}</draw:page>'
    else:
        body = heading + inside
    return _flat(kind, body) if extension.startswith(".fod") else make_odt(body, kind=kind)


def make_word(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    body = paragraph(escape(title)) + "".join(paragraph(escape(text)) for text in paragraphs)
    return make_docx(body, core=(escape(title), "Ann"))


def make_slides(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    slides = [shape(escape(title), kind="ctrTitle")]
    slides += [shape(*(escape(part) for part in wrapped(text, 60).split("\n"))) for text in paragraphs]
    return make_pptx(slides)


def make_pdf(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    pages = [flowing(f"{title}\n\n{wrapped(paragraphs[0])}"), *(flowing(wrapped(t)) for t in paragraphs[1:])]
    return Pdf(list(pages), information={"Title": title}).build()


def make_rtf(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    body = "".join(text.replace("\\", "\\\\") + r"\par " for text in [title, *paragraphs])
    return (r"{\rtf1\ansi{\fonttbl{\f0 Times;}}\f0 " + body + "}").encode("cp1252")


def make_epub(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    chapters = {
        f"c{n}.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{escape(text)}</p></body></html>'
        for n, text in enumerate(paragraphs)
    }
    items = "".join(
        f'<item id="{name[:2]}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters
    )
    spine = "".join(f'<itemref idref="{name[:2]}"/>' for name in chapters)
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf"/></rootfiles></container>'
    )
    book = (
        f'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>{escape(title)}</dc:title>'
        f"</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    return make_zip(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "book.opf": book} | chapters
    )


def make_letter(
    title: str, paragraphs: Paragraphs, extension: str, attached: tuple[str, bytes] | None = None
) -> bytes:
    """A letter of two forms, plain and HTML; `attached` is the name and content of an attachment."""
    head = (
        f"From: Ann <ann@example.org>\nTo: Bob <bob@example.org>\nSubject: {title}\n"
        "Date: Wed, 01 May 2024 12:00:00 +0200\nMIME-Version: 1.0\n"
    )
    body = f"Content-Type: text/plain; charset=utf-8\n\n{_blocks(paragraphs)}\n"
    if attached is not None:
        name, data = attached
        part = (
            f'Content-Type: application/octet-stream; name="{name}"\nContent-Transfer-Encoding: base64\n'
            f'Content-Disposition: attachment; filename="{name}"\n\n{base64.encodebytes(data).decode()}'
        )
        body = f'Content-Type: multipart/mixed; boundary="=b="\n\n--=b=\n{body}\n--=b=\n{part}--=b=--\n'
    letter = head + body
    if extension in (".mbox", ".mbx"):
        letter = f"From ann@example.org Wed May  1 12:00:00 2024\n{letter}\n" + (
            "From bob@example.org Wed May  1 13:00:00 2024\nFrom: Bob <bob@example.org>\n"
            "Subject: Received\n\nThank you, I have put it into the folder.\n"
        )
    if extension == ".emlx":
        letter = f"{len(letter.encode())}\n{letter}<?xml version='1.0'?><plist></plist>"
    if extension in (".mht", ".mhtml"):
        page = make_html(title, paragraphs, ".html").decode()
        letter = (
            f"From: <Saved>\nSubject: {title}\nMIME-Version: 1.0\n"
            'Content-Type: multipart/related; type="text/html"; boundary="=b="\n\n'
            f"--=b=\nContent-Type: text/html; charset=utf-8\n\n{page}\n--=b=--\n"
        )
    return letter.encode()


def make_msg(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    return outlook(
        {
            "__properties_version1.0": bytes(32),
            "__substg1.0_0037001F": title.encode("utf-16-le"),
            "__substg1.0_0C1A001F": "Ann".encode("utf-16-le"),
            "__substg1.0_1000001F": "\r\n\r\n".join(paragraphs).encode("utf-16-le"),
        }
    )


def make_archive(extension: str, members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    if extension == ".zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w") as packed:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def pack_member(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    """An archive of which one member says it."""
    other = "The cellar light is on the left. The meter is behind the coats, and the spare key hangs below."
    members = {"deep/note.md": make_markdown(title, paragraphs, ".md"), "other.txt": other.encode()}
    return make_archive(extension, members)


# How the lines of a comment begin, and how the comment itself begins and ends, where it has to.
_HASH = (
    ".awk .bash .cmake .ex .exs .fish .gemspec .graphql .jl .ksh .nim .pl .pm .ps1 .pxd .r .rake .rb .sh "
    ".tcl .tf .zsh .py .pyi .pyw .pyx"
).split()
_COMMENTS = {
    **dict.fromkeys(_HASH, ("", "# ", "")),
    **dict.fromkeys((".sql", ".lua", ".hs"), ("", "-- ", "")),
    **dict.fromkeys((".el", ".lisp", ".scm", ".clj", ".cljs"), ("", ";; ", "")),
    **dict.fromkeys((".css", ".scss", ".sass", ".less"), ("/*\n", " * ", " */\n")),
    **dict.fromkeys((".ml", ".mli", ".pas"), ("(*\n", "   ", "*)\n")),
    **dict.fromkeys((".vue", ".svelte"), ("<script>\n", "// ", "")),
    **dict.fromkeys((".bat", ".cmd"), ("", "REM ", "")),
    ".php": ("<?php\n", "// ", ""),
    **dict.fromkeys((".erl", ".m"), ("", "% ", "")),
    ".vim": ("", '" ', ""),
    ".vb": ("", "' ", ""),
    ".f90": ("", "! ", ""),
}
_SYMBOLS = {
    ".py": "def {}(value):\n    return value\n",
    ".js": "function {}(value) {{\n  return value;\n}}\n",
    ".ts": "export function {}(value: number): number {{\n  return value;\n}}\n",
    ".c": "int {}(int value) {{\n    return value;\n}}\n",
    ".go": "func {}(value int) int {{\n\treturn value\n}}\n",
    ".rs": "fn {}(value: i32) -> i32 {{\n    value\n}}\n",
    ".java": "class Note {{\n  int {}(int value) {{ return value; }}\n}}\n",
    ".rb": "def {}(value)\n  value\nend\n",
    ".sh": "{}() {{\n  echo value\n}}\n",
    ".sql": "CREATE TABLE {} (value integer);\n",
    ".php": "function {}($value) {{ return $value; }}\n",
}
_LIKE = {
    **dict.fromkeys((".pyi", ".pyw", ".pyx", ".pxd"), ".py"),
    **dict.fromkeys((".cjs", ".mjs", ".jsx", ".vue", ".svelte"), ".js"),
    **dict.fromkeys((".cts", ".mts", ".tsx"), ".ts"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl", ".ipp", ".mm"), ".c"),
    **dict.fromkeys((".rake", ".gemspec"), ".rb"),
    **dict.fromkeys((".bash", ".ksh", ".zsh"), ".sh"),
}


def make_code(title: str, paragraphs: Paragraphs, extension: str) -> bytes:
    """What is said is the comment before a function, with another function before and after it."""
    opening, mark, closing = _COMMENTS.get(extension, ("", "// ", ""))
    symbol = _SYMBOLS.get(_LIKE.get(extension, extension), "")
    head = opening if opening.startswith("<") else ""
    inner = opening.removeprefix(head)
    parts = []
    for name, text in [(f"part_{n}", text) for n, text in enumerate(paragraphs)]:
        lines = "".join(f"{mark}{line}\n" for line in wrapped(text, 70).split("\n"))
        parts.append(inner + lines + closing + symbol.format(name))
    ending = "</script>\n" if head == "<script>\n" else ""
    return (head + "\n".join(parts) + ending).encode()


MAKERS: dict[str, Callable[[str, Paragraphs, str], bytes]] = {
    "archive": pack_member,
    "code": make_code,
    "delimited": make_delimited,
    "docx": make_word,
    "epub": make_epub,
    "html": make_html,
    "json": make_json,
    "jsonl": make_jsonl,
    "latex": make_latex,
    "mail": make_letter,
    "man": make_man,
    "markdown": make_markdown,
    "msg": make_msg,
    "notebook": make_notebook,
    "odt": make_odf,
    "org": make_org,
    "parquet": make_parquet,
    "pdf": make_pdf,
    "pptx": make_slides,
    "rst": make_rst,
    "rtf": make_rtf,
    "settings": make_settings,
    "sheets": make_sheets,
    "subtitles": make_subtitles,
    "text": make_text,
    "unnamed": make_text,
    "xml": make_xml,
}
