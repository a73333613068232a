"""A home that cannot be written is listed, searched and verified; what would change it is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from indexing import Collection

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


def read_there(home):
    code = [sys.executable, "-c", READ, str(home)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120)
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
