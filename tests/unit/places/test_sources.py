"""The folders of a collection, as the page shows and reads them."""

from __future__ import annotations

import pytest

from app.facade.caller import Caller, NotAllowed, local_caller
from app.facade.sources import folders_of, start_sync
from app.jobs.worker import run_job
from app.ui import place_markup
from indexing import Collection
from indexing.errors import BadInput


@pytest.fixture
def folder(tmp_path, location):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"note {number}")
    with Collection.open("notes", home=location.home) as collection:
        collection.sync(folder)
    return folder


def test_what_changed_is_read_by_a_job(location, folder):
    (folder / "new.txt").write_text("a new note")
    (folder / "1.txt").unlink()
    job = start_sync(local_caller(), location, "notes", prune=True)
    done = run_job(location, job.id)
    assert (done.state, done.result["added"], done.result["pruned"]) == ("done", 1, 1)
    [source] = folders_of(local_caller(), location, "notes")
    assert (source.root, source.files, source.documents) == (str(folder), 5, 5)
    shown = place_markup.sources([source])
    assert str(folder) in shown and "5 documents of 5 files, read 20" in shown


def test_links_out_of_the_folder_are_not_followed(location, folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    job = start_sync(local_caller(), location, "notes")
    [skip] = run_job(location, job.id).result["skips"]
    assert skip["reason"] == "leads out of the folders that may be read"


def test_who_may_not_manage_sees_no_folders(location, folder):
    reader = Caller("ann", rights=frozenset({"search"}))
    for use in (folders_of, start_sync):
        with pytest.raises(NotAllowed):
            use(reader, location, "notes")


def test_folders_of_a_copy_are_confirmed_at_a_terminal(location, folder, another_machine):
    with pytest.raises(BadInput, match=r"with `stlib sync notes`"):
        start_sync(local_caller(), location, "notes")
    shown = place_markup.sources(folders_of(local_caller(), location, "notes"))
    assert "not confirmed on this machine" in shown
