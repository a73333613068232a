"""A search as a page or a link describes it: the request, the choices of its filters, the answer.

A `SearchRequest` is one state of the search page; the address bar holds it, so a copied address shows the
same page. How it is drawn is told in `app.ui`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.facade.caller import Caller, require
from app.facade.feedback import draw_seed, log_search
from app.facade.grouping import folded_ids
from app.facade.paging import make_cards, without_shown
from app.settings import Location, reranker_from_environment
from indexing.errors import BadInput
from indexing.names import DEFAULT_MODE, DEFAULT_RESULTS, MODES, SERVING_RERANKER
from indexing.search.filter_spelling import spell_field, spell_value
from indexing.search.filters import parse_filter

if TYPE_CHECKING:
    from indexing import Collection, SearchResults
    from indexing.facets import FacetCounts

__all__ = [
    "MOST_FACETS",
    "MOST_VALUES",
    "RESULT_COUNTS",
    "Facet",
    "SearchRequest",
    "combined_filter",
    "facet_choices",
    "offered_reranker",
    "search",
]

RESULT_COUNTS = (5, *range(10, 101, 10))
"""How many results a page shows; more than a hundred call for another question."""

# A person waits no longer than this for a better order.
RERANK_BUDGET_MS = 1500.0

MOST_FACETS = 4
MOST_VALUES = 400  # a longer list is no choice any more: the filter expression serves there
_MOST_NUMBERS = 50  # of these, and of dates, less makes a list already
_LONGEST_VALUE = 80  # characters of a value that is read at a glance
_FACET_PREFIX = "f."


@dataclass(frozen=True)
class SearchRequest:
    """One state of the search page.

    Attributes:
        q: the question.
        picks: metadata field -> values that are allowed in it; fields are combined by AND, values by OR.
        filter: a filter expression as a person wrote it, combined with `picks` by AND.
        group: whether documents of one file are shown as one.
    """

    q: str = ""
    collection: str = ""
    mode: str = DEFAULT_MODE
    k: int = DEFAULT_RESULTS
    filter: str = ""
    rerank: bool = False
    group: bool = False
    picks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Sequence[str]]) -> SearchRequest:
        """The state an address describes. What it says wrongly is ignored: an old link should still open."""

        def last(name: str) -> str:
            return parameters[name][-1] if parameters.get(name) else ""

        mode = last("mode")
        k = last("k")
        picks = {
            name[len(_FACET_PREFIX) :]: tuple(sorted(set(values)))
            for name, values in parameters.items()
            if name.startswith(_FACET_PREFIX) and values
        }
        return cls(
            q=last("q"),
            collection=last("collection"),
            mode=mode if mode in MODES else DEFAULT_MODE,
            k=min(RESULT_COUNTS, key=lambda count: abs(count - int(k)))
            if k.isascii() and k.isdigit() and len(k) < 10
            else DEFAULT_RESULTS,
            filter=last("filter"),
            rerank=last("rerank") == "1",
            group=last("group") == "1",
            picks=dict(sorted(picks.items())),
        )

    def to_parameters(self) -> dict[str, list[str]]:
        """The address of this state: only what differs from an empty page, so that addresses stay short."""
        given = {"q": self.q, "collection": self.collection, "filter": self.filter}
        parameters = {name: [value] for name, value in given.items() if value}
        if self.mode != DEFAULT_MODE:
            parameters["mode"] = [self.mode]
        if self.k != DEFAULT_RESULTS:
            parameters["k"] = [str(self.k)]
        if self.rerank:
            parameters["rerank"] = ["1"]
        if self.group:
            parameters["group"] = ["1"]
        for name, values in sorted(self.picks.items()):
            if values:
                parameters[_FACET_PREFIX + name] = sorted(values)
        return parameters

    @property
    def filtered(self) -> bool:
        return bool(self.filter.strip() or any(self.picks.values()))


@dataclass(frozen=True)
class Facet:
    """A metadata field to choose from: (value, number of documents), commonest first; years latest first."""

    name: str
    counts: tuple[tuple[Any, int], ...]

    def count_of(self) -> dict[str, int]:
        """By what an address says of a value: 1 and '1' are one choice there."""
        counts: dict[str, int] = {}
        for value, count in self.counts:
            counts[str(value)] = counts.get(str(value), 0) + count
        return counts


def facet_choices(counts: Mapping[str, FacetCounts]) -> list[Facet]:
    """The fields worth choosing from, the most useful first.

    A field is useful where many documents have it and a choice leaves few of them: its rank is the share of
    documents that have it, times the chance that two of these have different values, less for values that
    hardly two documents share. Left out are fields with one value (no choice), with very many or with nearly
    one per document (names), long texts, and numbers that are no list any more (sizes); dates are offered by
    year. Of what every file has, folder, type and language are choices, and the year it was modified.
    """
    most = max((one.documents for one in counts.values()), default=0)
    of_files = {"path", "folder", "type"} <= counts.keys()
    chosen = []
    for name, one in counts.items():
        if of_files and name in _NO_CHOICE_OF_FILES:
            continue
        values = _choices(one)
        if values and (rank := _usefulness(values, one.documents / most)) > 0:
            chosen.append((-rank, Facet(name, values)))
    return [facet for _, facet in sorted(chosen, key=lambda one: (one[0], one[1].name))[:MOST_FACETS]]


# What one file has; a folder of few files would offer a list of them.
_NO_CHOICE_OF_FILES = ("path", "name", "size")


def _choices(field: FacetCounts) -> tuple[tuple[Any, int], ...]:
    """The values of a field, if they are a choice; the years of dates."""
    if field.years and (field.distinct > _MOST_NUMBERS or not field.complete):
        return field.years if 2 <= len(field.years) <= MOST_VALUES else ()
    if not 2 <= field.distinct <= min(MOST_VALUES, max(10, field.documents // 4)):
        return ()
    values = tuple((value, count) for value, count in field.values if value != "")
    numbers = sum(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in values)
    long = sum(len(str(value)) > _LONGEST_VALUE for value, _ in values)
    return () if numbers > _MOST_NUMBERS or long > len(values) / 2 else values


def _usefulness(values: Sequence[tuple[Any, int]], share: float) -> float:
    """0 for no choice at all, to 1; `share` of the documents have the field."""
    total = sum(count for _, count in values)
    if total < 2:
        return 0.0
    differ = 1 - sum((count / total) ** 2 for _, count in values)
    shared = 1 - (len(values) - 1) / total
    return share * differ * shared


def search(
    collection: Collection,
    request: SearchRequest,
    facets: Iterable[Facet] = (),
    reranker: str | None = None,
    *,
    serving: int | None = None,
    caller: Caller | None = None,
    location: Location | None = None,
    after: Sequence[SearchResults] = (),
) -> SearchResults:
    """Ask `collection`. `facets` tell the types of picked values, which an address holds as text; `reranker`
    re-orders the answers where the request wants that; where it does not, what is served decides. `serving`
    answers in place of the live one. `after` are pages of the same answer that were shown before: the next
    one brings up to `request.k` what follows them, of the state of the collection that the first one is of.

    Where `caller` and `location` are given the answer is kept as an impression, under its `id`, as far as
    the settings want that.

    Raises:
        FilterError: the written filter cannot be understood; its position counts in `request.filter`.
        NotAllowed: the caller may not search.
        BadInput: more results are asked for than a page shows.
    """
    if caller is not None:
        require(caller, "search", collection)
    if request.k > RESULT_COUNTS[-1]:
        raise BadInput(f"k = {request.k:,}: a page shows {RESULT_COUNTS[-1]} results at most; ask for fewer")
    filter = combined_filter(request, facets)
    chosen = reranker if request.rerank and reranker else None
    shown = sum(map(len, after))
    # A reranker that runs out of time orders each page in a way of its own: then all is asked for again.
    offset = 0 if after and after[0].reranked is not None else shown
    results = collection.search(
        request.q,
        k=request.k - offset,
        offset=offset,
        seq=after[0].seq if after else None,
        mode=request.mode,
        filter=filter,
        rerank=SERVING_RERANKER if chosen is None else chosen,
        rerank_budget_ms=RERANK_BUDGET_MS,
        serving=serving,
        seed="" if caller is None else draw_seed(caller),
    )
    if after:
        results = without_shown(results, after, request.k - shown)
    if caller is not None and location is not None:
        folded = folded_ids(make_cards([*after, results], by_file=request.group))
        log_search(
            caller,
            location,
            collection,
            results,
            k=request.k - shown,
            filter=filter,
            reranker=chosen,
            folded=folded,
        )
    return results


def offered_reranker(collection: Collection) -> str | None:
    """What re-orders the answers of a page whose reader wants that: what the settings name, else the vectors
    of tokens where the collection has them, else the bundled reranker; None for none.
    """
    return reranker_from_environment(usual=collection.rerankers[-1])


def combined_filter(request: SearchRequest, facets: Iterable[Facet] = ()) -> str | None:
    """Picks and the written expression as one expression; None when nothing is filtered.

    Raises:
        FilterError: the written part cannot be understood. It is read on its own first, so that positions
            count in what the person wrote and an odd bracket in it cannot reach the picks.
    """
    typed: dict[str, dict[str, list[Any]]] = {}
    for facet in facets:
        for value, _ in facet.counts:
            typed.setdefault(facet.name, {}).setdefault(str(value), []).append(value)
    parts = []
    if request.filter.strip():
        parse_filter(request.filter)
        parts.append(f"({request.filter})")
    for name, values in request.picks.items():
        if values:
            known = typed.get(name, {})
            parts.append(_is_one_of(name, [one for value in values for one in known.get(value, [value])]))
    return " and ".join(parts) or None


def _is_one_of(name: str, values: Sequence[Any]) -> str:
    return f"{spell_field(name)} in ({', '.join(spell_value(value) for value in values)})"
