"""Where Milvus is: from the environment, checked, and never shown with a token."""

from __future__ import annotations

import pytest

from indexing.errors import BadInput, StorageError
from indexing.milvus.settings import is_configured, read_settings

SECRET = "hush-hush"


def at(address, **variables):
    return read_settings(
        {"STLIB_MILVUS": address, **{f"STLIB_MILVUS_{name}": value for name, value in variables.items()}}
    )


@pytest.mark.parametrize(
    ("address", "shown", "target"),
    [
        ("http://milvus:19530", "http://milvus:19530", "milvus:19530"),
        ("http://milvus", "http://milvus", "milvus:19530"),
        ("https://in01.example.com/", "https://in01.example.com", "in01.example.com:443"),
        ("http://[::1]:7", "http://[::1]:7", "[::1]:7"),
    ],
)
def test_an_address_names_host_and_port(address, shown, target):
    settings = at(address)
    assert (settings.address, settings.target, settings.is_lite) == (shown, target, False)
    assert settings.is_secure == address.startswith("https")


def test_a_path_is_milvus_lite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert at("near.db").address == str(tmp_path / "near.db")
    assert at("near.db").is_lite


def test_a_host_whose_name_ends_as_the_path_of_milvus_lite_is_a_server():
    settings = at("http://vectors.db")
    assert (settings.address, settings.target) == ("http://vectors.db", "vectors.db:19530")
    assert not settings.is_lite
    assert at("https://vectors.db").is_secure


def test_a_certificate_without_its_key_is_refused(tmp_path):
    file = tmp_path / "client.pem"
    file.write_text("-----BEGIN CERTIFICATE-----")
    for one in ("CERTIFICATE", "KEY"):
        with pytest.raises(BadInput, match="belong together"):
            at("https://milvus", **{one: str(file)})
    assert at("https://milvus", CERTIFICATE=str(file), KEY=str(file)).certificate == str(file)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "set STLIB_MILVUS to"),
        ("milvus:19530", "the scheme 'milvus'"),
        ("tcp://milvus:19530", "the scheme 'tcp'"),
        ("http://", "no host"),
        ("http://milvus:port", "is no address"),
        ("http://milvus:99999", "is no address"),
        ("http://milvus:19530/other", "STLIB_MILVUS_DATABASE"),
        ("file:///home/ann/x.db", "the scheme 'file'"),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_allowed(address, said):
    with pytest.raises(BadInput, match=said) as caught:
        at(address)
    assert "http://host:19530" in str(caught.value)


def test_a_password_in_the_address_becomes_the_token_and_is_not_shown():
    settings = at(f"http://root:{SECRET}%21@milvus:19530")
    assert (settings.address, settings.token) == ("http://milvus:19530", f"root:{SECRET}!")
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_errors_never_show_a_password():
    for address in (
        f"http://root:{SECRET}@milvus:x",
        f"http://root:{SECRET}/x@milvus:19530",
        f"http://root:{SECRET}@milvus/db",
        f"ftp://u:{SECRET}@h",
    ):
        with pytest.raises(BadInput) as caught:
            at(address)
        assert SECRET not in str(caught.value)
        assert "http://host:19530" in str(caught.value)
    with pytest.raises(BadInput, match="say one") as caught:
        at(f"http://root:{SECRET}@milvus", TOKEN=SECRET)
    assert SECRET not in str(caught.value)


def test_a_token_may_lie_in_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"root:{SECRET}\n")
    assert at("http://milvus", TOKEN_FILE=str(file)).token == f"root:{SECRET}"
    with pytest.raises(BadInput, match="are both set"):
        at("http://milvus", TOKEN_FILE=str(file), TOKEN="other")
    with pytest.raises(StorageError, match="cannot be read"):
        at("http://milvus", TOKEN_FILE=str(tmp_path / "missing"))


def test_what_is_not_said_has_its_usual_value():
    settings = at("http://milvus")
    assert (settings.seconds, settings.write_seconds, settings.consistency) == (5.0, 60.0, "session")
    assert (settings.replicas, settings.shards, settings.vectors, settings.mmap) == (1, 1, "auto", False)
    assert (settings.token, settings.database, settings.fallback) == ("", "", False)


def test_values_are_those_of_the_environment():
    said = {
        "SECONDS": "0.5",
        "REPLICAS": "2",
        "CONSISTENCY": "Strong",
        "FALLBACK": "local",
        "DATABASE": "team",
    }
    settings = at("http://milvus", **said, VECTORS="float16", MMAP="1", SHARDS="4", WRITE_SECONDS="9")
    assert (settings.seconds, settings.write_seconds, settings.replicas) == (0.5, 9.0, 2)
    assert (settings.consistency, settings.fallback, settings.database) == ("strong", True, "team")
    assert (settings.vectors, settings.mmap, settings.shards) == ("float16", True, 4)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SECONDS", "soon", "a number from 0.05 to 600"),
        ("SECONDS", "nan", "a number from 0.05 to 600"),
        ("SECONDS", "0", "from 0.05"),
        ("WRITE_SECONDS", "1e9", "to 3600"),
        ("REPLICAS", "1.5", "a whole number from 1 to 64"),
        ("SHARDS", "17", "from 1 to 16"),
        ("CONSISTENCY", "eventually", "session, strong, bounded"),
        ("VECTORS", "int4", "auto, float32, float16, int8, binary"),
        ("MMAP", "yes", "0, 1"),
        ("FALLBACK", "remote", "off, local"),
        ("CA", "/no/such/file.pem", "there is no file"),
    ],
)
def test_other_values_are_refused_with_what_is_allowed(name, value, allowed):
    with pytest.raises(BadInput, match=f"STLIB_MILVUS_{name}.*{allowed}"):
        at("http://milvus", **{name: value})


def test_nothing_is_configured_by_spaces():
    assert not is_configured({})
    assert not is_configured({"STLIB_MILVUS": "  "})
    assert is_configured({"STLIB_MILVUS": "http://milvus"})
