"""A transformers model that OpenVINO runs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from stlib.backend.base import BackendModel
from stlib.backend.batches import Arrays
from stlib.backend.calibration import StaticQuantization
from stlib.backend.files import OPENVINO, Format, damage_error
from stlib.backend.temporary import TemporaryFolder
from stlib.errors import InvalidOption, MissingModelFile
from stlib.extras import require
from stlib.util.forks import ThreadLock


class OpenVINOModel(BackendModel):
    """An OpenVINO file, compiled for a device.

    Args:
        path: the ``.xml`` file; its weights are in the ``.bin`` beside it.
        device: ``"CPU"``, ``"GPU"``, ``"AUTO"``, …
        ov_config: options of the device, or the path of a JSON file with them. On a CPU,
            ``INFERENCE_PRECISION_HINT`` is ``"f32"`` unless given: OpenVINO itself would take 16-bit floats
            where the processor has them, which is quicker and good to about two digits.

    Raises:
        InvalidOption: the device is unknown.
        MissingModelFile: the weights are missing.
        ModelConfigError: the file is damaged or no text encoder.
        MissingDependency: OpenVINO is not installed.
    """

    format: ClassVar[Format] = OPENVINO

    def __init__(
        self,
        path: Path,
        config: Any,
        task: str = "feature-extraction",
        device: str = "CPU",
        ov_config: dict[str, Any] | str | Path | None = None,
        temporary: TemporaryFolder | None = None,
    ) -> None:
        super().__init__(path, config, task, temporary)
        path = self.path
        if not path.with_suffix(".bin").is_file():
            raise MissingModelFile(
                f"{path} has no {path.with_suffix('.bin').name} beside it; the download stopped half-way, "
                "get the model again"
            )
        self.ov_config = _options(ov_config)
        self.device_name = device
        core = _core(require("openvino", "openvino"))
        if device.split(".")[0].split(":")[0] not in (*core.available_devices, "AUTO", "HETERO", "MULTI"):
            raise InvalidOption(
                f"OpenVINO has no device {device!r} here; it has: {', '.join(core.available_devices)}"
            )
        exact = {"INFERENCE_PRECISION_HINT": "f32"} if device == "CPU" else {}
        try:
            self.model = core.read_model(str(path))
            self.compiled = core.compile_model(self.model, device, {**exact, **self.ov_config})
        except RuntimeError as error:
            raise damage_error(path, error) from error
        self.input_names = [value.get_any_name() for value in self.model.inputs]
        self._check_inputs()
        names = [name for value in self.model.outputs for name in value.get_names()]
        self._output = self._choose_output(names) if names else ""
        self._request = self.compiled.create_infer_request()
        # A request holds the tensors of one run at a time.
        self._lock = ThreadLock()

    def files(self) -> list[str]:
        return [self.path.name, self.path.with_suffix(".bin").name]

    def run(self, inputs: Arrays) -> np.ndarray:
        with self._lock:
            results = self._request.infer(inputs, share_inputs=True)
            return np.array(results[self._output] if self._output else results[0], np.float32)

    def __reduce__(self) -> Any:
        # A compiled model belongs to a process; another one compiles the file itself.
        settings = (self.device_name, self.ov_config, self.temporary)
        return type(self), (self.path, self.config, self.task, *settings)


def convert_to_openvino(onnx_file: Path, target: Path) -> None:
    """Write an ONNX graph as OpenVINO's ``.xml`` and ``.bin``, with weights as they are."""
    openvino = require("openvino", "openvino")
    model = openvino.convert_model(str(onnx_file))
    # The default would round weights to 16 bits.
    openvino.save_model(model, str(target), compress_to_fp16=False)


def quantize_statically(
    source: OpenVINOModel, target: Path, samples: list[Arrays], settings: StaticQuantization
) -> None:
    """Write an 8-bit copy, with ranges of activations measured on samples."""
    nncf = require("nncf", "openvino")
    openvino = require("openvino", "openvino")
    inputs = [source._complete(sample) for sample in samples]
    advanced: dict[str, Any] = {}
    if settings.smooth_quant_alpha is not None:
        advanced["smooth_quant_alpha"] = settings.smooth_quant_alpha
    quantized = nncf.quantize(
        _core(openvino).read_model(str(source.path)),
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.PERFORMANCE if settings.sym else nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        fast_bias_correction=settings.fast_bias_correction,
        advanced_parameters=nncf.AdvancedQuantizationParameters(**advanced) if advanced else None,
    )
    openvino.save_model(quantized, str(target), compress_to_fp16=False)


@functools.cache
def _core(openvino: ModuleType) -> Any:
    """One for the life of the process. Its processor plugin gives signal handlers a stack of their own;
    plugins unloaded in the order they came leave a freed one, and the next signal, a Ctrl-C say, crashes.
    """
    return openvino.Core()


def _options(ov_config: dict[str, Any] | str | Path | None) -> dict[str, Any]:
    if ov_config is None or isinstance(ov_config, dict):
        return dict(ov_config or {})
    path = Path(ov_config)
    if not path.is_file():
        raise InvalidOption(f"ov_config is {str(ov_config)!r}; give a dict, or the path of a JSON file")
    return dict(json.loads(path.read_text(encoding="utf-8")))
