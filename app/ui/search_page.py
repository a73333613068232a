"""The search page: ask, filter, read, say what was right. `app.facade.search` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.desk import searching
from app.desk.searching import Outline
from app.desk.visit import Desk
from app.facade.answering import more_than, only_passages
from app.facade.paging import join_pages
from app.facade.search import Facet, SearchRequest
from app.settings import DEMO_COLLECTION, EXAMPLE_QUESTIONS
from app.text import plain
from app.ui import address, markup, scripts, service
from app.ui.answers import Answers, draw_answers
from app.ui.choice import chosen_collection
from app.ui.compare import draw_comparison, draw_comparison_choice
from app.ui.entrance import desk_of_visitor
from app.ui.outside import as_label
from indexing import SearchResults
from indexing.errors import FilterError
from indexing.names import DEFAULT_MODE

QUESTION_LABEL = "Question"
ANSWER = "answer"
"""Where the answer that is on the page is kept."""

_TAB_CHARACTERS = 80  # of a question; a tab shows some twenty


@dataclass(frozen=True)
class _Kept:
    """What was asked and by whom, how many results of it, and what was found, by pages."""

    asked: tuple[object, ...]
    k: int
    pages: tuple[SearchResults, ...]


def page() -> None:
    """The page; `address.load` was called before."""
    desk = desk_of_visitor()
    name = chosen_collection(desk)
    if name is None:
        if service.collections(desk).names:
            address.store(address.current())
    else:
        draw(desk, name)
    for other, reason in service.collections(desk).damaged.items():
        st.html(markup.failure(f"Collection {other!r} is left out: {reason}"))


def draw(desk: Desk, name: str) -> None:
    outline = desk.ask(searching.outline, name)
    draw_question(name)
    controls, place = st.container(), st.empty()
    request = address.current()
    if request.q:
        st.set_page_config(page_title=f"{plain(request.q)[:_TAB_CHARACTERS]} · stlib")
        if kept_answer(desk, outline, request) is None:
            place.html(markup.searching())  # at once: the old answers are none to this
    facets = service.facets(desk, name, outline.uuid)
    with controls:
        draw_controls(outline, facets)
    request = address.current()
    address.store(request)
    if request.q:
        draw_results(place, desk, outline, request, facets)
    else:
        with place.container():
            draw_welcome(desk, name)


def draw_question(name: str) -> None:
    st.text_input(
        QUESTION_LABEL,
        key="q",
        placeholder=f"Ask {plain(name)} in your own words",
        icon=":material/search:",
        label_visibility="collapsed",
        autocomplete="off",
    )
    st.html(scripts.watch_question(QUESTION_LABEL), unsafe_allow_javascript=True)


def draw_controls(outline: Outline, facets: Sequence[Facet]) -> None:
    active = len(address.current().picks) + bool(st.session_state["filter"].strip())
    modes = outline.modes
    if st.session_state["mode"] not in modes:  # of an address, or of the collection before
        st.session_state["mode"] = DEFAULT_MODE
    with st.container(horizontal=True, vertical_alignment="center", key="controls"):
        st.segmented_control(
            "Mode", modes, format_func=str.capitalize, key="mode", label_visibility="collapsed"
        )
        with st.popover(f"Filters ({active})" if active else "Filters", icon=":material/tune:"):
            draw_filters(facets)
        if outline.reranker:
            st.toggle("Rerank", key="rerank", help="Read the best answers and put them in a better order")
        st.toggle("Group by file", key="group", help="Show documents of one file as one answer")
        draw_comparison_choice(outline)
        if active:
            st.button("Clear", icon=":material/close:", type="tertiary", on_click=address.forget_filters)


def draw_filters(facets: Sequence[Facet]) -> None:
    for facet in facets:
        key = address.PICK_PREFIX + facet.name
        counts = facet.count_of()
        picked = st.session_state.get(key, [])
        st.multiselect(
            as_label(facet_title(facet.name)),
            [*counts, *(value for value in picked if value not in counts)],
            format_func=partial(with_count, counts=counts),
            key=key,
            placeholder="any",
        )
    with st.expander("Filter expression", expanded=bool(st.session_state["filter"])):
        st.text_input(
            "Filter expression",
            key="filter",
            placeholder=plain(markup.filter_example(facets)),
            label_visibility="collapsed",
            autocomplete="off",
        )
        st.caption(
            "Compare with =, !=, <, <=, >, >=, in (…), between, like 'part%', has, is null; combine with and,"
            " or, not and parentheses."
        )


def facet_title(name: str) -> str:
    """A field's name as a title; one that is no word stays as it is written."""
    words = name.replace("_", " ")
    return words.capitalize() if words.replace(" ", "").isalnum() else name


