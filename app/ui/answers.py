"""The answers to one question: cards, and under each what a visitor can say of it.

All of it is one fragment: a press draws the answers again and nothing else, without another search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from app.facade.caller import Caller
from app.facade.feedback import others_said, record, record_click, said_about
from app.facade.search import Facet
from app.feedback.model import Saying
from app.settings import Location
from app.ui import markup
from app.ui.cards import make_card
from app.ui.notices import draw_notices, safely, sentences
from app.ui.outside import as_label
from app.wording import format_count
from indexing import Collection, Result, SearchResults

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
_OPENED = "opened texts"
_THUMBS = (
    ("up", "Useful", ":material/thumb_up:"),
    ("down", "Not useful", ":material/thumb_down:"),
    ("answer", "This is the one", ":material/star:"),
)


@dataclass(frozen=True)
class Answers:
    """What was found, for whom."""

    caller: Caller
    location: Location
    collection: Collection
    results: SearchResults
    facets: Sequence[Facet]

    def say(self, document: str, kind: str) -> None:
        record(
            self.caller,
            self.location,
            self.collection,
            self.results.query,
            document,
            kind,
            impression=self.results.id,
            shown=[] if document else [result.id for result in self.results],
        )


def in_words(saying: Saying) -> str:
    return _GRADES[saying.grade] if saying.kind == "grade" else SAID[saying.kind]


@st.fragment
def draw_answers(answers: Answers) -> None:
    """Everything below the summary; raises nothing."""
    with sentences():
        draw_notices()
        asked = (answers.caller, answers.location, answers.collection, answers.results.query)
        said, others = said_about(*asked), others_said(*asked)
        for rank, result in enumerate(answers.results, start=1):
            _draw_answer(answers, rank, result, said.get(result.id), others.get(result.id, {}))
        if "judge" in answers.caller.rights:
            _draw_none(answers, said)


def _draw_answer(
    answers: Answers, rank: int, result: Result, said: Saying | None, others: dict[str, int]
) -> None:
    card = make_card(rank, result, answers.facets)
    opened = result.id in _opened(answers)
    with st.container(key=f"card-{rank}", gap=None):
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
            if "judge" in answers.caller.rights:
                for kind, label, icon in _THUMBS:
                    on = said is not None and said.kind == kind
                    what = "undo" if on else kind
                    _button(label, icon, f"{kind}-{rank}", Answers.say, answers, result.id, what, on=on)
            st.html(markup.said("" if said is None else in_words(said), _count_others(others)))
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
    opened = _opened(answers)
    if document in opened:
        opened.remove(document)
        return
    opened.append(document)
    known = (answers.results.id, document)
    if known not in st.session_state.setdefault("events kept", set()):
        st.session_state["events kept"].add(known)
        record_click(
            answers.caller, answers.location, answers.collection, answers.results.id, document, "open"
        )


def _opened(answers: Answers) -> list[str]:
    """Documents of this answer whose text is shown."""
    shown: dict[str, list[str]] = st.session_state.setdefault(_OPENED, {})
    if answers.results.id not in shown:
        shown.clear()  # texts of an answer that is gone
    return shown.setdefault(answers.results.id, [])


def _count_others(others: dict[str, int]) -> str:
    return ", ".join(
        f"{format_count(count, 'other')}: {SAID.get(kind, 'graded')}" for kind, count in others.items()
    )
