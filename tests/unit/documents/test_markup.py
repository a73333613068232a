"""reStructuredText, Org, LaTeX, settings and subtitles: the words with their titles and places."""

from __future__ import annotations

import time

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.marks import place_at
from tests.unit.documents.reading import read_bytes


def headings(document: Document, words: str) -> tuple[str, ...]:
    return place_at(document.marks, document.text, document.text.index(words)).headings


def line(document: Document, words: str) -> int | None:
    return place_at(document.marks, document.text, document.text.index(words)).line


RST = """:author: Anna

=====
Bread
=====

Some *rising* **dough** with ``code`` and `a link <http://x.org>`_, see :ref:`ovens <oven-label>`
or :py:class:`~kitchen.Oven`.

.. _target:

Flour
-----

.. note:: Weigh it.

   Twice\\ .

.. code-block:: python
   :linenos:

   def bake(*args):
       return "`raw`"

.. toctree::
   :maxdepth: 2

   other

.. a comment
   over lines

Verbatim::

   * kept *

=====  =====
a      b
=====  =====
1      2
=====  =====

- first
- second [1]_

.. [1] A footnote.
.. image:: x.png
   :alt: A loaf
"""

RST_TEXT = """Bread

Some rising dough with code and a link, see ovens
or Oven.

Flour

Weigh it.

   Twice.

   def bake(*args):
       return "`raw`"

Verbatim:

   * kept *

a      b
1      2

- first
- second [1]_

[1] A footnote.

A loaf"""


class TestRst:
    def test_readable_text_with_titles(self):
        page = read_bytes("a.rst", RST.encode()).document()
        assert page.text == RST_TEXT
        assert (page.title, page.metadata) == ("Bread", {"author": "Anna"})
        assert headings(page, "Weigh") == ("Bread", "Flour")
        assert line(page, "Weigh") == 15

    def test_underlines_and_rules(self):
        source = "A\n-\n\ntext\n\n----\n\nB\n=\n\nnot a title\nbut two lines\n------\n"
        page = read_bytes("a.rst", source.encode()).document()
        assert [mark.value for mark in page.marks if mark.kind == "heading"] == ["A", "B"]
        assert page.text == "A\n\ntext\n\nB\n\nnot a title\nbut two lines"

    def test_nothing_in_it(self):
        assert read_bytes("a.rst", b".. comment\n").items == [Skipped("a.rst", None, "no text in it")]


ORG = """#+TITLE: Bread book
#+AUTHOR: Anna
#+FILETAGS: :kitchen:bread:
# a comment
* TODO [#A] Dough   :work:urgent:
:PROPERTIES:
:ID: 123
:END:
SCHEDULED: <2024-05-01 Wed>
Some /rising/ *dough* with =code=, see [[https://x.org][the site]] and [[file:a.org]].
** Steps
- [ ] weigh
#+begin_src python
def bake(): # *kept*
#+end_src
| a | b |
|---+---|
| 1 | 2 |
#+begin_comment
never
#+end_comment
"""

ORG_TEXT = """Dough

Some rising dough with code, see the site and a.org.

Steps

- [ ] weigh

def bake(): # *kept*

a  b
1  2"""


def test_org():
    page = read_bytes("a.org", ORG.encode()).document()
    assert page.text == ORG_TEXT
    assert (page.title, page.metadata) == ("Bread book", {"author": "Anna", "tags": ["kitchen", "bread"]})
    assert headings(page, "weigh") == ("Dough", "Steps")
    assert line(page, "weigh") == 12


LATEX = r"""\documentclass[12pt]{article}
\usepackage[utf8]{inputenc} % a comment
\newcommand{\bread}[1]{\textbf{#1}}
\title{On Bread\thanks{nobody}}
\author{Anna \and Bob}
\begin{document}
\maketitle
\section{Dough \& flour}\label{sec:dough}
The caf\'e na\"{\i}ve costs 5\,\% more~\cite{x}, ``quoted'' --- see \href{http://x.org}{the site}.%
  Joined.

\begin{itemize}
\item One
\item[Two] with \emph{stress}
\end{itemize}
\subsection*{Heat}
$E = mc^2$ and \verb|a_b{c}| there.
\begin{verbatim}
$ bake \now
\end{verbatim}
\begin{tabular}{ll}
a & b \\ \hline
1 & 2
\end{tabular}
\begin{tikzpicture}\draw (0,0);\end{tikzpicture}
\end{document}
never
"""

LATEX_TEXT = """Dough & flour

The café naïve costs 5 % more\u00a0, “quoted” — see the site.Joined.

- One

- [Two] with stress

Heat

E = mc^2 and a_b{c} there.

$ bake \\now

a b
1 2"""