def with_count(value: str, counts: Mapping[str, int]) -> str:
    shown = plain(value)
    if shown != value and shown in counts:  # another value is written as this one is shown
        shown = f"“{shown}”"
    return f"{shown} ({counts.get(value, 0):,})"


def draw_results(
    place: DeltaGenerator,
    desk: Desk,
    outline: Outline,
    request: SearchRequest,
    facets: Sequence[Facet],
) -> None:
    found = answer(place, desk, outline, request, facets)
    if found is None:
        return
    results = join_pages(found.pages)
    with place.container(key="answers"):
        if not results.results:
            hints = markup.hints(results.notes)
            st.html(markup.asked(results, request.q) + hints + markup.nothing_found(request))
            return
        st.html(markup.asked(results, request.q) + markup.summary(results, request))
        if results.weak:
            st.html(markup.weak(results.weak))
        draw_comparison(desk, outline.name, request, facets, results)
        draw_answers(Answers(desk, outline.name, found.pages, facets, by_file=request.group))
        more = more_than(found.k)
        if more and len(results) == found.k:
            st.button(
                "Show more", on_click=show, kwargs={"request": replace(request, k=more)}, width="stretch"
            )


def answer(
    place: DeltaGenerator,
    desk: Desk,
    outline: Outline,
    request: SearchRequest,
    facets: Sequence[Facet],
) -> _Kept | None:
    """What `request` finds, by pages; None where it cannot be understood, which `place` says then.

    What is on the page stays while nothing else is asked for: another press is no other search, and more of
    the same is one more page, or several until there is something that is not folded behind what was there.
    """
    kept = kept_answer(desk, outline, request)
    if kept is not None and kept.k == request.k:
        return kept
    st.session_state.pop(ANSWER, None)
    before = () if kept is None else kept.pages
    try:
        new = desk.ask(searching.answer, outline.name, request, facets, only_passages(before))
    except FilterError as error:
        place.html(markup.filter_failure(request.filter, error))
        return None
    st.session_state["k"] = new.k
    address.store(replace(request, k=new.k))
    found = _Kept(_asked(desk, outline, request), new.k, (*before, *new.pages))
    st.session_state[ANSWER] = found
    return found


def kept_answer(desk: Desk, outline: Outline, request: SearchRequest) -> _Kept | None:
    """What is on the page already of the answer to `request`; None where it is the answer to another one."""
    kept = st.session_state.get(ANSWER)
    if kept is None or kept.asked != _asked(desk, outline, request) or kept.k > request.k:
        return None
    return kept


def _asked(desk: Desk, outline: Outline, request: SearchRequest) -> tuple[object, ...]:
    return outline.uuid, replace(request, k=0), desk.caller


def draw_welcome(desk: Desk, name: str) -> None:
    st.html(markup.welcome(desk.ask(searching.count_documents, name), examples=name == DEMO_COLLECTION))
    if name == DEMO_COLLECTION:
        with st.container(key="examples", gap="small"):
            for question in EXAMPLE_QUESTIONS:
                st.button(
                    as_label(question),
                    icon=":material/arrow_outward:",
                    on_click=show,
                    kwargs={"request": replace(address.current(), q=question)},
                )
    st.html(scripts.focus_script(QUESTION_LABEL), unsafe_allow_javascript=True)


def show(request: SearchRequest) -> None:
    """Callback: make the page show `request`."""
    st.session_state["q"] = request.q
    st.session_state["k"] = request.k
