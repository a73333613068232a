"""What is asked of Milvus: collections of rows with one vector each, and a marker beside them.

    client = connect()                    # nobody is asked before the first request
    client.create(name, layout)
    client.upsert(name, layout, keys, codes)
    client.write_marker(name, layout, "how far the rows follow")
    marker = client.read_marker(name)
    client.nearest(name, layout, query, 100, condition, since=marker.written)

Rows are put in by their keys, so whatever is sent twice is there once. The marker is written after them, and
carries the moment of Milvus' clock at which they were: a search that names it sees all of them, wherever in a
cluster it is answered, and waits for nothing newer.

Every method ends within the seconds of the settings, those of writing for each batch. They raise
`MilvusUnavailable`, `CorruptView` where the collection is gone, and another `MilvusFailed` where Milvus
refuses.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from indexing import faults
from indexing.errors import CorruptView, MilvusUnavailable
from indexing.milvus import wire
from indexing.milvus.conditions import (
    KEY_FIELD,
    MOST_LITERALS,
    MOST_PARAMETERS,
    Condition,
    of_chunks,
)
from indexing.milvus.connection import Connection, NoIndex, NotLoaded, Refused
from indexing.milvus.schema import MARKER_KEY, MOST_NOTE, MOST_RESULTS, NOTE_FIELD, VECTOR_FIELD, Layout
from indexing.milvus.settings import MilvusSettings, read_settings
from indexing.milvus.wire import Consistency
from stlib.util.forks import ThreadLock

__all__ = ["Marker", "Milvus", "Nearest", "away", "connect", "disconnect"]

LITE_VERSION = "milvus_lite"
"""What the version of Milvus Lite begins with."""
BATCH_BYTES = 8 << 20
"""Of rows in one request: Milvus takes 64 MiB, and one that is lost is sent again."""
BATCH_ROWS = 10_000
_PAGE_BYTES = 16 << 20
_LOAD_PAUSE, _STILL_LOADING, _LOADED = 0.05, 2, 3
_STRONG = Consistency.of("strong")

_lock = ThreadLock()
_clients: dict[MilvusSettings, Milvus] = {}


class Nearest(NamedTuple):
    """`keys` int64 [n] with Milvus' own `scores` float32 [n], best first. Of the metric IP a higher score is
    better, of HAMMING a lower one.
    """

    keys: np.ndarray
    scores: np.ndarray


class Marker(NamedTuple):
    """What was written last, and `written`, the moment of Milvus' clock up to which all rows before it were
    (0 where Milvus has no clock: Lite).
    """

    text: str
    written: int


def connect(settings: MilvusSettings | None = None) -> Milvus:
    """The client of these settings, by default those of the environment: one for each of this process. One
    that has another token by now is the same client, with that token.

    Raises:
        BadInput: nobody said where Milvus is, or not in a way that can be used.
    """
    settings = read_settings() if settings is None else settings
    with _lock:
        known = replace(settings, token="")
        if known not in _clients:
            _clients[known] = Milvus(settings)
        client = _clients[known]
        client.take_token(settings)
        return client


def away() -> dict[str, str]:
    """Address → why it is not asked at the moment, of each Milvus that this process has used."""
    with _lock:
        clients = list(_clients.values())
    return {client.address: client.away for client in clients if client.away}


def disconnect() -> None:
    """Lets go of every connection; each is opened again when it is used."""
    with _lock:
        for client in _clients.values():
            client.close()
        _clients.clear()


atexit.register(disconnect)  # before a server of Milvus Lite ends, which is registered earlier


class Milvus:
    """See the module. Threads share one."""

    def __init__(self, settings: MilvusSettings) -> None:
        self.settings = settings
        self._connection = Connection(settings)
        self._written: dict[str, int] = {}
        self._loading: set[str] = set()
        self._is_lite: bool | None = None

    @property
    def address(self) -> str:
        """As it may be shown."""
        return self.settings.address

    def take_token(self, settings: MilvusSettings) -> None:
        """`settings` are those that it has, but for the token: what is asked from now on goes with that one,
        over the same connection. Whoever holds the client, as a snapshot does, needs no other.
        """
        if settings.token != self.settings.token:
            self.settings = self._connection.settings = settings

    @property
    def away(self) -> str:
        """Why Milvus is not asked at the moment; empty where it is."""
        return self._connection.away

    @property
    def is_lite(self) -> bool:
        """Whether it is Milvus Lite, in this process or served by another: it is asked once."""
        if self._is_lite is None:
            self._is_lite = self.settings.is_lite or self.version().startswith(LITE_VERSION)
        return self._is_lite

    @property
    def most_numbers(self) -> int:
        """That a condition may name."""
        return MOST_LITERALS if self.is_lite else MOST_PARAMETERS

    def close(self) -> None:
        self._connection.close()

    def version(self) -> str:
        """Of the server."""
        return str(self._read("GetVersion", self._milvus.GetVersionRequest()).version)

    # --- collections -----------------------------------------------------------------------------------

    def names(self, prefix: str) -> list[str]:
        """Of all collections that begin so."""
        answer = self._read("ShowCollections", self._milvus.ShowCollectionsRequest())
        return sorted(name for name in answer.collection_names if name.startswith(prefix))

    def has(self, name: str) -> bool:
        try:
            self._read("DescribeCollection", self._milvus.DescribeCollectionRequest(collection_name=name))
        except CorruptView:
            return False
        return True

    def create(self, name: str, layout: Layout) -> None:
        """Makes an empty collection that can be searched at once."""
        try:
            self._write("CreateCollection", wire.create_request(name, layout))
            faults.point("milvus.created")
            self._write("CreateIndex", wire.create_index_request(name, layout))
            faults.point("milvus.indexed")
        except Refused as refused:
            hint = f"; STLIB_MILVUS_VECTORS={layout.simpler} is for older versions" if layout.simpler else ""
            raise Refused(f"{refused}{hint}") from None
        self.load(name, layout.replicas)

    def load(self, name: str, replicas: int = 1, *, seconds: float | None = None) -> None:
        """Has Milvus take it into memory, and waits until it is, for as long as something is written, or for
        `seconds`; it goes on by itself.
        """
        seconds = self.settings.write_seconds if seconds is None else seconds
        by = time.monotonic() + seconds
        request = self._milvus.LoadCollectionRequest(collection_name=name, replica_number=replicas)
        self._write("LoadCollection", request, by=by)
        asked = self._milvus.GetLoadStateRequest(collection_name=name)
        while int(self._read("GetLoadState", asked).state) != _LOADED:
            if time.monotonic() + _LOAD_PAUSE >= by:
                raise MilvusUnavailable(
                    f"Milvus at {self.address} did not load a collection within {seconds:g} s: try again"
                    " later, and give it more memory if that does not help"
                )
            time.sleep(_LOAD_PAUSE)

    def drop(self, name: str) -> None:
        """Removes it; it may be gone."""
        with suppress(CorruptView):
            self._write("DropCollection", self._milvus.DropCollectionRequest(collection_name=name))
        self._written.pop(name, None)
        self._loading.discard(name)

    # --- rows ------------------------------------------------------------------------------------------

    def upsert(self, name: str, layout: Layout, keys: np.ndarray, codes: np.ndarray) -> None:
        """Puts rows in place of those of the same keys: `keys` int64 [n] from 1 and `codes` [n, d]. When it
        fails some batches may be there: it is to be sent again.
        """
        rows = min(BATCH_ROWS, max(1, BATCH_BYTES // layout.row_bytes))
        for at in range(0, len(keys), rows):
            part = slice(at, at + rows)
            values = layout.values(codes[part])
            request = wire.rows_request(name, layout, keys[part], values)
            self._note(name, self._write("Upsert", request))

    def delete(self, name: str, keys: np.ndarray) -> None:
        """Removes the rows of `keys` (int64 [n]), as far as they are there."""
        for at in range(0, len(keys), self.most_numbers):
            condition = of_chunks(keys[at : at + self.most_numbers])
            said = wire.delete_request(name, condition, spelt_out=self.is_lite)
            self._note(name, self._write("Delete", said))

    def settle(self, name: str) -> None:
        """Has Milvus Lite put the rows of a collection into files, which it searches twenty times as fast as
        those that it was just given. A cluster does so by itself, and lets nobody hurry it.
        """
        if self.is_lite:
            self._write("Flush", self._milvus.FlushRequest(collection_names=[name]))

    def _note(self, name: str, answer: Any) -> None:
        self._written[name] = max(self._written.get(name, 0), int(answer.timestamp))

    def write_marker(self, name: str, layout: Layout, text: str, *, since: int = 0) -> None:
        """Says `text` (up to 4,000 characters of ASCII) of all rows that were written before, here and, up to
        `since`, elsewhere.
        """
        note = f"{max(self._written.get(name, 0), since)} {text}"
        if len(note) > MOST_NOTE:
            raise ValueError(f"a marker of {len(note):,} characters is too long")
        key = np.array([MARKER_KEY])
        self._write("Upsert", wire.rows_request(name, layout, key, layout.nothing, note))

    def read_marker(self, name: str) -> Marker | None:
        """What was written last, by whomever: None where nothing was, or it was only begun to be made."""
        condition = of_chunks(np.array([MARKER_KEY]))
        try:
            answer = self._query(name, condition, [NOTE_FIELD], _STRONG)
        except Refused:
            if self._has_index(name):
                raise
            return None
        notes = wire.read_column(answer, NOTE_FIELD)
        if not len(notes):
            return None
        written, _, text = str(notes[0]).partition(" ")
        if not written.isdecimal():
            raise CorruptView(f"Milvus at {self.address}: the marker of {name} is none of ours")
        return Marker(text, int(written))

    # --- searching -------------------------------------------------------------------------------------

    def nearest(
        self,
        name: str,
        layout: Layout,
        query: np.ndarray,
        count: int,
        condition: Condition | None = None,
        *,
        since: int = 0,
    ) -> Nearest:
        """The `count` rows (at most `layout.most`) nearest to `query` (float32 [d], length 1), of those of
        `condition`, with all that was written up to `since`, see `Marker`.
        """
        consistency = Consistency.of(self.settings.consistency, since)
        asked = min(count + 1, MOST_RESULTS)  # the marker may be among them
        request = wire.search_request(
            name, layout, query, asked, condition, consistency, spelt_out=self.is_lite
        )
        results = self._loaded(name, "Search", request).results
        keys = np.array(results.ids.int_id.data, np.int64)
        scores = np.array(results.scores, np.float32)
        rows = ~wire.is_marker(keys)
        return Nearest(keys[rows][:count], scores[rows][:count])

    def all_keys(self, name: str) -> np.ndarray:
        """Of every row, int64 [n], ascending."""
        found, last = [np.empty(0, np.int64)], MARKER_KEY
        while True:
            said = f"{KEY_FIELD} > {last}"
            answer = self._query(name, said, [KEY_FIELD], _STRONG, page=MOST_RESULTS)
            keys = np.unique(wire.read_column(answer, KEY_FIELD))
            if not len(keys):
                return np.concatenate(found)
            found.append(keys)
            last = int(keys[-1])

    def count(self, name: str) -> int:
        """Rows, without the marker."""
        answer = self._query(name, f"{KEY_FIELD} > {MARKER_KEY}", ["count(*)"], _STRONG)
        return int(wire.read_column(answer, "count(*)")[0])

    def vectors(self, name: str, layout: Layout, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of those rows of `keys` that are there: their keys int64 [n], and their vectors [n, d] as
        `layout.values` gives them.
        """
        found, values = [np.empty(0, np.int64)], [layout.nothing[:0]]
        rows = min(MOST_RESULTS, max(1, _PAGE_BYTES // layout.row_bytes))
        for part in _parts(keys, rows):
            answer = self._query(name, of_chunks(part), [KEY_FIELD, VECTOR_FIELD], _STRONG)
            found.append(wire.read_column(answer, KEY_FIELD))
            values.append(wire.read_vectors(answer, layout))
        return np.concatenate(found), np.concatenate(values)

    def _has_index(self, name: str) -> bool:
        try:
            self._read("DescribeIndex", self._milvus.DescribeIndexRequest(collection_name=name))
        except NoIndex:
            return False
        return True

    # --- requests --------------------------------------------------------------------------------------

    def _query(
        self,
        name: str,
        condition: Condition | str,
        fields: list[str],
        consistency: Consistency,
        page: int = 0,
    ) -> Any:
        request = wire.query_request(name, condition, fields, consistency, spelt_out=self.is_lite, page=page)
        return self._loaded(name, "Query", request)

    def _loaded(self, name: str, method: str, request: Any) -> Any:
        """The answer to what reads rows; a server that was started anew has them on its disk alone."""
        try:
            return self._read(method, request)
        except NotLoaded:
            self._load_once(name)
        return self._read(method, request)

    def _load_once(self, name: str) -> None:
        """Waits for a collection that takes longer than a search has once: it goes on loading by itself, and
        until it is there others are told so at once.
        """
        if name in self._loading:
            asked = self._milvus.GetLoadStateRequest(collection_name=name)
            state = int(self._read("GetLoadState", asked).state)
            if state == _STILL_LOADING:
                raise MilvusUnavailable(f"Milvus at {self.address} is loading a collection: try again later")
        self._loading.add(name)
        self.load(name, self.settings.replicas, seconds=self.settings.seconds)
        self._loading.discard(name)

    def _read(self, method: str, request: Any) -> Any:
        return self._connection.read(method, request)

    def _write(self, method: str, request: Any, *, by: float | None = None) -> Any:
        return self._connection.write(method, request, by=by)

    @property
    def _milvus(self) -> Any:
        return wire.load_messages().milvus


def _parts(keys: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    for at in range(0, len(keys), rows):
        yield keys[at : at + rows]
