"""Zip containers of XML written by hand: DOCX, PPTX, ODT and EPUB with what a test puts into them."""

from __future__ import annotations

import io
import zipfile

PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title><dc:creator>{}</dc:creator>'
    "</cp:coreProperties>"
)


def make_zip(members: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return stream.getvalue()


def relations(links: dict[str, tuple[str, str]]) -> str:
    """`links`: kind and target by id."""
    entries = "".join(
        f'<Relationship Id="{id_}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for id_, (kind, target) in links.items()
    )
    return f'<Relationships xmlns="{PACKAGE}">{entries}</Relationships>'


def make_docx(body: str, *, core: tuple[str, str] | None = None, **parts: str) -> bytes:
    """`parts` are the contents of footnotes, comments, styles, numbering, header1 and so on."""
    kinds = {name: name.rstrip("0123456789") for name in parts}
    members: dict[str, str | bytes] = {
        "_rels/.rels": relations({"r1": ("officeDocument", "word/document.xml")}),
        "word/document.xml": word("document", f"<w:body>{body}</w:body>"),
        "word/_rels/document.xml.rels": relations(
            {f"r{name}": (kind, f"{name}.xml") for name, kind in kinds.items()}
        ),
    }
    members |= {f"word/{name}.xml": word(kinds[name], content) for name, content in parts.items()}
    if core is not None:
        members["docProps/core.xml"] = CORE.format(*core)
    return make_zip(members)


def word(name: str, content: str) -> str:
    namespaces = (
        f'xmlns:w="{WORD}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
        'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:m="urn:math"'
    )
    return f'<?xml version="1.0" encoding="UTF-8"?><w:{name} {namespaces}>{content}</w:{name}>'


def paragraph(text: str, properties: str = "") -> str:
    """A paragraph of Word; `text` may hold runs of its own."""
    runs = text if text.startswith("<") else f"<w:r><w:t>{text}</w:t></w:r>"
    return f"<w:p><w:pPr>{properties}</w:pPr>{runs}</w:p>"


def table(*rows: list[str]) -> str:
    cells = "".join("<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in row) + "</w:tr>" for row in rows)
    return f"<w:tbl>{cells}</w:tbl>"
