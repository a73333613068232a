"""A Ray instance to work on: one of our own on this machine, or a cluster that runs."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexing.errors import BadInput, LockedError, StorageError
from indexing.storage.files import FolderLock
from stlib.extras import require

__all__ = ["LOCAL", "THREAD", "Cluster", "check_address", "cores_here", "ray_cluster"]

logger = logging.getLogger(__name__)

LOCAL = "local"
THREAD = "stlib-ray"
"""The name of threads that wait for outcomes."""

_FOLDER = "stlib-ray-"
_LONGEST_FOLDER = 40  # names of sockets below it may have 107 bytes in all
_STORE_BYTES = 128 * 2**20  # pieces that are read and wait are a few MiB; Ray takes no less than 75 MiB
_CONNECT_SECONDS = 10.0
_END_SECONDS = 10.0
_DRIVER_VARIABLES = {
    "RAY_DATA_USAGE_DISABLED": "1"
}  # else its threads ask for metrics, longer than a load lasts
_VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
# Of names that Ray itself still uses, and of loads of so few shards that some workers get none.
_WARNINGS = (r"`use_\w+` is deprecated", r"The m\w+ number of concurrent (tasks|actors) for 'MapBatches")
_QUIET = ("ray", "ray.data")


@dataclass(frozen=True)
class Cluster:
    """Where a load runs.

    Attributes:
        address: as a person named it.
        workers: how many processes embed.
        threads: that each of them computes with.
        is_local: whether it is an instance of our own, which ends with this process.
        node: the id of the driver's node.
        socket: of the process of Ray on that node.
    """

    address: str
    workers: int
    threads: int
    is_local: bool
    node: str
    socket: str = ""

    def is_alive(self) -> bool:
        """Whether Ray lives on this node. Without it Ray would end this process some seconds later."""
        if not self.socket:
            return True
        with socket.socket(socket.AF_UNIX) as asked:
            try:
                asked.connect(self.socket)
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError:
                return True  # the path may be of another container, or too long: that says nothing
        return True


def check_address(address: str) -> None:
    """
    Raises:
        BadInput: it is no address that a load can run on.
    """
    if address in (LOCAL, "auto"):
        return
    if address.startswith("ray://"):
        raise BadInput(
            f"--ray {address}: a Ray client is on no node of its cluster, and a load must be, for its"
            " workers and its lock: start the command on a node with --ray auto or HOST:6379 (or by `ray job"
            " submit`). With the catalog in PostgreSQL (--db postgresql://…) any node will do; one in SQLite"
            " lies on that node"
        )
    host, separator, port = address.rpartition(":")
    if not (separator and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise BadInput(f"--ray {address!r}: use local, auto, or HOST:PORT of a running cluster (port 6379)")


def cores_here() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def ray_cluster(address: str, workers: int | None) -> Iterator[Cluster]:
    """Ray, started or joined for as long as the context lasts. Nothing of it stays behind: no process, no
    folder, no variable of the environment, no handler of a signal.

    Raises:
        BadInput: the address is none, or nothing answers there; this process uses another cluster already.
        MissingDependency: Ray is not installed.
    """
    check_address(address)
    ray = require("ray", "ray")
    if workers is not None and workers < 1:
        raise BadInput(f"--workers {workers}: give 1 or more")
    handlers = _handlers()
    try:
        with _quiet(), _environment(_DRIVER_VARIABLES):
            if address == LOCAL:
                with _own_instance(ray, workers or cores_here()) as cluster:
                    _set_handlers(handlers)
                    yield cluster
            else:
                with _joined(ray, address, workers) as cluster:
                    _set_handlers(handlers)
                    yield cluster
    finally:
        _set_handlers(handlers)


@contextlib.contextmanager
def _own_instance(ray: Any, workers: int) -> Iterator[Cluster]:
    """An instance that nobody else reaches: it listens on the loopback address and wants a token."""
    if ray.is_initialized():
        raise BadInput("--ray local: this process uses Ray already; name its cluster by its address, or auto")
    threads = max(1, cores_here() // workers)
    store = max(_STORE_BYTES, 16 * 2**20 * workers)
    with _instance_folder() as folder:
        try:
            with _environment(_own_variables(threads)), _on_loopback(), _without_stderr():
                ray.init(
                    address="local",
                    num_cpus=workers,
                    num_gpus=0,
                    include_dashboard=False,
                    object_store_memory=store,
                    _temp_dir=str(folder),
                    _node_ip_address="127.0.0.1",
                    **_silent(),
                )
            _require_loopback(ray)
            yield Cluster(LOCAL, workers, threads, True, *_node(ray))
        finally:
            ray.shutdown()
            _read_variables()  # as they are without ours: another cluster has another token, or none


@contextlib.contextmanager
def _joined(ray: Any, address: str, workers: int | None) -> Iterator[Cluster]:
    """A cluster that runs; a connection that this process has to it is used, and left."""
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        context = ray.get_runtime_context()
        if not ours and address not in ("auto", context.gcs_address):
            raise BadInput(f"--ray {address}: this process uses the cluster {context.gcs_address} already")
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if not cpus:
            raise BadInput(f"--ray {address}: no node of that cluster has a CPU to give")
        yield Cluster(address, workers or cpus, 1, False, *_node(ray))
    finally:
        if ours:
            ray.shutdown()


def _node(ray: Any) -> tuple[str, str]:
    """The id of this node, and the socket of its process, where this process may ask it."""
    id_ = ray.get_runtime_context().get_node_id()
    path = next((node["RayletSocketName"] for node in ray.nodes() if node["NodeID"] == id_), "")
    return id_, path if Path(path).exists() and hasattr(socket, "AF_UNIX") else ""


def _connect(ray: Any, address: str) -> None:
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise BadInput(f"--ray {address}: no Ray cluster answers there ({error})") from error
    try:
        with _environment(_VARIABLES), _without_stderr():
            ray.init(address=address, **_silent())
    except Exception as error:  # Ray lets errors of many libraries through
        said = " ".join(str(error).split())
        raise BadInput(
            f"--ray {address}: cannot join that cluster ({said}). The command must run on one of its nodes,"
            " where `ray start` was run, with the same versions of Python and Ray; a SQLite catalog lies on"
            " that node, one in PostgreSQL (--db postgresql://…) is reached from all"
        ) from error


def _silent() -> dict[str, Any]:
    return {"log_to_driver": False, "configure_logging": False, "namespace": f"stlib-{secrets.token_hex(8)}"}


def _own_variables(threads: int) -> dict[str, str | None]:
    """What the processes of our own instance see; libraries that compute keep to their share of the cores."""
    count = str(threads)
    return {
        **_VARIABLES,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_AUTH_TOKEN_PATH": None,
        "RAY_ADDRESS": None,
        "RAY_NAMESPACE": None,
        "RAY_RUNTIME_ENV_HOOK": None,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "RAYON_NUM_THREADS": count,
    }


@contextlib.contextmanager
def _environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile; None takes one away."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray takes the machine's outer address wherever it could be part of a cluster; ours never is."""
    from ray._private import ray_constants

    _read_variables()
    before = getattr(ray_constants, "ENABLE_RAY_CLUSTER", None)
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _read_variables() -> None:
    """Ray reads when it is imported whether a token is asked for, and which one: here it reads that again."""
    from ray import _raylet

    library: Any = _raylet  # its stubs lack half of it
    library.Config.initialize("")
    library.AuthenticationTokenLoader.instance().reset_cache()


