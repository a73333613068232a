"""Where Milvus is and how it is asked: from the environment alone, never from a catalog.

A collection that was copied here is a stranger's: an address in it would have this machine connect, and send
a token, to wherever the stranger likes.

    STLIB_MILVUS                 http://host:19530, https://host:19530, or a path that ends in .db (Milvus
                                 Lite)
    STLIB_MILVUS_TOKEN, STLIB_MILVUS_TOKEN_FILE    user:password, or an API key; or a file that holds it
    STLIB_MILVUS_DATABASE        of Milvus; default: its own default
    STLIB_MILVUS_SECONDS         a search waits for at most
    STLIB_MILVUS_WRITE_SECONDS   so does a batch of rows that is written, or an index that is made
    STLIB_MILVUS_CONSISTENCY     session, strong or bounded: how recent searches have to be
    STLIB_MILVUS_REPLICAS        in memory, of each collection
    STLIB_MILVUS_SHARDS          that rows of a collection are written to
    STLIB_MILVUS_VECTORS         auto, float32, float16, int8 or binary: how a vector is kept there
    STLIB_MILVUS_MMAP            1: vectors are mapped from disk there instead of held in memory
    STLIB_MILVUS_FALLBACK        local: vectors are kept in files of this machine too, for when Milvus is away
    STLIB_MILVUS_CA, STLIB_MILVUS_CERTIFICATE, STLIB_MILVUS_KEY, STLIB_MILVUS_NAME    for https: files in PEM
                                 (of who signed the server; of this client), and the name it is signed for
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from indexing.errors import BadInput, StorageError

__all__ = ["ADDRESS_VARIABLE", "MilvusSettings", "is_configured", "read_settings"]

ADDRESS_VARIABLE = "STLIB_MILVUS"
LITE_SUFFIX = ".db"
DEFAULT_PORT, DEFAULT_TLS_PORT = 19530, 443

CONSISTENCIES = ("session", "strong", "bounded")
VECTORS = ("auto", "float32", "float16", "int8", "binary")
FALLBACKS = ("off", "local")

_EXAMPLES = f"http://host:{DEFAULT_PORT}, https://host:{DEFAULT_PORT}, or a path that ends in {LITE_SUFFIX}"
_MOST_TOKEN = 16_384

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class MilvusSettings:
    """How Milvus is reached and used.

    Attributes:
        address: as messages show it: without user, password and token; of Milvus Lite the absolute path.
        token: what it is told; empty for none.
        seconds: until a search, or anything else that reads, ends with an error. Five: a search of millions
            takes tens of milliseconds, a cluster that moves segments some seconds, and nobody waits longer.
        write_seconds: the same of a batch that is written, and of an index or a load that is waited for.
        consistency: `session` sees every row up to the watermark that the search counts on, and no more is
            needed; `strong` waits for what others write at the moment too; `bounded` waits for nothing, and
            may miss rows of the last seconds.
        replicas: copies in the memory of query nodes: searches a second, and none lost with one of them.
        shards: of a collection; writing grows with it, and searching has more to merge.
        vectors: the type of the field; `auto` takes the one of the generation's precision.
        mmap: whether query nodes map vectors from their disks.
        fallback: whether files for FAISS are kept besides.
        ca, certificate, key, name: see the module.
    """

    address: str
    token: str = field(default="", repr=False)
    database: str = ""
    seconds: float = 5.0
    write_seconds: float = 60.0
    consistency: str = "session"
    replicas: int = 1
    shards: int = 1
    vectors: str = "auto"
    mmap: bool = False
    fallback: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    name: str = ""

    @property
    def is_lite(self) -> bool:
        """Whether it is Milvus Lite, a folder of this machine that one process at a time has open."""
        return _is_path(self.address)

    @property
    def is_secure(self) -> bool:
        return not self.is_lite and urlsplit(self.address).scheme == "https"

    @property
    def target(self) -> str:
        """`host:port` of a server."""
        parts = urlsplit(self.address)
        host = parts.hostname or ""
        port = parts.port or (DEFAULT_TLS_PORT if self.is_secure else DEFAULT_PORT)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_configured(environment: Mapping[str, str] | None = None) -> bool:
    """Whether anybody said where Milvus is."""
    return bool(_environment(environment).get(ADDRESS_VARIABLE, "").strip())


def read_settings(environment: Mapping[str, str] | None = None) -> MilvusSettings:
    """
    Raises:
        BadInput: nobody said where Milvus is, or a variable has a value that it cannot have; the message
            names the variable and what is allowed, and never shows a token.
        StorageError: the file of the token cannot be read.
    """
    given = _environment(environment)
    address, user = _read_address(given.get(ADDRESS_VARIABLE, "").strip())
    token = _read_token(given)
    if user and token:
        raise BadInput(
            f"{ADDRESS_VARIABLE} has a user in its address, and {ADDRESS_VARIABLE}_TOKEN is set too: say one"
        )
    certificate, key = _file(given, "CERTIFICATE"), _file(given, "KEY")
    if bool(certificate) != bool(key):
        raise BadInput(f"{ADDRESS_VARIABLE}_CERTIFICATE and {ADDRESS_VARIABLE}_KEY belong together: set both")
    return MilvusSettings(
        address=address,
        token=token or user,
        database=given.get(f"{ADDRESS_VARIABLE}_DATABASE", "").strip(),
        seconds=_number(given, "SECONDS", float, 5.0, 0.05, 600.0),
        write_seconds=_number(given, "WRITE_SECONDS", float, 60.0, 0.05, 3_600.0),
        consistency=_choice(given, "CONSISTENCY", CONSISTENCIES),
        replicas=_number(given, "REPLICAS", int, 1, 1, 64),
        shards=_number(given, "SHARDS", int, 1, 1, 16),  # what Milvus allows
        vectors=_choice(given, "VECTORS", VECTORS),
        mmap=_choice(given, "MMAP", ("0", "1")) == "1",
        fallback=_choice(given, "FALLBACK", FALLBACKS) == "local",
        ca=_file(given, "CA"),
        certificate=certificate,
        key=key,
        name=given.get(f"{ADDRESS_VARIABLE}_NAME", "").strip(),
    )


def _is_path(address: str) -> bool:
    return address.endswith(LITE_SUFFIX) and "://" not in address


def _environment(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def _read_address(text: str) -> tuple[str, str]:
    """The address that may be shown, and `user:password` where it had them."""
    if not text:
        raise BadInput(
            f"the vector engine milvus needs to know where Milvus is: set {ADDRESS_VARIABLE} to {_EXAMPLES};"
            " or use the engine 'faiss'"
        )
    if _is_path(text):
        return str(Path(text).expanduser().absolute()), ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # what it says may be half a password
        raise BadInput(
            f"{ADDRESS_VARIABLE} is no address: set it to {_EXAMPLES}; write / # ? @ : of a password as"
            f" %2F %23 %3F %40 %3A, or set {ADDRESS_VARIABLE}_TOKEN"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        kind = "no host" if parts.scheme in ("http", "https") else f"the scheme {parts.scheme!r}"
        raise BadInput(f"{ADDRESS_VARIABLE} has {kind}: set it to {_EXAMPLES}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise BadInput(
            f"{ADDRESS_VARIABLE} has more than host and port: set it to {_EXAMPLES}, and the database by"
            f" {ADDRESS_VARIABLE}_DATABASE"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""), _user(parts)


def _user(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    return unquote(parts.username) + ("" if parts.password is None else f":{unquote(parts.password)}")


def _read_token(given: Mapping[str, str]) -> str:
    variable = f"{ADDRESS_VARIABLE}_TOKEN"
    token, file = given.get(variable, "").strip(), given.get(f"{variable}_FILE", "").strip()
    if token and file:
        raise BadInput(f"{variable} and {variable}_FILE are both set: set one")
    if not file:
        return token
    try:
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(_MOST_TOKEN).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StorageError(f"{variable}_FILE: {file} cannot be read: {reason}") from None


def _number(given: Mapping[str, str], name: str, kind: type[T], usual: T, least: T, most: T) -> T:
    variable = f"{ADDRESS_VARIABLE}_{name}"
    text = given.get(variable, "").strip()
    if not text:
        return usual
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:  # NaN is not either
        what = "a whole number" if kind is int else "a number"
        raise BadInput(f"{variable}={text!r} is not allowed: give {what} from {least:g} to {most:g}")
    return value


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """The first that is allowed stands where nothing is said."""
    variable = f"{ADDRESS_VARIABLE}_{name}"
    text = given.get(variable, "").strip().lower() or allowed[0]
    if text not in allowed:
        raise BadInput(f"{variable}={text!r} is not allowed: give one of {', '.join(allowed)}")
    return text


def _file(given: Mapping[str, str], name: str) -> str:
    variable = f"{ADDRESS_VARIABLE}_{name}"
    path = given.get(variable, "").strip()
    if path and not Path(path).is_file():
        raise BadInput(f"{variable}: there is no file {path}; it names one in PEM")
    return path
