"""Sessions of ONNX Runtime on the CPU; the only place that imports it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from stlib.errors import MissingDependency, ModelConfigError
from stlib.runtime.modules.base import available_cores
from stlib.runtime.modules.onnx_outline import outline

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# The fused kernel takes several times as long on a CPU as an addition followed by a normalisation.
_SLOW_ON_CPU = ["SkipLayerNormFusion"]

_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"

# ONNX Runtime's errors have no common base.
_ERRORS = (
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NoSuchFile",
    "NotImplemented",
    "RuntimeException",
)


def open_session(path: Path, has_external: bool, threads: int | None = None) -> InferenceSession:
    """A session that runs an ONNX file, with the weights mapped from the file rather than read.

    Args:
        path: the ONNX file.
        has_external: whether weights lie beside it.
        threads: that run one batch; None takes all cores that the process may use.

    Raises:
        MissingDependency: ONNX Runtime is not installed.
        ModelConfigError: the file is damaged, or too new for this version.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native
    except ImportError as error:
        raise MissingDependency(
            f"{path} runs on ONNX Runtime, which is not installed: pip install onnxruntime"
        ) from error
    errors = tuple(getattr(native, name) for name in _ERRORS)
    # A download cache holds links; ONNX Runtime accepts weights below the folder that it is told only.
    place = path if has_external else path.resolve()
    options = _options(onnxruntime, threads)
    options.add_session_config_entry(_FOLDER_OF_WEIGHTS, str(place.parent))
    try:
        return _session(onnxruntime, outline(place), options)
    except (*errors, ValueError, IndexError):
        pass  # a version that cannot map; what is wrong with the file itself shows again below
    try:
        return _session(onnxruntime, str(path), _options(onnxruntime, threads))
    except errors as error:
        reason = " ".join(str(error).split())
        raise ModelConfigError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it ({reason}); "
            "copy or export the model again"
        ) from error


def run_session(session: InferenceSession, path: Path, output: str, feed: dict[str, NDArray[Any]]) -> Any:
    """One output of a session.

    Raises:
        ModelConfigError: the graph cannot run on these inputs, such as more tokens than it has positions.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    try:
        return session.run([output], feed)[0]
    except tuple(getattr(native, name) for name in _ERRORS) as error:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())
        if "input_ids" in feed:
            shapes += f", token ids up to {feed['input_ids'].max(initial=0):,}"
        raise ModelConfigError(
            f"{path}: ONNX Runtime cannot run it on {shapes} ({' '.join(str(error).split())}); "
            "if texts are too long for it, write a max_seq_length into sentence_bert_config.json; "
            "if it has no row for a token, tokenizer.json is of another model"
        ) from error


def _session(onnxruntime: Any, model: str | bytes, options: Any) -> InferenceSession:
    return onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW_ON_CPU
    )


def _options(onnxruntime: Any, threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = available_cores() if threads is None else threads
    # Threads that wait for the next step of a run do so in a loop, a quarter quicker than being woken. Not
    # for long, since on a busy machine the thread that they wait for may need their core; and not between
    # runs. Older versions ignore the limit.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options
