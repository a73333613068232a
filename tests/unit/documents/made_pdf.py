"""PDF files written by hand: lines at given places in any script, an outline, pictures."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

A4 = (595, 842)


@dataclass
class Line:
    x: float
    y: float
    text: str
    size: float = 10


@dataclass
class Pdf:
    """`pages` hold lines, or a picture (width, height, grey bytes) that covers the page;
    `annotations` are the inner parts of dictionaries, by page."""

    pages: list[list[Line] | tuple[int, int, bytes]] = field(default_factory=list)
    outline: list[tuple[str, int]] = field(default_factory=list)
    information: dict[str, str] = field(default_factory=dict)
    annotations: dict[int, list[str]] = field(default_factory=dict)

    def build(self) -> bytes:
        objects: dict[int, bytes] = {}
        number = 10
        kids = []
        for place, page in enumerate(self.pages):
            content, picture = self._content(page)
            resources = b"/Font << /F 3 0 R /U 4 0 R >>"
            if picture is not None:
                objects[number + 2] = picture
                resources += b" /XObject << /I %d 0 R >>" % (number + 2)
            written = b" ".join(
                b"<< /Type /Annot /Rect [9 9 99 99] %s >>" % entry.encode("latin-1")
                for entry in self.annotations.get(place, ())
            )
            objects[number] = (
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << %s >> /Contents %d 0 R"
                b" /Annots [%s] >>" % (*A4, resources, number + 1, written)
            )
            objects[number + 1] = _stream(b"", content)
            kids.append(number)
            number += 3
        objects[2] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (
            len(kids),
            b" ".join(b"%d 0 R" % kid for kid in kids),
        )
        objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
        objects.update(_unicode_font())
        catalog = b"<< /Type /Catalog /Pages 2 0 R"
        if self.outline:
            catalog += b" /Outlines 8 0 R"
            objects.update(self._outline(kids, number))
        objects[1] = catalog + b" >>"
        objects[9] = b"<< %s >>" % b" ".join(
            b"/%s %s" % (name.encode(), _text(value)) for name, value in self.information.items()
        )
        return _file(objects)

    def _content(self, page: list[Line] | tuple[int, int, bytes]) -> tuple[bytes, bytes | None]:
        if isinstance(page, tuple):
            width, height, pixels = page
            head = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8"
            head += b" /Width %d /Height %d"
            return b"q %d 0 0 %d 0 0 cm /I Do Q" % A4, _stream(head % (width, height), pixels)
        return b"\n".join(_show(line) for line in page), None

    def _outline(self, kids: list[int], first: int) -> dict[int, bytes]:
        objects = {}
        last = first + len(self.outline) - 1
        for position, (title, page) in enumerate(self.outline):
            links = b"" if position == 0 else b" /Prev %d 0 R" % (first + position - 1)
            links += b"" if first + position == last else b" /Next %d 0 R" % (first + position + 1)
            objects[first + position] = b"<< /Title %s /Parent 8 0 R /Dest [%d 0 R /Fit]%s >>" % (
                _text(title),
                kids[page],
                links,
            )
        objects[8] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
            first,
            last,
            len(self.outline),
        )
        return objects


def flowing(text: str, *, x: float = 50, y: float = 780, size: float = 10, step: float = 12) -> list[Line]:
    """The lines of `text`, one below the other; an empty one leaves room."""
    return [Line(x, y - row * step, line, size) for row, line in enumerate(text.split("\n")) if line]


def _show(line: Line) -> bytes:
    try:
        shown, font = line.text.encode("cp1252"), b"F"
        shown = b"(%s)" % shown.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    except UnicodeEncodeError:
        shown, font = b"<%s>" % line.text.encode("utf-16-be").hex().encode(), b"U"
    return b"BT /%s %g Tf %g %g Td %s Tj ET" % (font, line.size, line.x, line.y, shown)


def _unicode_font() -> dict[int, bytes]:
    """A font whose codes are UTF-16 and whose map says so; it has no glyphs, which reading does not need."""
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def /CMapType 2 def "
        b"1 begincodespacerange <0000> <FFFF> endcodespacerange "
        b"1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end end"
    )
    return {
        4: b"<< /Type /Font /Subtype /Type0 /BaseFont /U /Encoding /Identity-H /DescendantFonts [5 0 R]"
        b" /ToUnicode 6 0 R >>",
        5: b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /U /DW 1000 /FontDescriptor 7 0 R"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        6: _stream(b"", cmap),
        7: b"<< /Type /FontDescriptor /FontName /U /Flags 4 /FontBBox [0 -200 1000 800] /Ascent 800"
        b" /Descent -200 /CapHeight 700 /ItalicAngle 0 /StemV 80 >>",
    }


def _text(text: str) -> bytes:
    return b"<%s>" % (b"\xfe\xff" + text.encode("utf-16-be")).hex().encode()


def _stream(head: bytes, data: bytes) -> bytes:
    data = zlib.compress(data)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (head, len(data), data)


def _file(objects: dict[int, bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    size = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    out += b"trailer << /Size %d /Root 1 0 R /Info 9 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, table)
    return bytes(out)
