"""The list of what to judge next: a question, a document's text, one press."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.desk import improving, searching
from app.desk.visit import Desk
from app.facade.labelling import ToJudge
from app.ui import improve_markup
from app.ui.notices import draw_notices, safely, sentences
from app.ui.outside import as_label

__all__ = ["draw_labels"]

_SKIPPED = "pairs left out"
_GRADES = ((0, "No answer"), (1, "Helps"), (2, "Answers"), (3, "Answers best"))


@st.fragment
def draw_labels(desk: Desk, name: str, pairs: Sequence[ToJudge]) -> None:
    """One pair at a time, those that this person has not judged; raises nothing."""
    with sentences():
        draw_notices()
        st.html(
            improve_markup.section(
                "Judge what teaches most", "Each answer here decides more than one found by chance."
            )
        )
        left = _left(desk, name, pairs)
        if not left:
            st.html(improve_markup.all_judged(bool(pairs)))
            return
        pair = left[0]
        document = desk.ask(improving.documents, name, [pair.document])[pair.document]
        with st.container(border=True, key="to-judge"):
            st.html(improve_markup.pair(pair, document.title, document.text, len(left)))
            with st.container(horizontal=True, key="grades"):
                for grade, label in _GRADES:
                    st.button(
                        as_label(label),
                        key=f"grade-{grade}",
                        on_click=_grade,
                        args=(desk, name, pair, grade),
                        help="Nothing answers better" if grade == _GRADES[-1][0] else None,
                    )
                st.button("Skip", type="tertiary", on_click=_skip, args=(pair,))


def _left(desk: Desk, name: str, pairs: Sequence[ToJudge]) -> list[ToJudge]:
    skipped = st.session_state.get(_SKIPPED, set())
    said = {text: desk.ask(searching.said, name, text).mine for text in {one.text for one in pairs}}
    there = desk.ask(improving.documents, name, sorted({one.document for one in pairs}))
    return [
        one
        for one in pairs
        if one.document in there
        and one.document not in said[one.text]
        and (one.question, one.document) not in skipped
    ]


@safely
def _grade(desk: Desk, name: str, pair: ToJudge, grade: int) -> None:
    desk.ask(searching.say, name, pair.text, pair.document, "grade", grade)


@safely
def _skip(pair: ToJudge) -> None:
    st.session_state.setdefault(_SKIPPED, set()).add((pair.question, pair.document))
