"""`stlib keys`, and what `stlib serve` says when it cannot begin."""

from __future__ import annotations

import json
import re
import socket

import pytest

from app.cli import main
from app.facade.caller import local_caller
from app.facade.keys import key_caller, list_keys, make_key
from app.settings import Location


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


def test_a_key_is_shown_once_listed_and_revoked(stlib, home):
    assert stlib("keys", "list") == (0, "no keys yet: `stlib keys make NAME` makes one\n", "")
    code, secret, err = stlib(
        "keys", "make", "reports", "--scope", "write", "--collection", "notes", "--days", 30
    )
    id_ = secret.split("_")[1]
    assert code == 0 and re.fullmatch(r"stk_[0-9a-f]{12}_[\w-]{43}\n", secret)
    assert (
        err == f"stlib: key {id_} for 'reports' is shown this once; send it as `Authorization: Bearer KEY`\n"
    )
    caller = key_caller(Location(home), secret.strip())
    assert (caller.name, caller.rights, caller.collections) == (
        "reports",
        {"search", "judge", "write"},
        {"notes"},
    )
    _, listed, _ = stlib("keys", "list")
    assert re.search(rf"^{id_}  reports  write  notes        20\d\d-\d\d-\d\d  valid$", listed, re.MULTILINE)
    assert secret.strip() not in listed
    assert stlib("keys", "revoke", id_) == (0, f"key {id_} is revoked\n", "")
    [said] = json.loads(stlib("keys", "list", "--json")[1])["keys"]
    assert (said["id"], said["state"]) == (id_, "revoked")
    assert stlib("keys", "revoke", id_)[::2] == (
        1,
        f"stlib: there is no key '{id_}' to revoke; those that hold: none\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "make", "a", "--scope", "root"], 2, "'root' is not one of 'read', 'write', 'admin'"),
        (["keys", "make", "a", "--days", "nan"], 2, "nan is no number of days"),
        (["keys", "make", "a", "--days", "-1"], 1, "give a number above 0"),
        (["keys", "make", " "], 1, "a key needs a name on one line"),
        (["keys", "make", "a", "--collection", "../b"], 1, "collection name '../b'"),
        (["serve", "--port", "70000"], 2, "70000 is not in the range 0<=x<=65535"),
        (["serve", "--workers", "0"], 2, "0 is not in the range 1<=x<=64"),
        (["serve", "--host", "192.0.2.1"], 1, "cannot listen on port 8800 of 192.0.2.1"),
        (["serve", "--host", "no such host"], 1, "cannot listen on port 8800 of no such host"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(stlib, arguments, code, said):
    ended, out, err = stlib(*arguments)
    assert (ended, out) == (code, "") and said in err.splitlines()[-1], err
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_told(stlib):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = stlib("serve", "--port", port)
    assert (code, err.startswith(f"stlib: cannot listen on port {port} of 127.0.0.1: ")) == (1, True)


def test_a_setting_that_cannot_be_names_its_variable(stlib, monkeypatch):
    monkeypatch.setenv("STLIB_RATE", "often")
    code, _, err = stlib("serve")
    assert code == 1 and err.startswith("stlib: STLIB_RATE: ") and err.endswith("got 'often'\n")


def test_expired_keys_are_forgotten_a_week_later(home, monkeypatch):
    caller, location, day, now = local_caller("cli"), Location(home), 86_400.0, 1.7e9

    def names_after(name, at, days):
        monkeypatch.setattr("app.facade.keys.time.time", lambda: now + at * day)
        make_key(caller, location, name, days=days)
        return [key.name for key in list_keys(caller, location)]

    names_after("program", 0, None)
    names_after("ann", 0, 0.5)
    assert names_after("bob", 7, 0.5) == ["program", "ann", "bob"]
    assert names_after("carl", 8, 0.5) == ["program", "bob", "carl"]
    assert names_after("dora", 60, 30) == ["program", "dora"]
