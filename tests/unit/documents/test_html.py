"""What a reader of a page sees, in pages as people have them: unclosed, hidden, framed, self-closed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.documents.formats.html import HtmlPage, html_text, read_page
from indexing.documents.marks import Mark, place_at

BLOCKS = "p div li h2 blockquote section dt pre summary figcaption option".split()


def text_of(page: str) -> str:
    return html_text(page)[1]


class TestHidden:
    @pytest.mark.parametrize(
        "void", ["input", "img", "br", "keygen", "wbr", "source", "track", "bgsound", "hr"]
    )
    @pytest.mark.parametrize("attribute", ["hidden", "aria-hidden=true", "style='display:none'"])
    def test_what_has_no_content_hides_no_neighbour(self, void, attribute):
        assert text_of(f"<h1>Club</h1><{void} {attribute}><p>archive</p>after") == "Club\n\narchive\n\nafter"

    @pytest.mark.parametrize(
        ("page", "text"),
        [
            ("<p hidden>secret<p>seen<li hidden>x<li>too", "seen\n\ntoo"),
            ("<p hidden=''>no</p><p hidden=UNTIL-FOUND>yes</p>", "yes"),
            ("<p style='DISPLAY : none'>no</p><p style='visibility:hidden'>no</p><p>yes", "yes"),
            ("<b aria-hidden=true>*</b>yes", "yes"),
            # Behind a dialog that was open when the page was saved.
            ("<div aria-hidden=true><p>yes</p></div>", "yes"),
            ("<body aria-hidden=true><h1>Club</h1><p>yes", "Club\n\nyes"),
            ("<body hidden><p>yes", "yes"),
            ("<html style='display:none'><body style='display: none'><p>yes", "yes"),
            ("<dialog><p>no</p></dialog><dialog open><p>yes</p></dialog>", "yes"),
            ("<template><p>no</p></template><p>yes", "yes"),
            ("<!--[if IE]><p>no</p><![endif]--><p>yes</p><![if !IE]><p>too</p><![endif]>", "yes\n\ntoo"),
            ("<select><option>no</select><datalist><option>no</datalist>yes", "yes"),
        ],
    )
    def test_what_is_shown_and_what_not(self, page, text):
        assert text_of(page) == text


class TestUnclosed:
    @pytest.mark.parametrize(
        "name", ["nav", "footer", "dialog", "button", "object", "canvas", "audio", "video"]
    )
    def test_an_element_that_is_never_closed_loses_nothing(self, name):
        page = f"<h1>Club</h1><{name}><a href=/>Home</a><p>archive</p><p>second</p>"
        assert text_of(page) == "Club\n\nHome\n\narchive\n\nsecond"

    @pytest.mark.parametrize("name", ["title", "iframe", "textarea", "noframes", "xmp", "noembed"])
    def test_one_that_swallows_text_is_closed(self, name):
        assert "archive" in text_of(f"<h1>Club</h1><{name}><p>archive</p>")

    def test_a_style_ends_at_the_body_and_a_script_hides_its_code(self):
        assert text_of("<head><style>p{}<body><p>archive") == "archive"
        assert text_of("<p>archive<script>let cut = 1;") == "archive"

    def test_navigation_around_the_page(self):
        assert text_of("<nav><a>Home</a><main><p>archive</p></main></nav>") == "Home\n\narchive"
        assert text_of("<div role=navigation>no</div><nav>no</nav><p>archive") == "archive"
        assert text_of("<nav>all of it</nav>") == "all of it"

    def test_self_closed_elements_of_xhtml(self):
        head = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>'
        assert text_of(head + '<script src="a.js"/></head><body><p>archive</p></body></html>') == "archive"
        body = "<body><div hidden='hidden'/><textarea/><p>a<br/>b</p><p><![CDATA[1 < 2]]></p></body></html>"
        assert text_of(head + "</head>" + body) == "a\nb\n\n1 < 2"
        assert html_text("<title>T</title><style/><p>archive<iframe src=x />after") == ("T", "archiveafter")


class TestFurniture:
    @pytest.mark.parametrize("holder", ["h2", "summary", "dt", "legend"])
    def test_a_button_that_is_a_question_is_kept(self, holder):
        page = f"<details><{holder}><button>What is it?</button></{holder}></details><button>Menu</button>"
        assert text_of(page) == "What is it?"

    def test_long_buttons_are_kept_and_nothing_is_glued_to_one(self):
        assert text_of("a <button>Copy</button>b") == "a b"
        assert text_of("one<button>How do I bake bread at home?</button>two") == (
            "one How do I bake bread at home? two"
        )

    def test_footers_of_parts_menus_and_scripts(self):
        assert (
            text_of("<article>x<footer>Anna Muster</footer></article><footer>(c)</footer>")
            == "x\n\nAnna Muster"
        )
        assert text_of("<menu><li>Soup of the day</menu><p>x") == "Soup of the day\n\nx"
        assert text_of("<noscript><p>archive</p></noscript><div id=app></div>") == "archive"
        assert text_of("<p>a page of its own<noscript>Enable scripts</noscript>") == "a page of its own"
        assert (
            text_of("<frameset cols=2><frame src=a><noframes><p>archive</noframes></frameset>") == "archive"
        )


class TestText:
    @pytest.mark.parametrize(
        ("page", "text"),
        [
            ("a &lt;b&gt; &amp; &copy; &#x1F600; 5 < 6 &nbsp;km", "a <b> & © 😀 5 < 6 km"),
            ("marma\x00lade", "marmalade"),
            ("Ge&shy;samt&shy;kon&shy;zept inter&#8203;national", "Gesamtkonzept international"),
            ("กรุง\u200bเทพ", "กรุง\u200bเทพ"),
            ("<ruby>漢<rp>(</rp><rt>かん</rt>字<rt>じ</rt></ruby>を", "漢字(かんじ)を"),
            (
                "<svg><title>icon</title><defs><text>no</text></defs><text>label</text><text>two</text></svg>",
                "label\ntwo",
            ),
            ("<math><mi>x</mi><mo>=</mo><mn>2</mn><annotation>x=2</annotation></math>", "x=2"),
            ("<textarea>a\n  b</textarea>", "a\n  b"),
            ("<pre>\na\n\n  b\n</pre>c", "a\n\n  b\n\nc"),
            ("x<sub>2</sub> H<b>ea</b>d", "x2 Head"),
            ("one<img src=x>two<input>three", "one two three"),
            ("<my-card>one</my-card><my-card>two</my-card>", "one two"),
            ("<span style='display:block'>one</span><span style='display: block'>two</span>", "one\ntwo"),
            ("<table><tr><td>1<td>2<tr><td>3</table>", "1 2\n3"),
            ("<details><summary>Q</summary>A</details>", "Q\nA"),
            ("<form><fieldset><legend>L</legend><label>N<input></label></fieldset></form>", "L\nN"),
        ],
    )
    def test_as_it_reads(self, page, text):
        assert text_of(page) == text

    def test_titles(self):
        assert html_text("<svg><title>icon</title></svg><title>Real</title>x")[0] == "Real"
        assert html_text("<h1>So&shy;lid <b>state</b></h1>x")[0] == "Solid state"
        assert html_text("<title> \n</title><h1>Club</h1>")[0] == "Club"

    def test_headings_are_marked_where_they_begin(self):
        page = (
            "<title>T</title>in\u00adtro<h1>One <i>two</i></h1><p>a<h3>Three<br>four</h3>b<pre>  c</pre><h2>"
        )
        title, text, marks = read_page(page)
        assert (title, text) == ("T", "intro\n\nOne two\n\na\n\nThree\nfour\n\nb\n\n  c")
        assert marks == (Mark(7, "heading", "One two", 1), Mark(19, "heading", "Three four", 3))
        assert [text[mark.start :].split("\n")[0] for mark in marks] == ["One two", "Three"]
        assert place_at(marks, text, text.index("c")).headings == ("One two", "Three four")

    def test_a_heading_that_holds_code_begins_with_its_first_word(self):
        text, marks = read_page("x<h2><pre>\n\n  code</pre></h2><h3> <p>y</h3>")[1:]
        assert [(mark.value, text[mark.start]) for mark in marks] == [("code", "c"), ("y", "y")]

    def test_nothing(self):
        assert read_page(" \n") == read_page("<p> </p>") == HtmlPage("", "", ())

    @given(
        st.lists(st.tuples(st.sampled_from(BLOCKS), st.sampled_from(["", "span", "b", "div"]), st.booleans()))
    )
    def test_texts_of_blocks_are_never_glued(self, blocks):
        words = [f"w{number}w" for number in range(len(blocks))]
        page = ""
        for word, (block, inner, closed) in zip(words, blocks, strict=True):
            content = f"<{inner}>{word}</{inner}>" if inner else word
            page += f"<{block}>{content}" + (f"</{block}>" if closed else "")
        assert text_of(page).split() == words

    @given(st.text(st.sampled_from("<>/ab \"'=!-&;pdiv\n\x00"), max_size=80))
    def test_no_page_breaks_the_reader(self, page):
        title, text, marks = read_page(page)
        assert "\x00" not in title + text
        assert all(text[mark.start :].startswith(str(mark.value).split()[0]) for mark in marks)


class TestDepth:
    def test_unclosed_fonts_do_not_multiply(self):
        page = "".join(f"<p><font color={number}>w{number}" for number in range(20_000))
        started = time.thread_time()
        assert text_of(page).split() == [f"w{number}" for number in range(20_000)]
        assert time.thread_time() - started < 5

    def test_nested_lists_and_tables_keep_their_lines(self):
        page = "<table><tr><td>" * 6000 + "deep" + "</table>" * 6000 + "after"
        assert text_of(page) == "deep\n\nafter"
