"""No space left: a clear error, and everything that was committed is there."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from sqlalchemy import event

from indexing import Collection
from indexing.errors import DiskFull

pytestmark = pytest.mark.faults


def documents(count):
    return [{"id": str(i), "text": f"document number {i} " + "about something " * 30} for i in range(count)]


def test_catalog_without_room(home):
    collection = Collection.create("c", home=home)
    collection.add(documents(100))
    collection.search("document")

    def no_more_pages(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    collection._session.database.dispose()
    event.listen(collection._session.database, "connect", no_more_pages)
    with pytest.raises(DiskFull, match=r"no space left .*catalog\.sqlite; what was committed is kept"):
        collection.add(documents(5000))
    collection.close()
    with Collection.open("c", home=home) as again:
        assert again.verify().clean
        assert again.info().documents == 100
        assert again.add(documents(2000)).added == 1900
        assert again.verify().clean


FILL = """
import sys
from indexing import Collection
from indexing.errors import DiskFull
def documents():
    for i in range(100000):
        yield {"id": str(i), "text": f"document number {i} " + "about something " * 30}
done = 0
def progress(report):
    global done
    done = report.committed
c = Collection.create("c", home=sys.argv[1])
try:
    c.add(documents(), progress=progress)
except DiskFull as error:
    print(type(error).__name__, done)
c.close()
c = Collection.open("c", home=sys.argv[1])
print(c.search("document number 7", 3).results[0].id != "", c.info().documents >= done, c.verify().errors)
try:
    with open(f"{sys.argv[1]}/rest", "wb", buffering=0) as rest:
        while rest.write(bytes(4096)):
            pass
except OSError as error:
    print(error.strerror)
print(c.drop(), Collection.list(home=sys.argv[1]))
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None, reason="needs unshare (util-linux) to mount a small disk"
)
def test_a_real_small_disk(tmp_path):
    script = tmp_path / "fill.py"
    script.write_text(FILL)
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = f"mount -t tmpfs -o size=12m none {disk} && exec {sys.executable} {script} {disk}"
    command = ["unshare", "-m", "sh", "-c", shell]
    if subprocess.run([*command[:2], "-r", "true"], capture_output=True).returncode == 0:
        command.insert(2, "-r")
    ready = subprocess.run(
        [*command[:-1], f"mount -t tmpfs -o size=1m none {disk}"], capture_output=True, text=True
    )
    if ready.returncode:
        pytest.skip(f"this system does not let a test mount a small disk: {ready.stderr.strip()}")
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    first, second, full, dropped = out.stdout.splitlines()
    assert first.startswith("DiskFull ")
    assert int(first.split()[1]) >= 1024
    assert second == "True True []"
    assert (full, dropped) == ("No space left on device", "True []")
