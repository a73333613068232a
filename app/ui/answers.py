"""The answers to one question: cards, and under each what a visitor can say of it.

All of it is one fragment: a press draws the answers again and nothing else, without another search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from app.desk import searching
from app.desk.searching import Said
from app.desk.visit import Desk
from app.facade.grouping import Placed
from app.facade.paging import make_cards
from app.facade.search import Facet
from app.facade.showing import heading
from app.feedback.model import Saying
from app.ui import markup, scripts
from app.ui.cards import make_card
from app.ui.notices import draw_notices, safely, sentences
from app.ui.original import show_original
from app.ui.outside import as_label
from app.wording import format_count
from indexing import SearchResults

__all__ = ["SAID", "Answers", "draw_answers", "in_words"]

SAID = {
    "up": "useful",
    "down": "not useful",
    "answer": "this is the one",
    "none": "not an answer",
    "pasted": "this is the one",
    "import": "judged in a file",
}
"""What was said of a document, by the kind of the saying; a grade has words of its own."""

_GRADES = ("no answer", "helps", "answers", "answers best")
_OPENED = "opened"
_TEXTS = "texts"
_NAMED = 4  # of what is folded
_ORIGINAL = "original to open"
_THUMBS = (
    ("up", "Useful", ":material/thumb_up:"),
    ("down", "Not useful", ":material/thumb_down:"),
    ("answer", "This is the one", ":material/star:"),
)


@dataclass(frozen=True)
class Answers:
    """What was found in a collection, page by page, and the desk where it was asked."""

    desk: Desk
    name: str
    pages: Sequence[SearchResults]
    facets: Sequence[Facet]
    by_file: bool = False

    @property
    def query(self) -> str:
        return self.pages[0].query

    def impression_of(self, document: str) -> str:
        """The page that shows it; of no document the last one."""
        showing = (page.id for page in self.pages if any(result.id == document for result in page))
        return next(showing, self.pages[-1].id)

    def say(self, document: str, kind: str) -> None:
        self.desk.ask(
            searching.say,
            self.name,
            self.query,
            document,
            kind,
            impression=self.impression_of(document),
            shown=[] if document else [result.id for page in self.pages for result in page],
        )


def in_words(saying: Saying) -> str:
    return _GRADES[saying.grade] if saying.kind == "grade" else SAID[saying.kind]


@st.fragment
def draw_answers(answers: Answers) -> None:
    """Everything below the summary; raises nothing."""
    with sentences():
        draw_notices()
        st.html(scripts.copy_script(), unsafe_allow_javascript=True)
        said = answers.desk.ask(searching.said, answers.name, answers.query)
        for group in make_cards(answers.pages, by_file=answers.by_file):
            with st.container(key=f"card-{group.first.rank}", gap=None):
                _draw_answer(answers, group.first, said)
                for kind, members in (("like it", group.alike), ("in this file", group.of_file)):
                    if members:
                        _draw_folded(answers, group.first.result.id, kind, members, said)
        if "judge" in answers.desk.caller.rights:
            _draw_none(answers, said.mine)
        _draw_original(answers)


def _draw_folded(answers: Answers, first: str, kind: str, members: Sequence[Placed], said: Said) -> None:
    """The rest of a card: a button that counts it, and below it each of them once it was pressed."""
    unfolded = _opened(answers, kind)
    shown = first in unfolded
    count = f"{len(members)} more {kind}"
    rank = members[0].rank
    with st.container(horizontal=True, key=f"fold-{rank}"):
        icon = ":material/expand_less:" if shown else ":material/stacks:"
        label = f"Hide {count}" if shown else f"and {count}"
        _button(label, icon, f"unfold-{rank}", _toggle, unfolded, first)
        if not shown:
            st.html(markup.names_of(heading(placed.result) for placed in members[:_NAMED]))
    if shown:
        with st.container(key=f"folded-{rank}", gap=None):
            for placed in members:
                with st.container(key=f"one-of-{placed.rank}", gap=None):
                    _draw_answer(answers, placed, said)


def _draw_answer(answers: Answers, placed: Placed, said: Said) -> None:
    rank, result = placed.rank, placed.result
    card = make_card(rank, result, answers.facets, here=not answers.desk.service)
    opened = result.id in _opened(answers, _TEXTS)
    mine = said.mine.get(result.id)
    st.html(markup.card(card))
    with st.container(horizontal=True, vertical_alignment="center", key=f"say-{rank}", gap="small"):
        if card.text:
            _button(
                "Hide text" if opened else "Full text",
                ":material/expand_less:" if opened else ":material/expand_more:",
                f"text-{rank}",
                _open_text,
                answers,
                result.id,
            )
        if result.origin:
            _button("Open", ":material/draft:", f"original-{rank}", _open_original, answers, result.id)
        if "judge" in answers.desk.caller.rights:
            for kind, label, icon in _THUMBS:
                on = mine is not None and mine.kind == kind
                what = "undo" if on else kind
                _button(label, icon, f"{kind}-{rank}", Answers.say, answers, result.id, what, on=on)
        words = "" if mine is None else in_words(mine)
        st.html(markup.said(words, _count_others(said.others.get(result.id, {}))))
    if opened:
        st.html(markup.full_text(card))


def _button(
    label: str, icon: str, key: str, call: Callable[..., None], *args: object, on: bool = False
) -> None:
    st.button(
        as_label(label),
        icon=icon,
        key=key,
        type="primary" if on else "tertiary",
        on_click=safely(call),
        args=args,
        help="Press again to take it back" if on else None,
    )


def _draw_none(answers: Answers, said: dict[str, Saying]) -> None:
    on = "" in said
    with st.container(horizontal=True, vertical_alignment="center", key="none-of-these"):
        what = "undo" if on else "none"
        _button("None of these", ":material/block:", "none", Answers.say, answers, "", what, on=on)
        with st.popover("Bring the right answer", icon=":material/content_paste:", type="tertiary"):
            st.text_area(
                "Its id, or some of its text",
                key="pasted",
                placeholder="Paste a sentence of the document that answers this",
            )
            st.button("Keep as the right answer", on_click=safely(_paste), args=(answers,), type="primary")
        brought = [document for document, saying in said.items() if saying.kind == "pasted"]
        st.html(markup.said_of_all(on, brought))


def _paste(answers: Answers) -> None:
    text = st.session_state["pasted"].strip()
    if text:
        answers.say(text, "pasted")
        st.session_state["pasted"] = ""


def _open_text(answers: Answers, document: str) -> None:
    """Show the text or hide it again; the first opening is an event of the impression."""
    opened = _opened(answers, _TEXTS)
    _toggle(opened, document)
    if document in opened:
        _keep_opening(answers, document)


def _open_original(answers: Answers, document: str) -> None:
    """Its window is drawn after all answers are: a callback has nowhere to draw."""
    st.session_state[_ORIGINAL] = document
    _keep_opening(answers, document)


def _draw_original(answers: Answers) -> None:
    document = st.session_state.pop(_ORIGINAL, None)
    results = (result for page in answers.pages for result in page)
    result = next((result for result in results if result.id == document), None)
    if result is not None:
        show_original(answers.desk, answers.name, result)


def _keep_opening(answers: Answers, document: str) -> None:
    impression = answers.impression_of(document)
    known = (impression, document)
    if known not in st.session_state.setdefault("events kept", set()):
        st.session_state["events kept"].add(known)
        answers.desk.ask(searching.keep_opening, answers.name, impression, document)


def _toggle(opened: list[str], document: str) -> None:
    if document in opened:
        opened.remove(document)
    else:
        opened.append(document)


def _opened(answers: Answers, what: str) -> list[str]:
    """Documents of this answer of which something is open: their text, or what is folded behind them."""
    shown: dict[str, dict[str, list[str]]] = st.session_state.setdefault(_OPENED, {})
    answer = answers.pages[0].id
    if answer not in shown:
        shown.clear()  # of an answer that is gone
    return shown.setdefault(answer, {}).setdefault(what, [])


def _count_others(others: dict[str, int]) -> str:
    return ", ".join(
        f"{format_count(count, 'other')}: {SAID.get(kind, 'graded')}" for kind, count in others.items()
    )
