"""BM25 over whole documents by tantivy, in immutable snapshots.

A snapshot is a published folder: tantivy's files, a manifest with their checksums, and the caller's meta.
The next one starts from hard links to its files; tantivy never changes a segment file, it writes new ones,
so the old snapshot stays as it is while the new one grows.

Scores are BM25 (Robertson and Zaragoza 2009, with tantivy's k1 = 1.2 and b = 0.75) of title and text as
one field, plus the title alone at a smaller weight. Statistics count deleted documents until their segments
are merged: rebuild when `deleted_fraction` has grown.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tantivy
from tantivy import Occur, Query

from indexing.errors import BadInput, CorruptView, ForeignView, StorageError
from indexing.lexical import analysis
from indexing.lexical.asked import Asked
from indexing.lexical.bm25 import FIELDS, SCORE_DIGITS, LexicalHits, QueryWord, frequency_of, idf, spread
from indexing.lexical.question import query_words
from indexing.lexical.ties import MOST_HITS, lowest_ties
from indexing.storage.files import (
    disk_errors,
    disk_full,
    link_or_copy,
    temporary_beside,
)
from indexing.storage.private import can_write, own_folder
from indexing.storage.published import publish_folder, verify_folder

HEAP_BYTES = 64 << 20
"""Memory of the writing thread; it writes a segment when this is full. tantivy wants at least 15 MB."""

_FREQUENT_LETTERS = "sctapem"  # with which words begin: a list of all words takes long
_TRIED_TERMS = 8

_MOST_LANGUAGES = 6  # in whose forms a question is searched

_FEW_KEYS = 500  # a union of single terms beats a term set up to here

_CHANGED_IN_PLACE = ("meta.json", ".managed.json")


class LexicalSnapshot:
    """Read side of a published folder. Searching is safe from several threads.

    Attributes:
        folder: where it lies.
        meta: what the publisher gave.
        document_count: documents that can be found.
        stored_count: those included that are deleted but still counted by BM25.
        languages: those that documents are in and that have a stemmer, the most frequent first.
        deleted_fraction: part of the stored documents that is deleted but still counted by BM25, 0 to 1.
    """

    def __init__(
        self, folder: Path, meta: dict[str, Any], languages: Sequence[str] = (), largest_key: int = -1
    ) -> None:
        self.folder = folder
        self._largest_key = largest_key
        self.meta = meta
        self.languages = tuple(languages)[:_MOST_LANGUAGES]
        try:
            with _panics_are_damage(folder):
                index = tantivy.Index.open(str(_writable_form(folder)))
                index.register_tokenizer(analysis.ANALYZER, analysis.analyzer())
                self._searcher = index.searcher()
                self.document_count = int(self._searcher.num_docs)
            segments = json.loads((folder / "meta.json").read_bytes())["segments"]
            self.stored_count = sum(segment["max_doc"] for segment in segments)
        except (ValueError, KeyError, OSError) as error:
            raise CorruptView(f"tantivy cannot open {folder} ({error}); rebuild the view") from error
        self.deleted_fraction = 1 - self.document_count / self.stored_count if self.stored_count else 0.0
        self._average_lengths: dict[str, float] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> LexicalSnapshot:
        """Compare every file with the manifest, then open. Raises `CorruptView`."""
        folder = Path(folder)
        body = verify_folder(folder)["meta"]
        _check_version(folder, body)
        counts: dict[str, int] = body["languages"]
        languages = sorted(counts, key=lambda code: (-counts[code], code))
        return cls(folder, body["meta"], languages, body["largest_key"])

    def __len__(self) -> int:
        return self.document_count

    def verify(self) -> None:
        """Compare every file with the manifest again. Raises `CorruptView`."""
        verify_folder(self.folder, afresh=True)

    def search(
        self,
        text: str,
        k: int,
        allowed: Collection[int] | np.ndarray | None = None,
        excluded: np.ndarray | None = None,
    ) -> LexicalHits:
        """`search_words` for a text, in the forms of the languages of this snapshot."""
        return self.search_words(query_words(text, self.languages), k, allowed, excluded)

    def search_words(
        self,
        words: Sequence[QueryWord],
        k: int,
        allowed: Collection[int] | np.ndarray | None = None,
        excluded: np.ndarray | None = None,
    ) -> LexicalHits:
        """The `k` best documents that have one of `words`; fewer when fewer have one.

        `allowed` are document keys, best as an int64 array, or a boolean table over them; only these are
        returned, and none of `excluded` (int64, ascending). Scores are rounded to four decimals, so that the
        order of equal documents does not hang on how they lie in segments.
        """
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least one result")
        asked = Asked.of(allowed, excluded)
        if not words or not self.document_count or not asked.most:
            return LexicalHits(np.empty(0, np.int64), np.empty(0, np.float32))
        share = min(1.0, asked.most / self.document_count)
        count = int(1.25 * k / share) + 8 + min(k, len(asked.excluded))
        with _panics_are_damage(self.folder):
            return self._search_until_safe(self._bag_of(words), k, count, asked)

    def spread(self, text: str) -> float:
        """About the standard deviation of the BM25 of `text` over all documents, see `bm25.spread`."""
        return spread(query_words(text, self.languages), self.document_count, self.frequency)

    def frequency(self, field: str, term: str) -> int:
        """How many stored documents have `term` in `field`."""
        with _panics_are_damage(self.folder):
            return self._searcher.doc_freq(field, term)

    def average_length(self, field: str) -> float:
        """Terms of a stored document in `field`, on the average; 0 if none has any."""
        if field not in self._average_lengths:
            with _panics_are_damage(self.folder):
                self._average_lengths[field] = self._read_average_length(field)
        return self._average_lengths[field]

    def _read_average_length(self, field: str) -> float:
        """tantivy tells it only where it explains the score of a document."""
        for beginning in (*_FREQUENT_LETTERS, ""):
            for term, _ in self._searcher.terms_with_prefix(field, beginning, limit=_TRIED_TERMS):
                query = Query.term_query(analysis.schema(), field, term, "freq")
                for _, address in self._searcher.search(query, 1, count=False).hits:
                    return _average_length_of(json.loads(query.explain(self._searcher, address).to_json()))
        return 0.0

    def _bag_of(self, words: Sequence[QueryWord]) -> Query:
        """Any form of any word, in body or title. Every form weighs as if it were as frequent as its word."""
        parts = []
        for word in words:
            for field, boost in FIELDS.items():
                for form, weight in self._weights(word, field).items():
                    one = Query.term_query(analysis.schema(), field, form, "freq")
                    parts.append((Occur.Should, Query.boost_query(one, weight * boost)))
        return Query.boolean_query(parts)

    def _weights(self, word: QueryWord, field: str) -> dict[str, float]:
        if len(word.forms) == 1:
            return {word.forms[0]: word.weight}
        total = self.stored_count
        rarity = idf(frequency_of(word, field, total, self._searcher.doc_freq), total)
        counts = {form: self._searcher.doc_freq(field, form) for form in word.forms}
        return {form: word.weight * rarity / idf(count, total) for form, count in counts.items() if count}

    def _search_until_safe(self, query: Query, k: int, count: int, asked: Asked) -> LexicalHits:
        """Fetch more until no hit left out could be among the best `k`, ties included. The allowed documents
        are picked from the hits, or become part of the query when that is cheaper.
        """
        narrowed = False
        while True:
            if not narrowed and asked.has_few(count):
                query, count, narrowed = _only(query, asked.keys()), k + 8 + len(asked.excluded), True
            count = min(count, self.document_count)
            keys, scores = self._fetch(query, count)
            exhausted = len(keys) < count or count == self.document_count
            lowest = scores[-1] if len(scores) else 0.0
            keep = asked.contains(keys)
            keys, scores = keys[keep], scores[keep]
            order = np.lexsort((keys, -scores))[:k]
            if exhausted or (len(order) == k and scores[order[-1]] > lowest):
                return LexicalHits(keys[order], scores[order].astype(np.float32))
            if count >= MOST_HITS:
                better = order[scores[order] > lowest]
                ties = lowest_ties(self._fetch, query, lowest, k - len(better), asked, self._largest_key)
                if len(better) + len(ties) == k:
                    scores = np.append(scores[better], np.full(len(ties), lowest))
                    return LexicalHits(np.append(keys[better], ties), scores.astype(np.float32))
            count *= 4

    def _fetch(self, query: Query, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Document keys int64 and rounded scores float64 of the best `count` hits."""
        hits = self._searcher.search(query, count, count=False).hits
        keys = self._searcher.fast_field_values("key", [address for _, address in hits])
        scores = np.fromiter((score for score, _ in hits), np.float64, len(hits))
        return np.array(keys, dtype=np.int64), np.round(scores, SCORE_DIGITS)


