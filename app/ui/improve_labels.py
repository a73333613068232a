"""The list of what to judge next: a question, a document's text, one press."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.facade.caller import Caller
from app.facade.feedback import record, said_about
from app.facade.labelling import ToJudge
from app.settings import Location
from app.ui import improve_markup
from app.ui.notices import draw_notices, safely, sentences
from app.ui.outside import as_label
from indexing import Collection

__all__ = ["draw_labels"]

_SKIPPED = "pairs left out"
_GRADES = ((0, "No answer"), (1, "Helps"), (2, "Answers"), (3, "Answers best"))


@st.fragment
def draw_labels(caller: Caller, location: Location, collection: Collection, pairs: Sequence[ToJudge]) -> None:
    """One pair at a time, those that this person has not judged; raises nothing."""
    with sentences():
        draw_notices()
        st.html(
            improve_markup.section(
                "Judge what teaches most", "Each answer here decides more than one found by chance."
            )
        )
        left = _left(caller, location, collection, pairs)
        if not left:
            st.html(improve_markup.all_judged(bool(pairs)))
            return
        pair = left[0]
        document = collection.get([pair.document])[pair.document]
        with st.container(border=True, key="to-judge"):
            st.html(improve_markup.pair(pair, document.title, document.text, len(left)))
            with st.container(horizontal=True, key="grades"):
                for grade, label in _GRADES:
                    st.button(
                        as_label(label),
                        key=f"grade-{grade}",
                        on_click=_grade,
                        args=(caller, location, collection, pair, grade),
                        help="Nothing answers better" if grade == _GRADES[-1][0] else None,
                    )
                st.button("Skip", type="tertiary", on_click=_skip, args=(pair,))


def _left(
    caller: Caller, location: Location, collection: Collection, pairs: Sequence[ToJudge]
) -> list[ToJudge]:
    skipped = st.session_state.get(_SKIPPED, set())
    said = {text: said_about(caller, location, collection, text) for text in {one.text for one in pairs}}
    there = collection.get({one.document for one in pairs})
    return [
        one
        for one in pairs
        if one.document in there
        and one.document not in said[one.text]
        and (one.question, one.document) not in skipped
    ]


@safely
def _grade(caller: Caller, location: Location, collection: Collection, pair: ToJudge, grade: int) -> None:
    record(caller, location, collection, pair.text, pair.document, "grade", grade)


@safely
def _skip(pair: ToJudge) -> None:
    st.session_state.setdefault(_SKIPPED, set()).add((pair.question, pair.document))