def _require_loopback(ray: Any) -> None:
    """Whatever a version of Ray makes of what it is told: an instance that others reach is none of ours."""
    addresses = [node["NodeManagerAddress"] for node in ray.nodes()]
    if addresses != ["127.0.0.1"]:
        raise StorageError(
            f"the Ray instance listens on {', '.join(addresses)} instead of 127.0.0.1 and was ended: this"
            " version of Ray is another than 2.60, which was looked at"
        )


@contextlib.contextmanager
def _instance_folder() -> Iterator[Path]:
    """A folder for sockets and logs of an instance, which nobody else may enter; those of instances whose
    process was killed are removed.
    """
    parent = _short_folder()
    _remove_left_over(parent)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
    try:
        with FolderLock(folder, "lock", "a Ray instance"):
            yield folder / "r"  # which Ray opens to everybody, but nobody else comes so far
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    usual = Path("/tmp")  # noqa: S108 (what is made there is nobody else's)
    if len(os.fsencode(folder)) > _LONGEST_FOLDER and os.access(usual, os.W_OK):
        return usual
    return folder


def _remove_left_over(parent: Path) -> None:
    for folder in parent.glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError, LockedError, StorageError):
            if _is_mine(folder) and (folder / "lock").is_file():
                with FolderLock(folder, "lock", "a Ray instance"):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    """Whether this user made it. Where files have no user's number, the folder above is this user's alone."""
    user = getattr(os, "getuid", None)
    return not folder.is_symlink() and (user is None or folder.lstat().st_uid == user())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What went wrong is told in one line by who asked. Ray would also print of each worker that died, among
    what a command prints for programs.
    """
    import ray.data  # sets up its logging when it is imported
    from ray._private import auto_init_hook, worker

    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [one.level for one in loggers]
    printing, connecting = worker.print_to_stdstream, auto_init_hook.enable_auto_connect
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    worker.print_to_stdstream = _print_nothing
    auto_init_hook.enable_auto_connect = False  # a thread that asks too late would start another instance
    try:
        with warnings.catch_warnings():
            for message in _WARNINGS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        worker.print_to_stdstream = printing
        if ray.is_initialized() or _threads_ended():
            auto_init_hook.enable_auto_connect = connecting
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _threads_ended() -> bool:
    """Whether those that waited for outcomes have seen that there is no instance any more."""
    waiting = [thread for thread in threading.enumerate() if thread.name == THREAD]
    for thread in waiting:
        thread.join(_END_SECONDS)
    return not any(thread.is_alive() for thread in waiting)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """While Ray starts: its libraries write there, below Python, that they were told to be quiet."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without one, as a service may be
        kept = None
    if kept is None:
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _print_nothing(*arguments: Any, **named: Any) -> None:
    """In place of what prints messages of other processes."""


def _handlers() -> dict[signal.Signals, Any]:
    """Of signals that Ray takes for itself, so that the process would end without our clearing up."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}


def _set_handlers(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
