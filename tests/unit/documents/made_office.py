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


DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
SHOW = "http://schemas.openxmlformats.org/presentationml/2006/main"


def make_pptx(
    slides: list[str], *, order: list[int] | None = None, core: tuple[str, str] | None = None, **parts: str
) -> bytes:
    """`slides` are shapes as XML; `parts` are named `notesSlide1` for the first slide and so on."""
    order = list(range(len(slides))) if order is None else order
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in order)
    members: dict[str, str | bytes] = {
        "_rels/.rels": relations({"r1": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": show("presentation", f"<p:sldIdLst>{ids}</p:sldIdLst>"),
        "ppt/_rels/presentation.xml.rels": relations(
            {f"s{n}": ("slide", f"slides/slide{n + 1}.xml") for n in range(len(slides))}
        ),
    }
    for n, shapes in enumerate(slides, start=1):
        members[f"ppt/slides/slide{n}.xml"] = show("sld", f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>")
        links = {
            name: (name[: -len(str(n))], f"../parts/{name}.xml") for name in parts if name.endswith(str(n))
        }
        members[f"ppt/slides/_rels/slide{n}.xml.rels"] = relations(links)
    members |= {f"ppt/parts/{name}.xml": content for name, content in parts.items()}
    if core is not None:
        members["docProps/core.xml"] = CORE.format(*core)
    return make_zip(members)


def show(name: str, content: str) -> str:
    return (
        f'<p:{name} xmlns:p="{SHOW}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}" xmlns:c="urn:chart" '
        f'xmlns:mc="urn:mc">{content}</p:{name}>'
    )


def shape(*lines: str, kind: str = "") -> str:
    """A shape with a paragraph a line; `kind` is the placeholder that it fills."""
    placeholder = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    body = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return f"<p:sp>{placeholder}<p:txBody>{body}</p:txBody></p:sp>"


ODF = "urn:oasis:names:tc:opendocument:xmlns:"


def odf(name: str, content: str) -> str:
    prefixes = {
        **{"office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style"},
        **{"meta": "meta", "presentation": "presentation", "manifest": "manifest"},
    }
    namespaces = " ".join(f'xmlns:{prefix}="{ODF}{rest}:1.0"' for prefix, rest in prefixes.items())
    dc, svg = 'xmlns:dc="http://purl.org/dc/elements/1.1/"', f'xmlns:svg="{ODF}svg-compatible:1.0"'
    return f'<?xml version="1.0"?><office:{name} {namespaces} {dc} {svg}>{content}</office:{name}>'


def make_odt(
    body: str, *, kind: str = "text", automatic: str = "", styles: str = "", meta: str = ""
) -> bytes:
    content = (
        f"<office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    )
    return make_zip(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": odf("document-content", content),
            "styles.xml": odf("document-styles", styles),
            "meta.xml": odf("document-meta", f"<office:meta>{meta}</office:meta>"),
        }
    )