def _writable_form(folder: Path) -> Path:
    """`folder`, or a private one with links to its files: tantivy makes a lock file wherever it reads."""
    if can_write(folder):
        return folder
    linked = own_folder(folder)
    if not linked.is_dir():
        linked.mkdir(parents=True)
        for path in folder.iterdir():
            (linked / path.name).symlink_to(path)
    return linked


class LexicalWriter:
    """Grows one snapshot from another (or from nothing) in a private work folder.

    >>> with LexicalWriter(views, base=views / "1-0") as writer:
    ...     writer.apply([(7, "Title", "Some text")], deletes=[3])
    ...     writer.publish(views / "1-1", {"seq": 1})

    One writer at a time: hold the folder's lock. What was not published is gone at the end.
    """

    def __init__(
        self, folder: str | os.PathLike[str], base: LexicalSnapshot | str | os.PathLike[str] | None = None
    ) -> None:
        """`folder` is where the work folder is made, best where snapshots are published: hard links need
        the same file system. `base` is a snapshot, open or by its folder; its files are compared with the
        manifest, and `CorruptView` is raised when they differ.
        """
        self._largest_key = -1
        self._languages: Counter[str] = Counter()
        self._work = temporary_beside(Path(folder) / "lexical")
        with disk_errors(self._work):
            self._work.mkdir(parents=True)
        try:
            with _tantivy_errors(self._work):
                self._index = self._start(base.folder if isinstance(base, LexicalSnapshot) else base)
                self._writer: tantivy.IndexWriter | None = self._index.writer(HEAP_BYTES, num_threads=1)
        except BaseException:
            shutil.rmtree(self._work, ignore_errors=True)
            raise

    def _start(self, base: str | os.PathLike[str] | None) -> tantivy.Index:
        if base is not None:
            self._take_over(Path(base))
        index = tantivy.Index(analysis.schema(), path=str(self._work))
        index.register_tokenizer(analysis.ANALYZER, analysis.analyzer())
        return index

    def _take_over(self, base: Path) -> None:
        manifest = verify_folder(base)
        _check_version(base, manifest["meta"])
        self._largest_key = manifest["meta"]["largest_key"]
        self._languages.update(manifest["meta"]["languages"])
        names = set(manifest["files"]).difference(_CHANGED_IN_PLACE)
        with disk_errors(self._work):
            link_or_copy([base / name for name in sorted(names)], self._work)
            for name in _CHANGED_IN_PLACE:
                shutil.copyfile(base / name, self._work / name)

    def apply(self, upserts: Iterable[tuple[int, str, str]] = (), deletes: Iterable[int] = ()) -> None:
        """Delete documents by key, then add or replace `(key, title, text)`. Repeating it changes nothing.

        Keys are 0 to 2^63 - 1; others raise `BadInput`.
        """
        self._open_writer()
        with _tantivy_errors(self._work):
            for key in deletes:
                self._delete(_valid_key(key))
            for key, title, text in upserts:
                self._delete(_valid_key(key))
                language = analysis.stemming_language(title, text)
                self._open_writer().add_document(_document(key, title, text, language))
                self._languages[language] += 1
                self._largest_key = max(self._largest_key, key)

    def _delete(self, key: int) -> None:
        """Keys mostly come in ascending order, and one above all others has nothing to delete."""
        if key <= self._largest_key:
            # Deleting by term matches nothing in an unsigned field: the binding makes a signed term.
            query = Query.term_query(analysis.schema(), "key", key)
            self._open_writer().delete_documents_by_query(query)

    def publish(self, target: str | os.PathLike[str], meta: dict[str, Any] | None = None) -> None:
        """Commit, wait for merges, and publish `target`, which must not exist. Ends this writer.

        Raises `DiskFull` or `StorageError`; then nothing is published.
        """
        writer = self._open_writer()
        self._writer = None
        with _tantivy_errors(self._work):
            writer.commit()
            writer.wait_merging_threads()
        files = sorted(p for p in self._work.iterdir() if not p.name.endswith(".lock"))
        body = {
            "analysis": analysis.ANALYSIS_VERSION,
            "largest_key": self._largest_key,
            "languages": dict(self._languages),
            "meta": meta or {},
        }
        with publish_folder(target, body) as temporary:
            link_or_copy(files, temporary)
        self.close()

    def close(self) -> None:
        """Drop the work folder; what was not published is lost."""
        self._writer = None
        shutil.rmtree(self._work, ignore_errors=True)

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise StorageError("this writer has published or was closed; make a new one from the snapshot")
        return self._writer

    def __enter__(self) -> LexicalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_version(folder: Path, body: dict[str, Any]) -> None:
    if body.get("analysis") != analysis.ANALYSIS_VERSION:
        raise ForeignView(f"{folder} was analysed by another version; rebuild the view")


