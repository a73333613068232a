"""Files of models, local first: a folder on disk, then the Hugging Face cache, then (only then) the
network.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PureWindowsPath
from typing import Any

from stlib.errors import ModelNotFound, NotAFolder, UnsafePath
from stlib.util.plain_files import check_file, check_folder

logger = logging.getLogger(__name__)

_DOWNLOADS = ("disabled_tqdm", "http_get")

ANSWER_SECONDS = 4.0
"""For the hub's first answer: whoever mistyped a name, or has no network, is told soon."""

# What one repository may hold in formats that this library never reads when it loads a torch model.
_NEVER_READ = (
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.onnx_data",
    "onnx/*",
    "openvino/*",
    "*.tflite",
    "coreml/*",
    "*.gguf",
    "*.mlmodel",
    "rust_model*",
    "tf_model*",
    "flax_model*",
)


def load_file_path(
    model_name_or_path: str,
    filename: str,
    subfolder: str = "",
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> str | None:
    """Path of one file of a model, or None if the model has no such file.

    A folder is looked into and nowhere else; for a model id the cache comes before the network.

    Raises:
        UnsafePath: the file name or subfolder leaves the model.
    """
    relative = check_relative_path(subfolder) / check_relative_path(filename)
    root = Path(model_name_or_path)
    if root.is_dir():
        if not (root / relative).exists():
            return None
        check_file(root / relative)
        return str(root / relative)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError

    for offline in (True,) if local_files_only else (True, False):
        try:
            return hf_hub_download(
                model_name_or_path,
                filename=relative.as_posix(),
                revision=revision,
                token=token,
                cache_dir=cache_folder,
                local_files_only=offline,
            )
        except LocalEntryNotFoundError:
            continue
        except (EntryNotFoundError, HFValidationError):
            return None
    return None


def load_dir_path(
    model_name_or_path: str,
    subfolder: str = "",
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> str | None:
    """Path of a model's folder or of a folder inside it, or None if there is none.

    Raises:
        UnsafePath: the subfolder leaves the model.
    """
    relative = check_relative_path(subfolder)
    root = Path(model_name_or_path)
    if not root.is_dir():
        try:
            root = resolve_model_folder(model_name_or_path, token, cache_folder, revision, local_files_only)
        except ModelNotFound as error:
            logger.debug("%s", error)
            return None
    return str(root / relative) if (root / relative).is_dir() else None


def is_sentence_transformer_model(
    model_name_or_path: str,
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> bool:
    """Whether a folder or model id has a ``modules.json``, the mark of a saved pipeline."""
    found = load_file_path(
        model_name_or_path, "modules.json", "", token, cache_folder, revision, local_files_only
    )
    return found is not None


def resolve_model_folder(
    model_name_or_path: str,
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    exported: Sequence[str] = (),
    onnx_alone: bool = False,
) -> Path:
    """The local folder of a model: itself, its snapshot in the cache, or a fresh download into the cache.

    A cached model is used without asking the network whether it changed; pass a ``revision`` to get a certain
    one. For ``exported`` see :func:`download_model`. With ``onnx_alone`` an ONNX file and a tokenizer are
    enough for a snapshot, which may also be what was fetched of a model that has more.

    Raises:
        ModelNotFound: no such folder, not in the cache, and not to be downloaded.
        ModelConfigError, UnsafePath: it holds what must not be opened; see
            :func:`~stlib.util.plain_files.check_folder`.
    """
    root = Path(model_name_or_path)
    if root.is_dir():
        check_folder(root)
        return root
    if root.is_file():
        raise NotAFolder(
            f"{str(model_name_or_path)!r} is a file; a model is a folder or a model id like 'owner/name'"
        )
    if not _is_model_id(str(model_name_or_path)):
        raise ModelNotFound(
            f"there is no folder {model_name_or_path!r}; check the path (a model id is 'owner/name')"
        )
    cached = _find_snapshot(str(model_name_or_path), cache_folder, revision, onnx_alone)
    if cached is not None:
        check_folder(cached)
        return cached
    if local_files_only:
        raise ModelNotFound(
            f"{model_name_or_path!r} is neither a folder nor (completely) in the cache, and "
            "local_files_only=True forbids the download; pass local_files_only=False once, or a folder's path"
        )
    return download_model(str(model_name_or_path), token, cache_folder, revision, exported)


def check_relative_path(path: str | Path) -> Path:
    """A path below a model's folder.

    Raises:
        UnsafePath: it is absolute, has a drive, or contains ``..``.
    """
    text = str(path)
    # Windows rules know both separators and drives, and so are the stricter ones everywhere.
    windows = PureWindowsPath(text)
    if windows.anchor or ".." in windows.parts or "\0" in text:
        raise UnsafePath(
            f"the path {text!r} leaves the model's folder; only relative paths without '..' are allowed"
        )
    return Path(text)


def _is_model_id(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _find_snapshot(
    model_id: str, cache_folder: str | None, revision: str | None, onnx_alone: bool = False
) -> Path | None:
    """Folder of a cached snapshot that has at least one file to start from; a half-filled one is no
    snapshot.
    """
    from huggingface_hub import try_to_load_from_cache

    for entry in ("modules.json", "config.json", "adapter_config.json"):
        found = try_to_load_from_cache(model_id, entry, cache_dir=cache_folder, revision=revision)
        if isinstance(found, str) and _has_weights(Path(found).parent):
            return Path(found).parent
    if onnx_alone:
        found = try_to_load_from_cache(model_id, "tokenizer.json", cache_dir=cache_folder, revision=revision)
        if isinstance(found, str) and any(Path(found).parent.rglob("*.onnx")):
            return Path(found).parent
    return None


def _has_weights(folder: Path) -> bool:
    return any(folder.rglob("*.safetensors")) or any(folder.rglob("*.bin")) or any(folder.rglob("*.onnx"))


def download_model(
    model_id: str,
    token: bool | str | None,
    cache_folder: str | None,
    revision: str | None,
    exported: Sequence[str] = (),
) -> Path:
    """Fetch those files of a model that the cache lacks; returns the folder in the cache.

    Args:
        model_id: ``"owner/name"``, or a bare name.
        token: access token, or True for the stored one.
        cache_folder: default: the Hugging Face cache.
        revision: branch, tag or commit.
        exported: patterns of files of another engine than torch. If the model has any, they are fetched in
            place of torch's weights in the root.

    Raises:
        ModelNotFound: the hub does not have it, does not show it, or does not answer.
    """
    from huggingface_hub import snapshot_download

    try:
        names = _list_files(model_id, token, revision)
        skip = list(_NEVER_READ)
        chosen = {name for name in names if any(fnmatch(name, pattern) for pattern in exported)}
        root_weights = [name for name in names if name.endswith(".safetensors") and "/" not in name]
        if chosen or root_weights:
            skip += ["pytorch_model*.bin"]
        if chosen:
            skip += root_weights
        wanted = [name for name in names if name in chosen or not any(fnmatch(name, p) for p in skip)]
        folder = snapshot_download(
            model_id, revision=revision, token=token, cache_dir=cache_folder, allow_patterns=wanted
        )
    except _download_errors() as error:
        raise ModelNotFound(
            f"{model_id!r} is neither a folder nor in the cache, and could not be downloaded "
            f"({type(error).__name__}: {_first_line(error)}); check the name, your connection or token"
        ) from error
    check_folder(Path(folder))
    return Path(folder)


def _list_files(model_id: str, token: bool | str | None, revision: str | None) -> list[str]:
    """The files of a model on the hub.

    Raises:
        TimeoutError: no answer in `ANSWER_SECONDS`: a firewall that swallows what it forbids looks like this,
            and no client bounds the look-up of the hub's address.
    """
    from huggingface_hub import HfApi

    answer: queue.SimpleQueue[list[str] | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = HfApi(token=token).model_info(model_id, revision=revision, timeout=ANSWER_SECONDS)
            answer.put([file.rfilename for file in found.siblings or ()])
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            answer.put(error)

    threading.Thread(target=ask, name="hub", daemon=True).start()
    try:
        found = answer.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"the hub did not answer in {ANSWER_SECONDS:g} s") from None
    if isinstance(found, BaseException):
        raise found
    return found


def _download_errors() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises: its own errors and those of requests derive from these two; those of
    httpx and its successor, its clients since version 1, do not.
    """
    clients = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return OSError, ValueError, *(client.HTTPError for client in clients if client is not None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def __getattr__(name: str) -> Any:
    # Downloads of other files live beside their progress bars; this path is the documented one.
    if name in _DOWNLOADS:
        from stlib.util import download

        return getattr(download, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOWNLOADS})
