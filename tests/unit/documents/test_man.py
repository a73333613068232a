"""Manual pages in both macro languages: what a reader of the page sees, and nothing else."""

from __future__ import annotations

import gzip
import time

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.marks import place_at
from tests.unit.documents.reading import read_bytes

MAN = r""".\" Automatically generated
.de Sp
.if t .sp .5v
..
.ie n \{\
.    ds -- \(*W-
.    ds L" ""
'br\}
.el\{\
.    ds -- \|\(em\|
.\}
.if \nF \{\
.  de IX
..
.\}
.TH BAKE 1 "May 2024" "1.0" "User Commands"
.SH NAME
bake \- bread from \fIflour\fR and water
.SH SYNOPSIS
.B bake
[\fB\-t\fR \fItime\fP] \&.\|.\|.
.SH "THE OPTIONS"
.TP
.BR \-t ", " \-\-time =\fIminutes\fR
How long; see
.BR oven (8).
.IP \(bu 2
A point,
on two lines.
.PP
A caf\('e costs \(Eu\ 5. \[u00FC]ber \*(L"quoted\*(R"
.nf
  verbatim   \-x
	tab
.fi
.SS Part
.if n Shown here.
.if t Never shown.
.TS
l l.
name	size
loaf	T{
two
pounds
T}
.TE
.UR https://example.org
the site
.UE .
"""

MAN_TEXT = """NAME

bake - bread from flour and water

SYNOPSIS

bake [-t time] ...

THE OPTIONS

-t, --time=minutes
How long; see oven(8).

•
A point, on two lines.

A café costs € 5. über "quoted"

  verbatim   -x
	tab

Part

Shown here.

name  size
loaf  two pounds

https://example.org the site"""

MDOC = r""".Dd May 1, 2024
.Dt BAKE 1
.Os
.Sh NAME
.Nm bake
.Nd make bread
.Sh SYNOPSIS
.Nm
.Op Fl v
.Op Fl t Ar minutes
.Ar file ...
.Sh DESCRIPTION
The
.Nm
utility reads
.Pa /etc/oven ,
see
.Xr oven 8 .
.Bl -tag -width Ds
.It Fl t Ar minutes
How
.Dq long .
.El
.Bd -literal
$ bake   -v
.Ed
"""

MDOC_TEXT = """NAME

bake – make bread

SYNOPSIS

bake [-v] [-t minutes] file ...

DESCRIPTION

The bake utility reads /etc/oven, see oven(8).

-t minutes
How “long”.

$ bake   -v"""


def test_a_page_in_the_macros_of_man():
    page = read_bytes("bake.1", MAN.encode()).document()
    assert page.text == MAN_TEXT
    assert (page.title, page.metadata) == ("bake(1): bread from flour and water", {"section": "1"})
    place = place_at(page.marks, page.text, page.text.index("Shown"))
    assert place.headings == ("THE OPTIONS", "Part")
    assert place_at(page.marks, page.text, page.text.index("How long")).line == 25


def test_a_page_in_the_macros_of_mdoc():
    page = read_bytes("bake.1.gz", gzip.compress(MDOC.encode())).document()
    assert page.text == MDOC_TEXT
    assert (page.title, page.metadata) == ("bake(1): make bread", {"section": "1"})


def test_another_name_of_a_page_is_said():
    assert read_bytes("x.3", b".so man3/printf.3\n").items == [
        Skipped("x.3", None, "is another name of man3/printf.3, which has the text")
    ]


def test_a_log_with_a_number_is_text():
    assert read_bytes("app.log.1", b"started\n.TH is no macro here, but\n").items != []
    assert read_bytes("app.1", b"10:00 started\n").items == [Document("app.1", "10:00 started\n")]


def test_macros_that_a_page_defines():
    source = '.TH X 1\n.de Ex\nExample: \\\\$1 of \\$2.\n..\n.SH NAME\nx \\- y\n.PP\n.Ex one "two words"\n'
    assert read_bytes("x.1", source.encode()).document().text == "NAME\n\nx - y\n\nExample: one of two words."


@pytest.mark.parametrize(
    "source",
    [
        ".TH X 1\n.de A\n.A\n.A\n..\n.A\nend",  # calls itself
        ".TH X 1\n.ds a \\*a\\*a\n.SH N\n\\*a\nend",  # says itself
        ".TH X 1\n" + ".ds b \\*(aa\\*(aa\n" * 100 + ".ds aa " + "x" * 900 + "\n" + "\\*b" * 20_000 + "\nend",
        ".TH X 1\n" + ".if n \\{\\\n" * 20_000 + "end",
        ".TH X 1\n" + ".if n " * 20_000 + "end",
        ".TH X 1\n" + "\\f" * 200_000 + "\nend",
        ".TH X 1\n.B " + '"' * 200_000 + "\nend",
        ".TH X 1\n" + "line \\\n" * 100_000 + "end",
        ".TH X 1\n.TS\n" + "T{\n" * 50_000 + "\n.TE\nend",
        ".Dd x\n.Dt X 1\n.Sh N\n.Op " + "Op Fl " * 50_000 + "\nend",
    ],
    ids=["call", "string", "strings", "blocks", "ifs", "fonts", "quotes", "joined", "cells", "nested"],
)
def test_pages_that_would_not_end(source):
    started = time.process_time()
    items = read_bytes("x.1", source.encode()).items
    assert time.process_time() - started < 3
    assert len(items) == 1


@pytest.mark.parametrize(
    "piece", [".TP\n.B a\nword \\fIword\\fR\n", ".if n word\n", "word\n.br\n", ".B word\n"]
)
def test_twice_the_page_takes_twice_the_time(piece):
    def seconds(count: int) -> float:
        data = (".TH X 1\n.SH N\n" + piece * count).encode()
        started = time.process_time()
        read_bytes("x.1", data)
        return time.process_time() - started

    seconds(1000)
    assert seconds(20_000) < 4 * max(seconds(10_000), 0.02)