def _only(query: Query, keys: np.ndarray) -> Query:
    """The same hits and scores, restricted to these documents."""
    if len(keys) > _FEW_KEYS:
        allowed = Query.term_set_query(analysis.schema(), "key", keys.tolist())
    else:
        each = [Query.term_query(analysis.schema(), "key", key) for key in keys.tolist()]
        allowed = Query.boolean_query([(Occur.Should, one) for one in each])
    return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(allowed, 0.0))])


def _average_length_of(explanation: Any) -> float:
    """The average length of the field that an explanation of a term's score names; 0 if it names none."""
    if str(explanation.get("description", "")).startswith("avgdl"):
        return float(explanation["value"])
    return max((_average_length_of(part) for part in explanation.get("details", [])), default=0.0)


def _valid_key(key: int) -> int:
    if not 0 <= key < 1 << 63:
        raise BadInput(f"document key {key} is outside 0 to 2^63 - 1")
    return int(key)


def _document(key: int, title: str, text: str, language: str) -> tantivy.Document:
    """A title is part of the body, too, and that of a symbol of that alone."""
    document = tantivy.Document()
    document.add_unsigned("key", int(key))
    if title:
        fields = ("body",) if analysis.is_symbol(title) else ("title", "body")
        for block in analysis.blocks(analysis.clean(title)):
            _add_block(document, fields, block, language)
    for block in analysis.blocks(analysis.clean(text)):
        _add_block(document, ("body",), block, language)
    return document


