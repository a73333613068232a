"""A home that cannot be written is listed, searched and verified; what would change it is refused."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from indexing import Collection
from indexing.catalog import unwritable
from indexing.errors import CollectionExists, DiskFull, StorageError
from indexing.listing import list_collections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="root gives up its powers by calls of Linux")

READ = """
import ctypes, os, struct, sys
if os.getuid() == 0:  # root may write everywhere, unless it gives up CAP_DAC_OVERRIDE
    header, sets = struct.pack("Ii", 0x20080522, 0), bytearray(24)
    libc = ctypes.CDLL(None, use_errno=True)
    holder = (ctypes.c_char * 24).from_buffer(sets)
    assert libc.capget(header, holder) == 0
    values = list(struct.unpack("6I", sets))
    values[0], values[1] = values[0] & ~2, values[1] & ~2
    struct.pack_into("6I", sets, 0, *values)
    assert libc.capset(header, holder) == 0, os.strerror(ctypes.get_errno())
os.environ["STLIB_STATE"] = "/proc/nowhere"
from indexing import Collection
from indexing.errors import StorageError
from indexing.listing import list_collections
home = sys.argv[1]
assert list_collections(home).names == ["animals"], list_collections(home)
with Collection.open("animals", home=home) as c:
    for mode in ("semantic", "keyword", "hybrid"):
        print(mode, [r.id for r in c.search("honey and flowers", 2, mode=mode)][0])
    report = c.verify()
    print(len(c), report.errors, sorted(c.facets()))
    for change in (lambda: c.add([{"id": "x", "text": "x"}]), lambda: c.delete(["bee"]), c.drop,
                   lambda: c.reindex(precision="binary")):
        try:
            change()
        except StorageError as error:
            print("refused", "\\n" in str(error))
    print(len(c))
"""


OPEN_OFTEN = """
import glob
for _ in range(3):
    Collection.open("animals", home=home).close()
    list_collections(home)