def test_latex():
    page = read_bytes("a.tex", LATEX.encode()).document()
    assert page.text.replace("\n\n- ", "\n- ") == LATEX_TEXT.replace("\n\n- ", "\n- ")
    assert page.title == "On Bread"
    assert headings(page, "mc^2") == ("Dough & flour", "Heat")


class TestSettings:
    def test_yaml_is_read_as_it_is_written(self):
        source = "# about\nname: oven\nheat:\n  top: 200  # degrees\n  bomb: &a [*a, *a]\ntime: 5\n"
        page = read_bytes("a.yaml", source.encode()).document()
        assert (page.text, page.title) == (source, "oven")
        assert headings(page, "degrees") == ("heat",)
        assert line(page, "degrees") == 4

    def test_toml_and_ini(self):
        source = 'title = "Oven"\n[heat.top]\ndegrees = 200\n'
        page = read_bytes("a.toml", source.encode()).document()
        assert (page.text, page.title, headings(page, "degrees")) == (source, "Oven", ("heat.top",))
        ini = read_bytes("a.ini", b"[heat]\ndegrees=200\n").document()
        assert headings(ini, "degrees") == ("heat",)

    def test_a_bomb_of_aliases_is_its_text(self):
        source = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50))
        assert read_bytes("a.yml", source.encode()).items == [Document("a.yml", source)]


class TestSubtitles:
    def test_srt(self):
        source = (
            "1\n00:00:01,000 --> 00:00:02,500\n<i>Good</i> morning,\n\n"
            "2\n00:00:03,000 --> 00:00:04,000\n{\\an8}dear baker.\n- Yes?\n\n"
            "3\n00:00:05,000 --> 00:00:06,000\n\n"
        )
        assert read_bytes("a.srt", source.encode()).items == [
            Document("a.srt", "Good morning, dear baker. - Yes?")
        ]

    def test_vtt(self):
        source = (
            "WEBVTT - a title\n\nNOTE a comment\n\nSTYLE\n::cue {}\n\n"
            "intro\n00:01.000 --> 00:02.000 align:start\n<v Anna>Rise &amp; shine\n\n"
            "00:03.000 --> 00:04.000\n<c.loud>Bread</c>\n\n00:03.500 --> 00:04.000\nBread\n"
        )
        assert read_bytes("a.vtt", source.encode()).items == [Document("a.vtt", "Anna: Rise & shine Bread")]

    def test_ass(self):
        source = (
            "[Events]\nFormat: x\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}Rise,\\Nbread\n"
        )
        assert read_bytes("a.ass", source.encode()).items == [Document("a.ass", "Rise, bread")]

    def test_long_talk_is_cut_where_sentences_end(self):
        cues = "".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\nSentence {n}.\n\n" for n in range(1, 31))
        page = read_bytes("a.srt", cues.encode()).document()
        assert [len(block.split(". ")) for block in page.text.split("\n\n")] == [12, 12, 6]
        assert line(page, "Sentence 13.") == 51


HOSTILE = {
    "a.rst": ["*" * 100_000, "`" * 100_000, ":a:`" * 50_000, "`a <" * 50_000, "x\n=\n" * 50_000,
              ".. a::\n" * 50_000,
              "\\" * 100_000, ":x: y\n" * 50_000, "|" * 100_000, "x::\n\n  y\n\n" * 30_000],
    "a.org": ["*" * 100_000, "[[" * 100_000, "=a" * 100_000, "* a\n" * 50_000, ":a:\n" * 50_000,
              "| a " * 50_000,
              "#+begin_src\n" * 50_000, "/a /" * 50_000],
    "a.tex": ["{" * 100_000, "\\section{" * 50_000, "\\begin{a}" * 50_000, "$" * 100_000, "\\verb|a" * 50_000,
              "%" * 100_000, "\\newcommand{" * 50_000, "\\begin{verbatim}" * 20_000,
              "\\begin{tikzpicture}" * 20_000,
              "\\'" * 100_000, "\\href{a}{b" * 30_000, "\\title{" * 50_000],
    "a.yaml": ["a:\n" * 100_000, "[" * 100_000, "name: " * 50_000, '"' * 100_000, "? " * 100_000],
    "a.srt": ["00:00:01,000 --> " * 50_000, "1\n00:00:01,000 --> 00:00:02,000\nx\n\n" * 30_000, "<" * 100_000,
              "{\\" * 100_000, "1" * 200_000, "1:" * 100_000],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "source"), [(name, source) for name, all_ in HOSTILE.items() for source in all_]
)
def test_no_text_takes_long(name, source):
    started = time.process_time()
    items = read_bytes(name, source.encode()).items
    assert time.process_time() - started < 3
    assert len(items) == 1