def _add_block(document: tantivy.Document, fields: tuple[str, ...], text: str, language: str) -> None:
    """All terms of `analysis.analyze_block`: those of plain text are made by the index."""
    text, plain = analysis.plain_text(text, language)
    terms = analysis.name_terms(text) if plain else analysis.analyze_block(text, language)
    tokens = tantivy.PreTokenizedString("", [_token(term) for term in terms]) if terms else None
    for field in fields:
        if plain:
            document.add_text(field, text)
        if tokens is not None:
            document.add_pre_tokenized_text(field, tokens)


@lru_cache(maxsize=50_000)
def _token(term: str) -> tantivy.Token:
    return tantivy.Token(term, 0, 0, 0)  # neither place nor order is indexed


@contextmanager
def _panics_are_damage(folder: Path) -> Iterator[None]:
    """A panic of tantivy's Rust says that its files are not what it wrote. As an exception it is none of
    `Exception`, and every frame up to the top would let it pass.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # its class cannot be imported
            raise
        raise CorruptView(f"tantivy failed on {folder} ({error}); rebuild the view") from error


@contextmanager
def _tantivy_errors(folder: Path) -> Iterator[None]:
    """tantivy reports failures of the disk as ValueError with the system's text, or, when its writing thread
    died of one, without.
    """
    try:
        with _panics_are_damage(folder):
            yield
    except ValueError as error:
        killed = "writer was killed" in str(error) and shutil.disk_usage(folder).free < HEAP_BYTES
        if killed or "os error 28" in str(error) or "No space left" in str(error):
            raise disk_full(folder, HEAP_BYTES) from error
        raise StorageError(f"tantivy could not write {folder}: {error}") from error