print(len(glob.glob(os.environ["TMPDIR"] + "/*/*/*.sqlite")))
"""


def read_there(home, script=READ, **environment):
    code = [sys.executable, "-c", script, str(home)]
    environment = {**os.environ, **environment}
    done = subprocess.run(code, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def locked(animals, home):
    """Nobody may write there; everybody may read."""

    def lock():
        for path in [home, *home.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)

    yield lock
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


EXPECTED = [
    "semantic bee",
    "keyword bee",
    "hybrid bee",
    "4 [] ['legs', 'tags', 'tame']",
    *["refused False"] * 4,
    "4",
]


@pytest.mark.parametrize("published", [True, False])
def test_at_rest(animals, home, locked, published):
    if published:
        animals.refresh()
    animals.close()
    assert not (home / "collections/animals/catalog.sqlite-wal").exists()
    locked()
    assert read_there(home) == EXPECTED
    assert not (home / "collections/animals/catalog.sqlite-shm").exists()


def test_while_its_owner_has_it_open(animals, home, locked):
    """What is in the write-ahead log only is read too."""
    animals.delete(["bee"])
    animals.add([{"id": "bee", "text": "Bees make honey and dance near flowers.", "metadata": {"legs": 6}}])
    assert (home / "collections/animals/catalog.sqlite-wal").stat().st_size > 0
    locked()
    assert read_there(home) == EXPECTED


def test_a_catalog_that_its_owner_changes_is_opened_again(animals, home, monkeypatch):
    animals.close()
    monkeypatch.setattr("indexing.catalog.database.is_unwritable", lambda path: True)
    with Collection.open("animals", home=home) as reader:
        assert len(reader) == 4
        monkeypatch.undo()
        with Collection.open("animals", home=home) as owner:
            owner.delete(["bee"])
        with pytest.raises(Exception, match="was changed by its owner since it was opened: open it again"):
            len(reader)


@pytest.fixture
def taken_for_unwritable(monkeypatch):
    monkeypatch.setattr("indexing.catalog.database.is_unwritable", lambda path: True)
    monkeypatch.setattr("indexing.listing.is_unwritable", lambda path: True)
    return monkeypatch


def test_only_the_catalog_cannot_be_written(animals, home, tmp_path):
    """Nothing is put beside it, one copy serves all who open it, and none is left."""
    catalog = home / "collections/animals/catalog.sqlite"
    assert catalog.with_name("catalog.sqlite-wal").stat().st_size > 0
    catalog.chmod(0o444)
    before = {path.name for path in catalog.parent.iterdir()}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    script = READ.replace("c.drop", "lambda: c.delete(['dog'])") + OPEN_OFTEN
    done = read_there(home, script, TMPDIR=str(temporary))
    assert done == [*EXPECTED, "1"]
    assert {path.name for path in catalog.parent.iterdir()} == before
    assert not list(temporary.iterdir())


def test_a_lock_of_its_owner_does_not_keep_a_search_from_answering(animals, home, tmp_path):
    animals.refresh()
    for first in (0, 400):  # far more than a search reads without a view, in parts that publish none
        animals.add([{"id": f"cow-{n}", "text": "cows graze"} for n in range(first, first + 400)])
    animals.close()
    for lock in (home / "collections/animals/locks").iterdir():
        lock.chmod(0o444)
    script = READ[: READ.index("    report =")].replace("/proc/nowhere", str(tmp_path / "state"))
    assert read_there(home, script) == EXPECTED[:3]


def test_an_owner_who_only_looks_changes_nothing(animals, home, taken_for_unwritable):
    animals.close()
    with Collection.open("animals", home=home) as reader:
        taken_for_unwritable.undo()
        with Collection.open("animals", home=home) as owner:
            assert len(owner) == 4
            assert (home / "collections/animals/catalog.sqlite-wal").exists()
            assert len(reader) == 4
        assert len(reader) == 4


def test_listing_copies_nothing(animals, home, taken_for_unwritable):
    assert (home / "collections/animals/catalog.sqlite-wal").stat().st_size > 0
    taken_for_unwritable.setattr(unwritable, "_copy", None)
    assert list_collections(home).names == ["animals"]


def test_a_copy_that_has_no_room_is_not_begun(animals, home, taken_for_unwritable):
    taken_for_unwritable.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    taken_for_unwritable.setattr(shutil, "copyfile", None)
    with pytest.raises(DiskFull, match="needed"):
        Collection.open("animals", home=home)


def test_a_copy_goes_when_another_one_took_its_place(animals, home, taken_for_unwritable):
    reader = Collection.open("animals", home=home)
    copies = Path(reader._session.database.url.database).parent
    animals.delete(["bee"])
    with Collection.open("animals", home=home) as second:
        assert (len(reader), len(second)) == (4, 3)
        assert len(list(copies.glob("*.sqlite"))) == 2
        reader.close()
        del reader
        gc.collect()
        assert list(copies.glob("*.sqlite")) == [Path(second._session.database.url.database)]


ASSETS = Path(__file__).parents[1] / "assets"


@pytest.mark.parametrize("asset", sorted(path.name for path in ASSETS.glob("catalog-*.sql")))
def test_a_catalog_of_an_older_schema(tmp_path, monkeypatch, asset):
    """A collection is added to it; where it cannot be written, its owner has to open it first."""
    db = tmp_path / "all.db"
    with closing(sqlite3.connect(db)) as connection:
        connection.executescript((ASSETS / asset).read_text("utf-8"))
    url = f"sqlite:///{db}"
    with pytest.raises(CollectionExists):
        Collection.create("c", db=url)
    with monkeypatch.context() as patched:
        patched.setattr("indexing.catalog.database.is_unwritable", lambda path: True)
        with pytest.raises(StorageError, match=rf"{db} has schema .*its owner must open it once") as caught:
            Collection.open("c", db=url)
        assert "permissions" not in str(caught.value)
    with Collection.create("other", db=url) as other:
        other.add([{"id": "x", "text": "x"}])
    assert Collection.list(db=url) == ["c", "other"]
    with Collection.open("c", db=url) as collection:
        assert collection.verify().clean
