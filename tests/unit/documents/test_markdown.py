"""Markdown as people write it: inline HTML, comments, front matter of every sort, places of blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.documents.formats.markdown import markdown_text, read, read_markdown
from indexing.documents.marks import Mark, place_at
from indexing.documents.model import Document, Skipped
from indexing.documents.source import SourceFile


def read_file(content: str | bytes) -> tuple[Document, list[str]]:
    data = content.encode() if isinstance(content, str) else content
    file = SourceFile("a.md", "a.md", "a.md", "markdown", data=data)
    (document,) = read(file)
    assert not isinstance(document, Skipped), document
    return document, file.notes


class TestHtmlInside:
    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("first<br>second<br />third<BR/>fourth", "first\nsecond\nthird\nfourth"),
            ("| a | b |\n|---|---|\n| Anna<br>Berta | Zurich<br/>Geneva |", "a b\nAnna Berta Zurich Geneva"),
            ("one<hr>two", "one\ntwo"),
            ("a <div>one</div><div>two</div> b", "a\none\ntwo\nb"),
            ("a <p>one</p><p>two</p><li>x</li><li>y</li>", "a\none\ntwo\nx\ny"),
            ("one<img src=x>two<td>three</td><x-y>four</x-y>", "one two three four"),
            ("<kbd>Ctrl</kbd>+<kbd>C</kbd> x<sub>2</sub> wo<wbr>rd", "Ctrl+C x2 word"),
            ("see <script>alert('no')</script> here", "see here"),
            ("see <style>p { no }</style><STYLE>no</STYLE> here", "see here"),
            ("see <script>never closed", "see never closed"),
            ("see <template><b>no</b></template>this", "see this"),
            ("Bees <!-- a <b>note</b> --> find", "Bees find"),
            ("<!-- block\n\nsecret -->\n\nflowers", "flowers"),
            ("<script>\n\nno\n\n</script>\n\nyes", "yes"),
            ("<details>\n<summary>Q</summary>\n\nA *b*\n\n</details>", "Q\n\nA b"),
            ("<p align=center>\n one<br>two</p>\n\nthree", "one\ntwo\n\nthree"),
            ("Ge&shy;samt a&nbsp;b &copy; \\<b\\>", "Gesamt a b © <b>"),
            ("line  \nbreak\\\nagain", "line\nbreak\nagain"),
        ],
    )
    def test_as_it_reads(self, source, text):
        assert markdown_text(source)[1] == text

    def test_a_heading_in_html_is_the_title(self):
        heading, text, marks = read_markdown('intro\n\n<h1 align="center">My project</h1>\n\nText\n')
        assert (heading, text) == ("My project", "intro\n\nMy project\n\nText")
        assert Mark(7, "heading", "My project", 1) in marks

    @given(st.lists(st.sampled_from("p div li h2 br tr td section".split()), min_size=1))
    def test_words_beside_blocks_are_never_glued(self, names):
        words = [f"w{number}w" for number in range(len(names) + 1)]
        source = words[0]
        for name, word in zip(names, words[1:], strict=True):
            source += f"<{name}>{word}" + ("" if name == "br" else f"</{name}>")
        assert markdown_text(source)[1].split() == words


class TestFrontMatter:
    @pytest.mark.parametrize(
        "front",
        [
            "---\ntitle: Bees\n---\n",
            "---\ntitle: Bees\n...\n",
            "--- \t\ntitle: Bees\n---  \n",
            "---\r\ntitle: Bees\r\n---\r\n",
            "---\rtitle: Bees\r---\r",
            "\ufeff---\ntitle: Bees\n---\n",
            "+++\ntitle = 'Bees'\n+++\n",
            "+++ \ntitle = '''\nBees'''\n+++ \n",
            "---\ntitle: Bees\nlong: " + 9 * "y" + "\n---\n",
        ],
    )
    def test_every_end_of_it(self, front):
        document, notes = read_file(front + "flowers\n")
        assert (document.title, document.text, notes) == ("Bees", "flowers", [])
        assert (
            place_at(document.marks, document.text, 0).line
            == front.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        )

    def test_at_the_end_of_the_file(self):
        assert read_file("---\ntitle: Bees\n---")[0] == Document("a.md", "Bees")
        assert read_file("---\ntitle: Bees\n...")[0] == Document("a.md", "Bees")
        assert read_file("+++\ntitle = 'Bees'\n+++")[0] == Document("a.md", "Bees")
        assert read_file("---\n---\nText")[0] == Document("a.md", "Text")

    def test_long_front_matter(self):
        document, _ = read_file(f'---\ntitle: L\nx: "{"y" * 70_000}"\n---\nflowers\n')
        assert (document.title, document.text, len(document.metadata["x"])) == ("L", "flowers", 70_000)

    def test_values_of_all_kinds(self):
        front = (
            "title: Mixed\ntags: [2024, python, yes]\ndates: [2024-01-02]\nnested: {a: 1}\naliases:\n  - x\n"
            "at: 2024-01-02T03:04:05Z\nnone:\n7: seven\n"
        )
        assert read_file(f"---\n{front}---\nText")[0].metadata == {
            "tags": [2024, "python", True],
            "dates": ["2024-01-02"],
            "nested": {"a": 1},
            "aliases": ["x"],
            "at": "2024-01-02T03:04:05Z",
            "7": "seven",
        }
        toml = "day = 2024-01-02\nat = 2024-01-02T03:04:05Z\ntags = ['a']\n[extra]\nn = 1.5\n"
        assert read_file(f"+++\n{toml}+++\nText")[0].metadata == {
            "day": "2024-01-02",
            "at": "2024-01-02T03:04:05Z",
            "tags": ["a"],
            "extra": {"n": 1.5},
        }

    def test_nothing_of_a_template_is_the_title(self):
        document, notes = read_file("---\ntitle: {{title}}\n---\nBees find\n")
        assert (document.title, document.text) == ("", "title: {{title}}\n\nBees find")
        assert notes == ["the front matter is not valid YAML: it was read as text"]
        assert read_file("---\ntitle: '{{ title }}'\n---\n# Bees\n")[0].title == "Bees"

    def test_what_is_not_valid_stays_in_the_text_and_gives_its_title(self):
        document, notes = read_file("---\ntitle: Bees: a story\nn: [1\n---\n# Head\n")
        assert (document.title, document.text) == ("Bees: a story", "title: Bees: a story\nn: [1\n\nHead")
        assert notes == ["the front matter is not valid YAML: it was read as text"]
        assert [place_at(document.marks, document.text, at).line for at in (0, 25, 32)] == [2, 3, 5]
        assert read_file("+++\ntitle = [\n+++\nText")[1] == [
            "the front matter is not valid TOML: it was read as text"
        ]

    @pytest.mark.parametrize(
        "source", ["---\nprose, [not\n---\nText", "---\n- a\n- b\n---\nText", "---\nText", "+++\nText"]
    )
    def test_rules_are_no_front_matter(self, source):
        document, notes = read_file(source)
        assert notes == []
        assert document.text.endswith("Text")
        assert document.metadata == {}

    def test_fields_that_multiply_are_not_read(self):
        front = "a: &a [x, x]\n" + "".join(
            f"{b}: &{b} [*{a}, *{a}]\n"
            for a, b in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu", strict=True)
        )
        document, notes = read_file(f"---\n{front}---\nText")
        assert document.metadata == {}
        assert notes == ["the front matter is not valid YAML: it was read as text"]
        assert read_file("---\na: &x 1\nb: *x\n---\nText")[0].metadata == {"a": 1, "b": 1}


class TestPlaces:
    SOURCE = (
        "Intro\nwrapped.\n\n# One\n\n- a\n- b\n  more\n\n## Two\n\n```py\ncode\n  here\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n<p>html\ntext</p>\n\n    indented\n\n> quoted\n\n"
        "One\n===\nend [x](y)\n"
    )

    def test_each_block_knows_its_line_and_headings(self):
        heading, text, marks = read_markdown(self.SOURCE)
        lines = self.SOURCE.split("\n")
        assert heading == "One"
        for word, line in (("Intro", 1), ("- a", 6), ("- b", 7), ("code", 13), ("  here", 14), ("1 2", 19)):
            assert place_at(marks, text, text.index(word)).line == line
            assert lines[line - 1].split()[-1] == word.split()[-1] or word == "1 2"
        for word, line in (("html", 21), ("indented", 24), ("quoted", 26), ("end", 30)):
            assert place_at(marks, text, text.index(word)).line == line
            assert word in lines[line - 1]
        assert place_at(marks, text, text.index("code")).headings == ("One", "Two")
        assert place_at(marks, text, text.index("end")).headings == ("One",)
        assert place_at(marks, text, 0).headings == ()

    def test_marks_are_few_where_the_text_is_as_written(self):
        source = "".join(f"Paragraph {number}.\n\n" for number in range(500))
        assert read_markdown(source).marks == (Mark(0, "line", 1),)

    def test_what_nests_too_deep_is_given_as_written(self):
        source = "\n\n" + "> " * 500 + "deep"
        assert read_markdown(source) == ("", source.strip(), (Mark(0, "line", 3),))

    @given(st.text(st.sampled_from("ab \n#-*>`|[]()<br/>&;\t:_12."), max_size=120))
    def test_marks_lie_where_their_words_are(self, source):
        _, text, marks = read_markdown(source)
        for mark in marks:
            assert 0 <= mark.start <= len(text)
            if mark.kind == "heading":
                assert text[mark.start :].startswith(str(mark.value).split()[0])
            else:
                assert 1 <= mark.value <= source.count("\n") + 1


def test_a_block_without_text_at_the_end_has_no_mark():
    document, _ = read_file("a\n\n```\n```\n")
    assert (document.text, document.marks) == ("a", (Mark(0, "line", 1),))
