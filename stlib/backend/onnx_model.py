"""A transformers model that ONNX Runtime runs."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from stlib.backend.base import BackendModel
from stlib.backend.batches import Arrays, plan, run_in_parts
from stlib.backend.files import ONNX, Format, damage_error, external_data
from stlib.backend.temporary import TemporaryFolder
from stlib.errors import InvalidInput, InvalidOption
from stlib.extras import require

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"

# Tried in this order when none is asked for. TensorRT and its like build engines for minutes, so they are
# used only when asked for.
_PREFERRED = ("CUDAExecutionProvider", "ROCMExecutionProvider", CPU)

# The fused kernel takes six times as long on a CPU as an addition followed by a normalisation.
_SLOW_ON_CPU = ["SkipLayerNormFusion"]

_ERRORS = ("Fail", "InvalidGraph", "InvalidProtobuf", "InvalidArgument", "NotImplemented", "RuntimeException")

_DTYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class OnnxModel(BackendModel):
    """An ONNX file and the sessions that run it.

    On a CPU a batch is cut into small ones without padding, which run side by side, each on one thread; a
    single input or small batch uses all threads at once. Either way needs a session of its own; that for
    larger batches is opened when the first one comes. A classifier whose 8-bit numbers take their range from
    the batch runs every input by itself: a pair's score is the same whatever is scored beside it. That would
    slow embedding models down, so that theirs do move with the batch, about as much as they differ from
    float32.

    Args:
        path: the ONNX file; weights beside it are found.
        provider: an execution provider of ONNX Runtime; default: CUDA if this build has it, else the CPU.
        provider_options: options of the provider.
        session_options: an ``onnxruntime.SessionOptions`` to use as it is; default: as many threads as torch
            has.

    Raises:
        InvalidOption: this build lacks the provider.
        ModelConfigError: the file is damaged or no text encoder.
        UnsafePath: the graph reads files outside of its folder.
        MissingDependency: ONNX Runtime is not installed.
    """

    format: ClassVar[Format] = ONNX

    def __init__(
        self,
        path: Path,
        config: Any,
        task: str = "feature-extraction",
        provider: str | None = None,
        provider_options: dict[str, Any] | None = None,
        session_options: Any = None,
        temporary: TemporaryFolder | None = None,
    ) -> None:
        super().__init__(path, config, task, temporary)
        self.external_files = external_data(self.path)
        self.provider = choose_provider(provider)
        self.provider_options = provider_options
        self.session_options = session_options
        self.threads = torch.get_num_threads() if session_options is None else 1
        self._stamp = _stamp(self.path)
        self.session = self._open(self.threads)
        inputs = self.session.get_inputs()
        self.input_names = [value.name for value in inputs]
        self._check_inputs()
        self._types = {value.name: _DTYPES.get(value.type, np.int64) for value in inputs}
        self._output = self._choose_output([value.name for value in self.session.get_outputs()])
        self._in_parts = self.provider == CPU and all(
            isinstance(size, str) or size is None for value in inputs for size in value.shape
        )
        any_rows = all(not isinstance(value.shape[0], int) for value in inputs)
        self._alone = task == "sequence-classification" and any_rows and _depends_on_batch(self.path)
        self._single: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        _models.add(self)

    @property
    def batch_token_factor(self) -> int:
        """Tokens that ``encode`` gives at once for each unit of its ``batch_size``: enough small batches that
        no thread waits for long at the end; fewer where every token has a score for each word.
        """
        return 256 if self.task == "feature-extraction" else 64

    @property
    def output_shape(self) -> list[int | str | None]:
        """Sizes of the result as the graph declares them, names and None where they vary; ``[]`` if it does
        not say.
        """
        values = self.session.get_outputs()
        return next(list(value.shape or []) for value in values if value.name == self._output)

    def files(self) -> list[str]:
        return [self.path.name, *self.external_files]

    def run(self, inputs: Arrays) -> np.ndarray:
        arrays = {name: np.asarray(value, self._types[name]) for name, value in inputs.items()}
        parts = self._parts(arrays)
        if parts is None or (len(parts) == 1 and not self._alone):
            return self._run(self.session, arrays)
        session, pool = self._for_parts() if self._in_parts and len(parts) > 1 else (self.session, None)
        return run_in_parts(arrays, parts, lambda part: self._run(session, part), pool)

    def _parts(self, arrays: Arrays) -> list[tuple[np.ndarray, int]] | None:
        """Rows and length of small batches; None to run all as it is."""
        rows, width = arrays["input_ids"].shape
        parts = None
        if self._in_parts and "attention_mask" in arrays and (rows > 1 or self._alone):
            parts = plan(arrays["attention_mask"], self._alone)
        if parts is None and self._alone and rows > 1:
            return [(np.array([row]), width) for row in range(rows)]
        return parts

    def _for_parts(self) -> tuple[Any, ThreadPoolExecutor | None]:
        """The session for small batches and the threads that run them; opened once, whoever comes first."""
        with self._lock:
            # A file that was replaced meanwhile would give other results than the first session.
            if self.threads > 1 and self._single is None and _stamp(self.path) == self._stamp:
                self._single = self._open(1)
            if self._single is None:
                return self.session, None
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="stlib-onnx")
            return self._single, self._pool

    def _after_fork(self) -> None:
        # A forked process has the pool without its threads, and the lock as another thread may have held it.
        self._lock = threading.Lock()
        self._pool = None

    def _run(self, session: Any, arrays: Arrays) -> np.ndarray:
        try:
            result = session.run([self._output], arrays)[0]
        except _native_errors() as error:
            reason = str(error).strip().splitlines()[-1]
            width = arrays["input_ids"].shape[1]
            raise InvalidInput(
                f"{self.path} cannot run on inputs of {width} tokens ({reason}); if it has fewer positions, "
                "set max_seq_length, or max_length of a CrossEncoder"
            ) from error
        if result.ndim == 1:
            result = result[:, None]  # a classifier may drop the dimension of its one label
        return result if result.dtype == np.float32 else result.astype(np.float32)

    def _open(self, threads: int) -> Any:
        ort = require("onnxruntime", "onnx")
        options = self.session_options
        if options is None:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3  # errors; its warnings are about its own choices
            # Idle threads would compete with torch and the tokenizer for the cores.
            options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            return ort.InferenceSession(
                str(self.path),
                options,
                providers=[self.provider],
                provider_options=[self.provider_options] if self.provider_options else None,
                disabled_optimizers=_SLOW_ON_CPU if self.provider == CPU else None,
            )
        except _native_errors() as error:
            raise damage_error(self.path, error) from error

    def __reduce__(self) -> Any:
        # Sessions belong to a process; another one opens the file itself.
        settings = (self.provider, self.provider_options, self.session_options)
        return type(self), (self.path, self.config, self.task, *settings, self.temporary)


def _native_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's errors, which have no common base."""
    native = require("onnxruntime.capi.onnxruntime_pybind11_state", "onnx")
    return tuple(getattr(native, name) for name in _ERRORS if hasattr(native, name))


def _depends_on_batch(path: Path) -> bool:
    # Here, since the runtime brings tokenizers, which nobody needs who only imports the backends.
    from stlib.runtime.modules.onnx_files import depends_on_batch

    return depends_on_batch(path)


_models: weakref.WeakSet[OnnxModel] = weakref.WeakSet()


def _after_fork() -> None:
    for model in list(_models):
        model._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which knows no fork
    os.register_at_fork(after_in_child=_after_fork)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None if it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def choose_provider(wanted: str | None) -> str:
    """The execution provider to use.

    Raises:
        InvalidOption: this build of ONNX Runtime does not have it.
    """
    available = require("onnxruntime", "onnx").get_available_providers()
    if wanted is None:
        return next((name for name in _PREFERRED if name in available), CPU)
    if wanted not in available:
        raise InvalidOption(
            f"provider {wanted!r} is not in this build of ONNX Runtime; it has: {', '.join(available)}"
        )
    return wanted
