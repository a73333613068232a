"""Small valid files, one or more for each format that is read, by the name that chooses the reader."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

import pyarrow as arrow
import pyarrow.parquet as parquet

from tests.unit.documents.made_office import (
    make_docx,
    make_odt,
    make_pptx,
    make_zip,
    paragraph,
    shape,
    table,
    word,
)
from tests.unit.documents.made_pdf import Line, Pdf
from tests.unit.documents.test_mail import LETTER, outlook
from tests.unit.test_documents_code import CASES, PYTHON

__all__ = ["SEEDS", "make_ods"]

TEXT = """Bread rises because yeast makes gas. It takes time, warmth and some patience!

1. Mix flour (500 g), water and salt.
2. Wait.  "Überall" e.g. at 20 °C — 日本語のテキスト。
"""
MARKDOWN = """---
title: Bread
tags: [food, "bread"]
date: 2024-05-01
---
# Rising *dough*

Yeast makes [gas](https://example.org "title") & <b>bubbles</b><br>always.

> quoted `code`

| a | b |
|---|---|
| 1 | **2** |

- one
  1. two

```python
print("x")
```

<div hidden>not here</div> ![picture](a.png)
"""
HTML = """<!DOCTYPE html><html lang="de"><head><meta charset="utf-8"><title>Brot &amp; Hefe</title>
<style>p { color: red }</style><script>var a = "<p>";</script></head>
<body><nav><a href="/">Start</a></nav><main><h1>Brot <small>backen</small></h1><p>Hefe macht Gas.<br>Immer.
<ul><li>eins<li>zwei</ul><table><tr><th>a<td>b</table><pre>x
  y</pre><img src="a.png" alt="Bild" hidden><div style="display:none">weg</div></main>
<!-- Ende --><footer>Fuß</footer></body></html>
"""
CSV = """id,title,text,price,when
1,Bread,"Yeast makes ""gas"", always",1.50,2024-05-01
2,Glass,"Sand
melts",2,2024-05-02T10:00:00Z
3,,Whales breathe air.,,
"""
JSON_LINES = """{"_id": "1", "title": "Bread", "text": "Yeast makes gas.", "metadata": {"tags": ["a"]}}
{"_id": "2", "question": "Why does glass melt?", "answer": "Sand \\u00e9 melts.", "x": {"y": {"z": null}}}
{"id": 3, "content": "Whales breathe air.", "price": 1.5e3, "when": "2024-05-01"}
"""
LETTER_HEAD = """From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: Bob <bob@example.org>
Subject: =?utf-8?b?UmVjaG51bmc=?= for May
Date: Wed, 1 May 2024 10:00:00 +0200
Message-ID: <a@b>
MIME-Version: 1.0
"""
MAIL = f"""{LETTER_HEAD}Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

The bill is =E2=82=AC 50.
--c
Content-Type: text/html

<p>The <b>bill</b>.</p>
--c--
--b
Content-Type: text/csv
Content-Disposition: attachment; filename="a.csv"
Content-Transfer-Encoding: base64

aWQsdGV4dAoxLGhlbGxvCg==
--b--
"""
NOTEBOOK = """{"cells": [
 {"cell_type": "markdown", "metadata": {}, "source": ["# Yeast\\n", "It makes gas."]},
 {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": "print(1)",
  "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\\n"]},
   {"output_type": "execute_result", "data": {"text/plain": "2", "text/html": "<b>2</b>"}, "metadata": {}}]}],
 "metadata": {"kernelspec": {"name": "python3", "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}
"""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<recipes xmlns="urn:a" xmlns:b="urn:b"><title>Bread</title><recipe id="1" b:lang="en">
<name>White &amp; soft</name><step>Mix <i>flour</i> and water.</step><!-- wait --><step>Bake.</step></recipe>
<recipe id="2"><name>Rye</name><![CDATA[Sour <dough>]]></recipe></recipes>
"""
YAML = """# Settings of the oven
oven: &oven
  name: "Big one"
  heat: 220
  steps: [warm, bake]
text: |
  Bread rises
  because of yeast.
other:
  <<: *oven
  when: 2024-05-01
---
second: yes
"""
TOML = """# Settings
title = "Bread"
[oven]
heat = 220
when = 2024-05-01T10:00:00Z
steps = ["warm", "bake"]
[[people]]
name = \"\"\"
Anna\"\"\"
"""
INI = "; Settings\n[oven]\nheat = 220\nname: Big one\n"
ORG = """#+TITLE: Bread
#+DATE: <2024-05-01 Wed>
* TODO Rising dough :food:
:PROPERTIES:
:ID: 1
:END:
Yeast makes [[https://example.org][gas]]. /Always/.
** Table
| a | b |
|---+---|
| 1 | 2 |
#+BEGIN_SRC python
print(1)
#+END_SRC
- [X] one
"""
RST = """=====
Bread
=====

:Author: Anna

Rising
------

Yeast makes *gas*, see `here <https://example.org>`_ and :ref:`oven`.

.. note:: Wait.
   Long.

.. code-block:: python

   print(1)

+---+---+
| a | b |
+---+---+

.. _oven:
"""
TEX = r"""\documentclass{article}\usepackage[utf8]{inputenc}
\title{Bread \& more}\author{Anna}\begin{document}\maketitle
% a remark
\begin{abstract}Why bread rises.\end{abstract}
\section{Rising}\label{a} Yeast makes \emph{gas} $x^2 + \frac{1}{2}$, see~\ref{a} and \cite{b}.
\begin{itemize}\item one \item[x] two\end{itemize}
\begin{verbatim}
 a \b
\end{verbatim}
\begin{tabular}{ll} a & b \\ 1 & 2 \end{tabular} M\"uller \newcommand{\x}[1]{#1} \x{y}
\end{document}
"""
MAN = r""".\" A page
.TH BREAD 1 "2024-05-01" "1.0" "Bakery"
.SH NAME
bread \- rises with yeast
.SH SYNOPSIS
.B bread
.RI [ options ] " file" ...
.SH DESCRIPTION
Yeast makes
.I gas
\fBalways\fP \(bu \(em x.
.TP
.B \-h
Help.
.IP \(bu 2
one
.nf
 code
.fi
"""
MDOC = """.Dd May 1, 2024
.Dt BREAD 1
.Os
.Sh NAME
.Nm bread
.Nd rises with yeast
.Sh SYNOPSIS
.Nm
.Op Fl h
.Ar file ...
.Sh DESCRIPTION
Yeast makes
.Em gas .
.Bl -tag -width x
.It Fl h
Help.
.El
"""
SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Yeast makes gas.</i>

2
00:00:03,000 --> 00:00:04,000 X1:1
- Always?
- Yes.
"""
VTT = """WEBVTT - Bread

NOTE remark

intro
00:01.000 --> 00:02.500 align:start
<v Anna>Yeast makes gas.</v>

00:00:03.000 --> 00:00:04.000
&amp; always
"""
RTF = r"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fcharset204 Arial;}}
{\colortbl;\red255\green0\blue0;}{\info{\title Bread}{\author Anna}}
{\*\generator x;}\pard\b Rising\b0\par Yeast makes \'e4 gas \u8364?\emdash{\field{\*\fldinst HYPERLINK "a"}
{\fldrslt link}}\line{\f1\'cf\'f0}\par\trowd\cellx100 a\cell b\cell\row
{\pict\pngblip 89504e47}\bin3 abc\par}
"""
CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
SUMMARY:Baking
DTSTART:20240501T100000Z
DESCRIPTION:Bring flour\\, and
  water.
END:VEVENT
END:VCALENDAR
"""


def _parquet() -> bytes:
    rows = arrow.table(
        {
            "id": [1, 2],
            "text": ["Yeast makes gas.", "Sand melts."],
            "tags": [["a", "b"], None],
            "inner": [{"x": 1.5}, None],
        }
    )
    stream = io.BytesIO()
    parquet.write_table(rows, stream)
    return stream.getvalue()


def _tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as container:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            container.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _xlsx() -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    cells = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is>'
        '<t>when</t></is></c></row><row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2"><v>1.5</v></c>'
        '<c r="C2" s="1"><v>45413</v></c></row><row r="3"><c r="A3" t="str"><f>A2</f><v>Rye</v></c>'
        '<c r="B3" t="b"><v>1</v></c><c r="C3" t="e"><v>#N/A</v></c></row>'
    )
    return make_zip(
        {
            "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
            f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.'
            f'main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
            f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/'
            'officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Prices" '
            'sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" Type='
            f'"{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{office}/'
            f'sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="{office}/styles" '
            'Target="styles.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><dimension ref="A1:C3"/><sheetData>'
            f'{cells}</sheetData><mergeCells><mergeCell ref="A3:B3"/></mergeCells></worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{main}" count="3" uniqueCount="3"><si><t>name</t></si>'
            "<si><t>price</t></si><si><r><t>White </t></r><r><t>bread</t></r></si></sst>",
            "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/>'
            '<xf numFmtId="14"/></cellXfs></styleSheet>',
        }
    )


def make_ods(times: int = 1) -> bytes:
    def cell(text: str, kind: str = "string", value: str = "") -> str:
        return (
            f'<table:table-cell office:value-type="{kind}" {value}><text:p>{text}</text:p></table:table-cell>'
        )

    rows = [
        cell("name") + cell("price"),
        cell("White bread") + cell("1.5", "float", 'office:value="1.5"'),
        '<table:table-cell table:number-columns-repeated="2"/>',
        cell("Rye") + cell("1 May", "date", 'office:date-value="2024-05-01"'),
    ]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows[:1] + rows[1:] * times)
    return make_odt(f'<table:table table:name="Prices">{body}</table:table>', kind="spreadsheet")


def _epub() -> bytes:
    opf = "http://www.idpf.org/2007/opf"
    return make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
            "OEBPS/content.opf": f'<package xmlns="{opf}" version="3.0"><metadata xmlns:dc='
            '"http://purl.org/dc/elements/1.1/"><dc:title>Bread</dc:title><dc:creator>Anna'
            "</dc:creator><dc:language>"
            "en</dc:language></metadata><manifest>"
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="b" href="b%20b.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="n" href="nav.xhtml" '
            'media-type="application/xhtml+xml" properties="nav"/></manifest><spine><itemref idref="a"/>'
            '<itemref idref="b"/></spine></package>',
            "OEBPS/a.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>One</title></head>'
            "<body>"
            "<h1>Rising</h1><p>Yeast makes gas.</p></body></html>",
            "OEBPS/b b.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><h2 id="x">Baking</h2>'
            "<p>At 220 "
            "degrees.</p></body></html>",
            "OEBPS/nav.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol><li>'
            '<a href="a.xhtml">'
            'Rising</a></li><li><a href="b%20b.xhtml#x">Baking</a></li></ol></nav></body></html>',
        }
    )


def _docx() -> bytes:
    body = paragraph("Rising", '<w:pStyle w:val="Heading1"/>') + paragraph("Yeast makes gas.")
    body += table([paragraph("a"), paragraph("b")], [paragraph("1"), table([paragraph("2")])])
    body += paragraph('<w:r><w:t>See</w:t><w:footnoteReference w:id="2"/></w:r>')
    styles = '<w:style w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>'
    notes = f'<w:footnote w:id="2">{paragraph("A note.")}</w:footnote>'
    return make_docx(body, core=("Bread", "Anna"), styles=styles, footnotes=word("x", "") and notes)


PDF = Pdf(
    [
        [Line(50, 800, "Rising", 20), Line(50, 760, "Yeast makes gas."), Line(50, 745, "Öfen – 日本")],
        [Line(50, 800, "Two")],
    ],
    [("Rising", 0)],
    {"Title": "Bread", "Author": "Anna"},
).build()
ODT = make_odt(
    '<text:h text:outline-level="1">Rising</text:h><text:p>Yeast makes <text:span>gas</text:span>.</text:p>'
    "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
)

_TEXTS = {
    **{
        "a.txt": TEXT,
        "README": TEXT,
        "LICENSE": TEXT,
        "Makefile": "all: # build\n\tcc a.c\n",
        "a.md": MARKDOWN,
    },
    **{
        "a.html": HTML,
        "a.csv": CSV,
        "b.csv": CSV.replace(",", ";"),
        "a.tsv": "id\ttext\n1\tYeast\n2\tSand\n",
    },
    **{"a.jsonl": JSON_LINES, "a.json": JSON_LINES.splitlines()[0], "b.json": '[{"a": 1, "text": "Yeast"}]'},
    **{
        "a.eml": MAIL,
        "a.mbox": f"From a@b Wed May  1 10:00:00 2024\n{MAIL}\n\nFrom b@c Wed May  1\n{MAIL}\n",
    },
    **{
        "a.ipynb": NOTEBOOK,
        "a.xml": XML,
        "a.yaml": YAML,
        "a.toml": TOML,
        "a.ini": INI,
        "a.org": ORG,
        "a.rst": RST,
    },
    **{"a.tex": TEX, "a.1": MAN, "b.1": MDOC, "a.srt": SRT, "a.vtt": VTT, "a.rtf": RTF, "a.ics": CALENDAR},
    **{name: source for name, (source, _) in CASES.items()},
    **{"a.py": PYTHON, "a.vim": "function! Open()\nendfunction\n"},
}
_DATA = {
    **{
        "a.parquet": _parquet(),
        "a.pdf": PDF,
        "a.docx": _docx(),
        "a.odt": ODT,
        "a.xlsx": _xlsx(),
        "a.ods": make_ods(),
    },
    "a.pptx": make_pptx(
        [shape("Rising", kind="title") + shape("Yeast", "makes gas")], core=("Bread", "Anna")
    ),
    "a.epub": _epub(),
    "a.msg": outlook(LETTER),
    **{"b.txt.gz": gzip.compress(TEXT.encode(), mtime=0), "c.txt.bz2": bz2.compress(TEXT.encode())},
    "d.csv.xz": lzma.compress(CSV.encode()),
    "a.zip": make_zip({"a.md": MARKDOWN, "b/c.csv": CSV, "d.docx": _docx()}),
    "a.tar": _tar({"a.md": MARKDOWN.encode(), "b/c.csv": CSV.encode()}),
    "b.tar.gz": _tar({"a.md": MARKDOWN.encode(), "b/c.csv": CSV.encode()}, "w:gz"),
}
SEEDS: dict[str, bytes] = {**{name: text.encode() for name, text in _TEXTS.items()}, **_DATA}
