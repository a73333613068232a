"""Addresses of files that lie elsewhere: `s3://bucket/corpus`, whatever fsspec knows.

Who may read there is told by the environment, or by the settings of the store's own package, and never by an
address: addresses are kept in the catalog, and named in messages.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from indexing.errors import BadInput
from indexing.storage.files import disk_full, no_space
from stlib.extras import require

__all__ = [
    "WEB",
    "Address",
    "Stamp",
    "fetch_file",
    "fetch_range",
    "look_at",
    "naming",
    "open_store",
    "parse_address",
    "stamp_of",
]

_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)(::|://)(.*)", re.DOTALL)
_LOCAL = ("file", "local")
# They read other file systems, run other programs or unpack foreign archives in this process.
_WRAPPERS = frozenset(
    "arrow_hdfs async_wrapper asyncwrapper blockcache cached dask data dir dvc filecache generic git jlab "
    "jupyter libarchive pyscript reference simplecache tar zip".split()
)
WEB = ("http", "https")
"""Protocols that know no folders: a page with links is one, by a name without an extension."""
# What fsspec's own messages name otherwise, or do not name.
_PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "oci": "ocifs",
    "oss": "ossfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "webdav": "webdav4",
}
_PIECE = 4 << 20
_TAGS = ("ETag", "etag", "md5Hash", "blob_id", "generation", "version_id", "checksum", "oid")
_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
_SECRETS = re.compile(r"\?[^\s'\"<>]*|//[^\s/@]*:[^\s/@]*@")
_HOST = re.compile(r"[^:]*(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Address:
    """Where something lies: `path` as the file system of the `protocol` takes it, without "/" at its end, and
    the `server` (`me@host:22`, "" for that of the settings) where paths of this file system do not say it.
    """

    protocol: str
    path: str
    server: str | None = None

    def __str__(self) -> str:
        if self.path.startswith(f"{self.protocol}://"):
            return self.path
        server = "" if self.server is None else f"{self.server}/"
        return f"{self.protocol}://{server}{self.path.lstrip('/')}"

    def below(self, name: str) -> Address:
        """What is called `name` in this folder."""
        return replace(self, path=f"{self.path.rstrip('/')}/{name}" if self.path else name)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def to_json(self) -> dict[str, str | None]:
        """As JSON values, which are not parsed again: `memory://` itself is nothing that one could name."""
        return vars(self).copy()

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Address:
        """What `to_json` wrote. Raises `BadInput` for a file system that only leads to others."""
        address = cls(**told)
        if address.protocol in _LOCAL:
            raise BadInput(f"a load was planned with {address}, which is no address of another machine")
        _refuse_wrapper(address.protocol, "://")
        return address


@dataclass(frozen=True)
class Stamp:
    """By what a file is known again: bytes (-1: unknown), when it was changed (nanoseconds since 1970, 0:
    unknown), and what the store says of its content ("" for nothing).
    """

    size: int
    modified: int = 0
    tag: str = ""

    def difference(self, now: Stamp, grain: int = 10**9) -> str:
        """How a file has changed since; "" if it is the same as far as both tell. Times are the same that
        differ by less than `grain` nanoseconds.
        """
        if min(self.size, now.size) >= 0 and self.size != now.size:
            return f"it had {self.size:,} bytes and has {now.size:,}"
        if self.tag and now.tag:
            return "" if self.tag == now.tag else "it has another content (its tag is another)"
        # Some stores tell the time to the second in one answer and more exactly in another.
        if self.modified and now.modified and abs(self.modified - now.modified) >= grain:
            return f"it was changed at {_moment(now.modified)}"
        return ""


def parse_address(text: str) -> Address | Path:
    """What a person named: a path of this machine (`docs`, `file:///docs`), or an address.

    Raises:
        BadInput: it holds a password or a query, or names a file system that only leads to others.
    """
    found = _FORM.fullmatch(text)
    if not found or "://" not in text:
        return Path(text)
    protocol, joint, rest = found[1].lower(), found[2], found[3]
    _refuse_wrapper(protocol, "::" if "::" in rest else joint)
    if protocol in _LOCAL:
        return Path(unquote(rest) if protocol == "file" else rest)
    _refuse_secrets(protocol, rest)
    if not rest.strip("/"):
        raise BadInput(f"the address {protocol}:// names nothing: give it as {protocol}://bucket/folder")
    store = _class_of(protocol)
    return _address_of(store, protocol, rest)


def _address_of(store: Any, protocol: str, rest: str) -> Address:
    """The address in whose own text `store`, a class, finds all that it finds in the one given: the path, and
    on which server it is.
    """
    text = f"{protocol}://{rest}"
    path = str(store._strip_protocol(text))
    path = path.rstrip("/") or path[:1]
    server, settings = rest.partition("/")[0], store._get_kwargs_from_urls(text)
    for address in (Address(protocol, path), Address(protocol, path, server)):
        there = str(store._strip_protocol(str(address)))
        if store._get_kwargs_from_urls(str(address)) == settings and there.rstrip("/") == path.rstrip("/"):
            return address
    raise BadInput(
        f"the address {protocol}://… says more than a place: name a bucket or a server, and a path"
        " there; what else there is to say is told by the environment, or by the store's own settings"
    )


def open_store(address: Address) -> Any:
    """The file system of an address, as fsspec has it: on the server that the address names.

    Raises:
        BadInput: it cannot be used, for want of a package or of credentials.
    """
    fsspec = require("fsspec", "remote")
    store = _class_of(address.protocol)
    with naming(f"{address.protocol}:// addresses", "used"):
        return fsspec.filesystem(address.protocol, **store._get_kwargs_from_urls(str(address)))


def look_at(store: Any, address: Address) -> Mapping[str, Any]:
    """What the store says of what is at `address` now.

    Raises:
        BadInput: there is nothing, or it may not be looked at.
    """
    with naming(str(address)):
        store.invalidate_cache()
        info: Mapping[str, Any] = store.info(address.path)
        return info


def stamp_of(info: Mapping[str, Any]) -> Stamp:
    """The stamp of a file, of what a listing or a look at it tells."""
    size = info.get("size")
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), "")
    moment = next((info[name] for name in _TIMES if info.get(name)), None)
    return Stamp(-1 if size is None else int(size), _nanoseconds(moment), tag.strip('"'))


def fetch_range(store: Any, address: Address, begin: int, end: int) -> bytes:
    """Bytes `begin` to before `end` of a file. Raises `BadInput` if they cannot be had, or others
    come, as from a store that gives only all of a file.
    """
    with naming(str(address)):
        data: bytes = store.cat_file(address.path, start=begin, end=end)
    if len(data) != end - begin:
        raise BadInput(f"{address} gave {len(data):,} bytes where {end - begin:,} were asked for")
    return data


def fetch_file(store: Any, address: Address, target: Path, size: int) -> None:
    """Copies a file of `size` bytes (-1: unknown) to `target`. Raises `BadInput` if it cannot be had."""
    count = 0
    with naming(str(address)), store.open(address.path, "rb") as stream, target.open("wb") as copy:
        while piece := stream.read(_PIECE):
            copy.write(piece)
            count += len(piece)
    if size >= 0 and count != size:
        raise BadInput(f"{address} gave {count:,} bytes and should have {size:,}: it was changed meanwhile")


@contextmanager
def naming(what: str, done: str = "read") -> Iterator[None]:
    """Whatever a store raises says in one line what could not be `done`, and what to do. A disk that is full
    here is no fault of the store: `DiskFull`.
    """
    try:
        yield
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(
            f"there is nothing at {what}, or it may not be seen; nothing of it was read"
        ) from error
    except PermissionError as error:
        raise BadInput(f"{what} may not be {done}: {_reason(error)}; {_CREDENTIALS}") from error
    except NotImplementedError as error:
        raise BadInput(f"{what} cannot be {done}: its file system has no such reading") from error
    except Exception as error:  # the border to packages that raise what they like
        if no_space(error):
            raise disk_full(Path(tempfile.gettempdir())) from error
        hint = f"; {_CREDENTIALS}" if "redential" in f"{type(error).__name__} {error}" else ""
        raise BadInput(f"{what} cannot be {done}: {_reason(error)}{hint}") from error


_CREDENTIALS = "credentials are those of the environment, or of the store's own settings, never in an address"


def _reason(error: BaseException) -> str:
    """One line of a foreign message, without what may be a secret in an address."""
    text = " ".join(_SECRETS.sub("", str(error)).split())[:_LONGEST_REASON]
    return text or type(error).__name__


def _refuse_wrapper(protocol: str, joint: str) -> None:
    if joint == "::" or protocol in _WRAPPERS:
        raise BadInput(
            f"the address begins with {protocol}{joint}, which leads to other file systems: name the"
            " folder itself, s3://bucket/folder"
        )


def _refuse_secrets(protocol: str, rest: str) -> None:
    """Raises `BadInput`, which does not repeat what it refuses."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    # The secret may have a "/" in it, and then what follows the ":" is no number of a port.
    if ":" in user or (user and protocol in WEB) or not _HOST.fullmatch(host):
        raise BadInput(
            f"the address {protocol}://… has a user's password in it, and addresses are kept and shown:"
            f" leave it away; {_CREDENTIALS}"
        )
    if protocol in WEB and ("?" in rest or "#" in rest):
        raise BadInput(
            f"the address {protocol}://{host}… has a query (?…) or a mark (#…) in it, which may hold a key,"
            f" and addresses are kept and shown: leave it away; {_CREDENTIALS}"
        )


def _class_of(protocol: str) -> Any:
    """The class of a file system. Raises `BadInput` which names the package that is missing."""
    fsspec = require("fsspec", "remote")
    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        what = f"run: pip install {package}" if package else str(error)
        raise BadInput(f"{protocol}:// addresses need a package that is missing; {what}") from error
    except ValueError as error:
        raise BadInput(
            f"no file system is called {protocol}://; there are s3, gs, az, hf, http, sftp and others that"
            " fsspec knows, and paths of this machine"
        ) from error


def _nanoseconds(moment: Any) -> int:
    """Of what stores give as a time; 0 for what is none."""
    try:
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        if isinstance(moment, datetime):
            moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
            return int(moment.timestamp() * 1e6) * 1000
        return int(float(moment) * 1e9) if moment is not None else 0
    except (ValueError, OverflowError, TypeError):
        return 0


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
