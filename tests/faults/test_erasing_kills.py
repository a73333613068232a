"""`kill -9` at every step of an erasure: the next one finishes it, and nothing comes back in between."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.facade.caller import local_caller
from app.facade.erasure import erase_documents
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below, fill

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]

ERASE = """
import sys
from app.facade.caller import local_caller
from app.facade.erasure import erase_documents
from app.settings import Location
erase_documents(local_caller(), Location(sys.argv[1]), "notes", ["secret", "d1"])
"""


def points():
    """Every step that erasing names."""
    found = set()
    for name in ("upkeep/erase.py", "views/manager.py"):
        text = (ROOT / "indexing" / name).read_text("utf-8")
        found |= set(re.findall(r'faults\.point\("((?:erase|renew)\.\w+)"\)', text))
    return sorted(found)


FEW = ("renew.inside",)
"""Of `make test`; `make faults` takes all."""


def pytest_generate_tests(metafunc):
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", points() if metafunc.config.getoption("--kills") > 20 else FEW)


def test_whoever_is_killed_at_a_step_has_it_finished_by_the_next(home, point):
    with Collection.create("notes", home=home) as notes:
        fill(notes)
        notes.refresh()
    environment = {**os.environ, "STLIB_FAULT": point, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", ERASE, str(home)], env=environment, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    with Collection.open("notes", home=home) as notes:
        if not notes.erasures():  # before the request was on the disk
            assert point in ("erase.before", "erase.inside") and {"secret", "d1"} <= {d.id for d in notes}
        else:
            assert notes.search(MARKER).results
            with pytest.raises(BadInput, match="stays out"):
                notes.add([{"id": "elsewhere", "text": SECRET}])
        receipt = erase_documents(local_caller(), Location(home), notes, ["secret", "d1"])
        assert receipt.done, receipt.pending
        assert MARKER.encode() not in bytes_below(home) and b"secret" not in bytes_below(home)
        assert len(notes) == 39 and notes.verify().clean
        assert notes.check_erased().clean and all(one.done for one in notes.erasures())
