"""The search page: ask, filter, read, say what was right. `app.facade.search` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.facade.paging import join_pages, make_cards
from app.facade.search import RESULT_COUNTS, Facet, SearchRequest, offered_reranker, search
from app.settings import DEMO_COLLECTION, EXAMPLE_QUESTIONS, Location
from app.text import plain
from app.ui import address, markup, scripts, service
from app.ui.answers import Answers, draw_answers
from app.ui.choice import chosen_collection
from app.ui.compare import draw_comparison, draw_comparison_choice
from app.ui.outside import as_label
from app.ui.visitor import visitor
from indexing import Collection, SearchResults
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
    location = Location.from_environment()
    name = chosen_collection()
    if name is None:
        if service.collections(location).names:
            address.store(address.current())
    else:
        draw(location, name)
    for other, reason in service.collections(location).damaged.items():
        st.html(markup.failure(f"Collection {other!r} is left out: {reason}"))


def draw(location: Location, name: str) -> None:
    collection = service.open_collection(location, name)
    draw_question(name)
    controls, place = st.container(), st.empty()
    request = address.current()
    if request.q:
        st.set_page_config(page_title=f"{plain(request.q)[:_TAB_CHARACTERS]} · stlib")
        if kept_answer(collection, request) is None:
            place.html(markup.searching())  # at once: the old answers are none to this
    facets = service.facets(location, name)
    with controls:
        draw_controls(collection, facets)
    request = address.current()
    address.store(request)
    if request.q:
        draw_results(place, location, collection, request, facets)
    else:
        with place.container():
            draw_welcome(name, collection)


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


def draw_controls(collection: Collection, facets: Sequence[Facet]) -> None:
    active = len(address.current().picks) + bool(st.session_state["filter"].strip())
    modes = collection.modes
    if st.session_state["mode"] not in modes:  # of an address, or of the collection before
        st.session_state["mode"] = DEFAULT_MODE
    with st.container(horizontal=True, vertical_alignment="center", key="controls"):
        st.segmented_control(
            "Mode", modes, format_func=str.capitalize, key="mode", label_visibility="collapsed"
        )
        with st.popover(f"Filters ({active})" if active else "Filters", icon=":material/tune:"):
            draw_filters(facets)
        if offered_reranker(collection):
            st.toggle("Rerank", key="rerank", help="Read the best answers and put them in a better order")
        st.toggle("Group by file", key="group", help="Show documents of one file as one answer")
        draw_comparison_choice(collection)
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
    location: Location,
    collection: Collection,
    request: SearchRequest,
    facets: Sequence[Facet],
) -> None:
    found = answer(place, location, collection, request, facets)
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
        draw_comparison(visitor(), collection, request, facets, results)
        draw_answers(Answers(visitor(), location, collection, found.pages, facets, by_file=request.group))
        more = _more_than(found.k)
        if more and len(results) == found.k:
            st.button(
                "Show more", on_click=show, kwargs={"request": replace(request, k=more)}, width="stretch"
            )


def answer(
    place: DeltaGenerator,
    location: Location,
    collection: Collection,
    request: SearchRequest,
    facets: Sequence[Facet],
) -> _Kept | None:
    """What `request` finds, by pages; None where it cannot be understood, which `place` says then.

    What is on the page stays while nothing else is asked for: another press is no other search, and more of
    the same is one more page, or several until there is something that is not folded behind what was there.
    """
    kept = kept_answer(collection, request)
    if kept is not None and kept.k == request.k:
        return kept
    st.session_state.pop(ANSWER, None)
    reranker, who = offered_reranker(collection), visitor()
    pages = () if kept is None else kept.pages
    try:
        while True:
            page = search(collection, request, facets, reranker, caller=who, location=location, after=pages)
            pages, before = (*pages, page), pages
            more = _more_than(request.k)
            if not before or more is None or len(join_pages(pages)) < request.k:
                break
            if len(make_cards(pages, by_file=request.group)) > len(make_cards(before, by_file=request.group)):
                break
            request = replace(request, k=more)
    except FilterError as error:
        place.html(markup.filter_failure(request.filter, error))
        return None
    st.session_state["k"] = request.k
    address.store(request)
    found = st.session_state[ANSWER] = _Kept(_asked(collection, request), request.k, pages)
    return found


def _more_than(count: int) -> int | None:
    return next((more for more in RESULT_COUNTS if more > count), None)


def kept_answer(collection: Collection, request: SearchRequest) -> _Kept | None:
    """What is on the page already of the answer to `request`; None where it is the answer to another one."""
    kept = st.session_state.get(ANSWER)
    if kept is None or kept.asked != _asked(collection, request) or kept.k > request.k:
        return None
    return kept


def _asked(collection: Collection, request: SearchRequest) -> tuple[object, ...]:
    return collection.uuid, replace(request, k=0), visitor()


def draw_welcome(name: str, collection: Collection) -> None:
    st.html(markup.welcome(service.size(collection), examples=name == DEMO_COLLECTION))
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
