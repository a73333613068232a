"""A home is known where it was used, and its copies are not."""

from __future__ import annotations

import os
import shutil

import pytest

from indexing.storage.homes import HOME_ID, home_is_known, remember_home
from indexing.storage.machine import read_record, state_folder

pytestmark = pytest.mark.usefixtures("another_machine")


@pytest.fixture
def known(home):
    home.mkdir()
    assert not home_is_known(home)
    assert remember_home(home)
    return home


def test_a_home_that_was_used_is_known_by_any_of_its_paths(known, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(known)
    monkeypatch.chdir(tmp_path)
    assert home_is_known(known)
    assert home_is_known(tmp_path / "link")
    assert home_is_known(known.name)


def test_to_remember_it_again_changes_nothing(known):
    before = (known / HOME_ID).read_bytes(), read_record("homes")
    assert remember_home(known)
    assert ((known / HOME_ID).read_bytes(), read_record("homes")) == before


def test_a_copy_is_not_known(known, tmp_path):
    copy = shutil.copytree(known, tmp_path / "copy")
    assert (copy / HOME_ID).read_bytes() == (known / HOME_ID).read_bytes()
    assert not home_is_known(copy)
    assert home_is_known(known)


def test_a_copy_that_is_used_by_hand_gets_an_id_of_its_own(known, tmp_path):
    copy = shutil.copytree(known, tmp_path / "copy")
    assert remember_home(copy)
    assert home_is_known(copy)
    assert home_is_known(known)
    assert (copy / HOME_ID).read_bytes() != (known / HOME_ID).read_bytes()


def test_a_copy_in_its_place_is_not_known(known, tmp_path):
    shutil.copytree(known, tmp_path / "copy")
    known.rename(tmp_path / "away")
    (tmp_path / "copy").rename(known)
    assert not home_is_known(known)
    assert not home_is_known(tmp_path / "away")


def test_another_machine_does_not_know_it(known, tmp_path, monkeypatch):
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "elsewhere"))
    assert not home_is_known(known)
    assert not state_folder().exists()  # looking makes nothing


def test_a_home_that_is_used_anew_leaves_one_entry(known):
    (known / HOME_ID).unlink()
    assert not home_is_known(known)
    assert remember_home(known)
    assert len(read_record("homes")) == 1


@pytest.mark.parametrize(
    "content", [b"", b"x" * 31, b"x" * 33, b"\xff" * 32, b"../../../../../../../../../etc/a"]
)
def test_an_id_that_nobody_wrote_is_not_known(known, content):
    (known / HOME_ID).write_bytes(content)
    assert not home_is_known(known)


def test_a_pipe_in_place_of_the_id_is_not_waited_for(known):
    (known / HOME_ID).unlink()
    os.mkfifo(known / HOME_ID)
    assert not home_is_known(known)
    assert remember_home(known)
    assert home_is_known(known)


def test_without_a_home_or_a_state_nothing_is_remembered(home, caplog):
    assert not home_is_known(home)
    assert not remember_home(home)
    home.mkdir()
    shutil.rmtree(state_folder())
    state_folder().write_text("in the way")
    assert not remember_home(home)
    assert not home_is_known(home)
    assert caplog.text.count("cannot be remembered") == 2
