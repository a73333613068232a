"""Questions, answers, what is said of them, and the files they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.desk.visit import Visit
from app.facade import answering, feedback, originals
from app.facade.answering import Pages
from app.facade.caller import require
from app.facade.documents import check_length
from app.facade.originals import Download, Kind, Lines
from app.facade.search import MOST_VALUES, Facet, SearchRequest, facet_choices, offered_reranker, search
from app.feedback.model import Saying
from app.pictures import PagePicture
from indexing import Result, SearchResults
from indexing.documents.marks import Place
from indexing.listing import Listing, list_collections
from indexing.search.results import Snippet
from indexing.serving.history import Serving

__all__ = [
    "OriginalFile",
    "Outline",
    "Said",
    "answer",
    "collections",
    "compare",
    "count_documents",
    "facets",
    "find_original",
    "keep_opening",
    "original_file",
    "original_lines",
    "original_page",
    "outline",
    "said",
    "say",
]


@dataclass(frozen=True)
class Outline:
    """What a page of a collection is drawn from. `reranker` is the one that is offered, None for none."""

    name: str
    uuid: str
    modes: tuple[str, ...]
    servings: tuple[Serving, ...]
    reranker: str | None


@dataclass(frozen=True)
class Said:
    """What was said of documents as answers to one question: by this person, and by others, how often of
    each kind.
    """

    mine: dict[str, Saying]
    others: dict[str, dict[str, int]]


@dataclass(frozen=True)
class OriginalFile:
    """The file that a document is from: `path` on the machine that holds it, `kind` of showing, `size` in
    bytes.
    """

    name: str
    path: str
    kind: Kind
    size: int


def collections(visit: Visit) -> Listing:
    """Those that the caller may use, and those of them that cannot be read."""
    require(visit.caller, "search")
    found = list_collections(**visit.location.arguments())
    return Listing(
        [name for name in found.names if visit.caller.may_use(name)],
        {
            name: reason if visit.here else "it cannot be read now; the service's log says why"
            for name, reason in found.damaged.items()
            if visit.caller.may_use(name)
        },
    )


def outline(visit: Visit, name: str) -> Outline:
    collection = visit.collection(name)
    return Outline(
        name,
        collection.uuid,
        tuple(collection.modes),
        tuple(collection.servings()),
        offered_reranker(collection),
    )


def count_documents(visit: Visit, name: str) -> int:
    return visit.collection(name).count()


def facets(visit: Visit, name: str) -> list[Facet]:
    """The fields worth choosing from."""
    return facet_choices(visit.collection(name).facets(max_values=MOST_VALUES))


def answer(
    visit: Visit,
    name: str,
    request: SearchRequest,
    facets: Sequence[Facet] = (),
    before: Sequence[SearchResults] = (),
) -> Pages:
    """See `app.facade.answering.answer`; of pages `before` passages are enough (`only_passages`)."""
    collection = visit.collection(name)
    found = answering.answer(visit.caller, visit.location, collection, request, facets, before)
    _check_length(visit, *found.pages)
    return found


def compare(
    visit: Visit, name: str, request: SearchRequest, facets: Sequence[Facet], serving: int
) -> SearchResults:
    """What another serving answers; it is not kept."""
    collection = visit.collection(name)
    reranker = offered_reranker(collection)
    found = search(collection, request, facets, reranker, serving=serving, caller=visit.caller)
    _check_length(visit, found)
    return found


def _check_length(visit: Visit, *pages: SearchResults) -> None:
    """Of what travels; a page of this machine holds the texts already.

    Raises:
        BadInput: several documents are longer together than an answer may be.
    """
    if not visit.here and sum(map(len, pages)) > 1:
        check_length(sum(len(result.text) for page in pages for result in page))


def said(visit: Visit, name: str, query: str) -> Said:
    asked = (visit.caller, visit.location, visit.collection(name), query)
    return Said(feedback.said_about(*asked), feedback.others_said(*asked))


def say(
    visit: Visit,
    name: str,
    query: str,
    document: str,
    kind: str,
    grade: int | None = None,
    impression: str = "",
    shown: Sequence[str] = (),
) -> Saying:
    """See `app.facade.feedback.record`."""
    collection = visit.collection(name, "judge")
    return feedback.record(
        visit.caller, visit.location, collection, query, document, kind, grade, impression, shown
    )


def keep_opening(visit: Visit, name: str, impression: str, document: str) -> None:
    """That somebody opened a document of an answer."""
    collection = visit.collection(name)
    feedback.record_click(visit.caller, visit.location, collection, impression, document, "open")


def find_original(visit: Visit, name: str, document: str) -> OriginalFile:
    """Raises NotServed as all that follow: the file may not be shown."""
    found = _original(visit, name, document)
    return OriginalFile(found.name, found.path, found.kind, found.size)


def original_page(visit: Visit, name: str, document: str, page: int, passage: str) -> PagePicture:
    """A page of a PDF, from 1, with the passage marked."""
    return originals.draw_original_page(_original(visit, name, document), page, passage)


def original_lines(visit: Visit, name: str, document: str, line: int | None, snippet: str) -> Lines:
    """The lines of a text around those that answer: `snippet` begins at `line`."""
    place = Place(line=line)
    asked = Result(document, 0.0, "", "", Snippet(snippet), {}, {}, place=place)
    return originals.read_original_lines(_original(visit, name, document), asked)


def original_file(visit: Visit, name: str, document: str) -> Download:
    """The file as it is."""
    return originals.read_original(_original(visit, name, document))


def _original(visit: Visit, name: str, document: str) -> originals.Original:
    """Found anew each time: which file is shown is told by the collection, never by who asks."""
    return originals.find_original(visit.caller, visit.location, visit.collection(name), document)
