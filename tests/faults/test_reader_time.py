"""Readers take time in proportion to a file, whatever it repeats: twice the file, about twice the time.

`make faults` tries everything with every text format, `make test` a part.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from indexing.documents.formats import read_file
from indexing.documents.formats.registry import format_of
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from tests.faults.reader_seeds import SEEDS, make_ods
from tests.unit.documents.made_office import make_docx, make_odt, make_pptx, make_zip, paragraph, shape, table
from tests.unit.documents.made_pdf import Line, Pdf
from tests.unit.test_linear_time import PIECES, is_linear, seconds

pytestmark = pytest.mark.faults

# What opens or separates something in one of the formats, besides what any text may hold.
OPENERS = [
    *[
        "{",
        "(",
        '"',
        "'",
        '{"a":',
        "[1,",
        "<a>",
        "</a>",
        "&a;",
        "$",
        "%\n",
        "=",
        "-",
        "+---+\n",
        "| a |\n",
        "a,",
    ],
    *["* ", "** a\n", "#+BEGIN_SRC\n", ".. note::\n", ":a", "   ", ".TP\n", ".SH A\n", "\\fB", "\\begin{a}"],
    *["\\section{", "{\\a ", "a: ", "- a: ", "? ", "&a ", "1\n00:00:01,000 --> 00:00:02,000\n", "From a\n\n"],
    *["=?utf-8?q?a?=", "a\t", "\\u", "\\x", "a.", "!", "~", "\\\n", "\\(", "@", ";", "//", "/*", "{}"],
]
UNITS = [*PIECES, *OPENERS]
CONTAINERS = ("docx", "odt", "epub", "pdf", "pptx", "sheets", "msg", "parquet", "archive")
# Grammars of programming languages are tree-sitter's: a parse has its own limit (see formats/code.py).
TEXTS = [
    name
    for name in SEEDS
    if format_of(name) not in (*CONTAINERS, "code", None) and not name.endswith((".gz", ".bz2", ".xz"))
]


def reading(name: str) -> Callable[[str | bytes], None]:
    """Reads a text, or bytes, as the file called `name`."""

    def read(content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        file = SourceFile(f"/docs/{name}", name, name, format_of(name) or "text", size=len(data), data=data)
        file.options = ReadOptions(archives=True)
        for _ in read_file(file):
            pass

    return read


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_format_reads_in_linear_time(name, pytestconfig):
    step = 1 if pytestconfig.getoption("mutants") > 100 else 8
    units = [*UNITS[TEXTS.index(name) % step :: step], SEEDS[name].decode()]
    assert [unit[:30] for unit in units if not is_linear(reading(name), unit)] == []


GROWING: dict[str, Callable[[int], bytes]] = {
    "a.docx": lambda n: make_docx((paragraph("Yeast makes gas.") + table([paragraph("a")])) * n),
    "a.odt": lambda n: make_odt('<text:h text:outline-level="1">A</text:h><text:p>Yeast.</text:p>' * n),
    "a.pptx": lambda n: make_pptx([shape("Rising", "Yeast makes gas.")] * n),
    "a.ods": lambda n: make_ods(n),
    "a.pdf": lambda n: Pdf([[Line(50, 800, "Rising", 20), Line(50, 760, "Yeast makes gas.")]] * n).build(),
    "a.zip": lambda n: make_zip({f"{number}.md": "# Bread\n\nYeast makes gas.\n" for number in range(n)}),
    "a.mbox": lambda n: SEEDS["a.mbox"] * n,
    "a.py": lambda n: b"".join(b"# One\ndef f%d(a):\n    return a\n\n" % number for number in range(n)),
    "a.java": lambda n: b"class A {\n%s}\n" % (b"  /** One. */\n  int f(int a) { return a; }\n" * n),
    "a.js": lambda n: b"const a = {\n%s};\n" % (b"  f(a) { return a; },\n" * n),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_file_of_many_parts_reads_in_linear_time(name):
    """From the number of parts that takes a few milliseconds on."""
    read = reading(name)
    count = 16
    while (once := seconds(read, GROWING[name](count))) < 0.01:
        count *= 2
    for tries in (1, 2, 3):
        once, eight_times = (
            min(seconds(read, GROWING[name](many)) for _ in range(tries)) for many in (count, 8 * count)
        )
        if eight_times < 36 * once:
            return
        count *= 2
    pytest.fail(f"{count // 2} parts take {once:.3f} s, eight times as many {eight_times:.3f} s")
