"""A year of a folder: whatever happened, the collection is that of a fresh run over what is left."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexing import Collection
from indexing.errors import LockedError
from indexing.sources import compare
from indexing.writing import pipeline

NAMES = ("a.txt", "b.txt", "deep/a.txt", "rows.csv", "deep/rows.csv", "notes.md", "rows.jsonl")
WORDS = ("apples", "bread", "cheese", "dates", "eggs")

words = st.lists(st.sampled_from(WORDS), max_size=4)
names = st.sampled_from(NAMES)
steps = st.one_of(
    st.tuples(st.just("write"), names, words),
    st.tuples(st.just("write"), names, words),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("touch"), names),
    st.tuples(st.just("copy"), names, names),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(st.just("stopped"), st.integers(1, 3)),
    st.tuples(st.just("two at once")),
)


class Folder:
    """A folder whose clock ticks once a change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 10**18
        root.mkdir()

    def write(self, name: str, found: list[str]) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content(name, found))
        self.touch(name)

    def touch(self, name: str) -> None:
        self.now += 10**9
        if (self.root / name).exists():
            os.utime(self.root / name, ns=(self.now, self.now))

    def rename(self, old: str, new: str) -> None:
        if (self.root / old).exists() and Path(old).suffix == Path(new).suffix:
            (self.root / new).parent.mkdir(exist_ok=True)
            (self.root / old).replace(self.root / new)

    def copy(self, old: str, new: str) -> None:
        if (self.root / old).exists() and old != new and Path(old).suffix == Path(new).suffix:
            (self.root / new).parent.mkdir(exist_ok=True)
            shutil.copyfile(self.root / old, self.root / new)
            self.touch(new)

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)


def content(name: str, found: list[str]) -> str:
    """A file of rows, of rows with ids of their own, or of text."""
    if name.endswith(".csv"):
        return "text,n\n" + "".join(f"{word},{len(word)}\n" for word in found)
    if name.endswith(".jsonl"):
        return "".join(f'{{"id": "{word}", "text": "{word} {place}"}}\n' for place, word in enumerate(found))
    return " ".join(found) and f"# {found[0]}\n\n" + " ".join(found)


def run(home: Path, folder: Folder, kind: str, *how: object) -> None:
    def stop(report: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    left = int(how[0]) if kind == "stopped" else 0
    with Collection.open("c", home=home) as collection, suppress(KeyboardInterrupt, LockedError):
        collection.sync(folder.root, prune=bool(how and how[0]), progress=stop if left else None)


def live(home: Path, folder: Folder, kind: str, *how: object) -> None:
    if kind in ("sync", "stopped"):
        run(home, folder, kind, *how)
    elif kind == "two at once":
        threads = [threading.Thread(target=run, args=(home, folder, "sync", True)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        getattr(folder, kind)(*how)


def everything(home: Path) -> dict[str, tuple[str, str, dict[str, object]]]:
    with Collection.open("c", home=home) as collection:
        assert collection.verify().clean
        return {one.id: (one.title, one.text, one.metadata) for one in collection.documents()}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """A commit each three documents; a file counts as safely changed before its reading."""
    monkeypatch.setattr(pipeline, "BATCH_DOCUMENTS", 3)
    monkeypatch.setattr(compare, "GRAIN", -(10**19))


@settings(
    max_examples=int(os.environ.get("STLIB_YEARS", "6")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(steps, min_size=4, max_size=25))
def test_a_year_ends_as_a_fresh_run_over_what_is_left(year):
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place) / "docs")
        lived, fresh = Path(place) / "lived", Path(place) / "fresh"
        Collection.create("c", home=lived).close()
        for kind, *how in year:
            live(lived, folder, kind, *how)
        with Collection.open("c", home=lived) as collection:
            collection.sync(folder.root, prune=True, force=True)
        with Collection.create("c", home=fresh) as collection:
            collection.sync(folder.root)
        assert everything(lived) == everything(fresh)
