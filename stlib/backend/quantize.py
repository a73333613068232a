"""``export_dynamic_quantized_onnx_model`` and ``export_static_quantized_openvino_model``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stlib.backend.calibration import calibration_texts, openvino_settings_of
from stlib.backend.openvino_model import OpenVINOModel, quantize_statically
from stlib.backend.optimize import onnx_model_of
from stlib.backend.publish import save_or_push_to_hub_model
from stlib.backend.quantize_graph import quantize_graph, settings_of
from stlib.errors import InvalidOption


def export_dynamic_quantized_onnx_model(
    model: Any,
    quantization_config: Any,
    model_name_or_path: str,
    push_to_hub: bool = False,
    create_pr: bool = False,
    file_suffix: str | None = None,
) -> None:
    """Write ``onnx/model_<suffix>.onnx`` with 8-bit weights; no calibration is needed.

    The file chooses the range of 8-bit activations for each batch. ``CrossEncoder`` and the torch-free
    ``Reranker`` and ``Encoder`` therefore run every input by itself; ``SentenceTransformer.encode`` runs
    batches, which is faster, and a vector moves with those beside it about as much as it differs from
    float32's. ``encode(…, batch_size=1)`` gives vectors that do not.

    Args:
        model: loaded with ``backend="onnx"`` from a file of 32-bit floats.
        quantization_config: the processor it is for, ``"arm64"``, ``"avx2"``, ``"avx512"`` or
            ``"avx512_vnni"``; or an object or dict with Optimum's ``weights_dtype``, ``per_channel``,
            ``reduce_range``, ``operators_to_quantize`` and ``nodes_to_exclude``.
        model_name_or_path: folder to write to, or repository id with ``push_to_hub``.
        push_to_hub: upload instead.
        create_pr: upload as a pull request.
        file_suffix: default: e.g. ``"qint8_avx512_vnni"``, or ``"qint8_quantized"`` for an object.

    Raises:
        InvalidOption: the model has another backend, or the configuration is unknown.
        MissingDependency: the packages of the extra ``onnx`` are missing.
    """
    source = onnx_model_of(model)
    settings = settings_of(quantization_config)
    if file_suffix is None:
        end = quantization_config if isinstance(quantization_config, str) else "quantized"
        file_suffix = f"{settings.dtype_name}_{end}"

    def write(folder: str) -> None:
        quantize_graph(source.path, Path(folder) / f"model_{file_suffix}.onnx", settings, source.config)

    save_or_push_to_hub_model(
        write,
        "export_dynamic_quantized_onnx_model",
        settings,
        model_name_or_path,
        push_to_hub,
        create_pr,
        file_suffix,
        "onnx",
        model,
    )


def export_static_quantized_openvino_model(
    model: Any,
    quantization_config: Any,
    model_name_or_path: str,
    dataset_name: str | None = None,
    dataset_config_name: str | None = None,
    dataset_split: str | None = None,
    column_name: str | None = None,
    push_to_hub: bool = False,
    create_pr: bool = False,
    file_suffix: str = "qint8_quantized",
) -> None:
    """Write ``openvino/openvino_model_<suffix>.xml`` and ``.bin``, 8-bit weights and activations.

    The ranges of activations are measured on texts: those of ``quantization_config``, or a data set's.

    Args:
        model: loaded with ``backend="openvino"``.
        quantization_config: None, or an object or dict with ``num_samples`` (300), ``dataset`` (a list of
            texts), ``fast_bias_correction``, ``smooth_quant_alpha`` and ``sym``.
        model_name_or_path: folder to write to, or repository id with ``push_to_hub``.
        dataset_name: a data set of ``datasets.load_dataset``; default: GLUE's SST-2. The four arguments of
            the data set are given together or not at all.
        dataset_config_name: its configuration.
        dataset_split: its split.
        column_name: its column of texts.
        push_to_hub: upload instead.
        create_pr: upload as a pull request.
        file_suffix: end of the file's name.

    Raises:
        InvalidOption: the model has another backend, or arguments do not fit together.
        MissingDependency: the packages of the extra ``openvino`` are missing, or ``datasets``.
    """
    source = getattr(model, "transformers_model", None)
    if not isinstance(source, OpenVINOModel):
        raise InvalidOption(
            "the model must be a transformer loaded with backend='openvino'; this one's backend is "
            f"{getattr(model, 'backend', None)!r}"
        )
    settings = openvino_settings_of(quantization_config)
    where = (dataset_name, dataset_config_name, dataset_split, column_name)
    texts = calibration_texts(settings, where)

    def write(folder: str) -> None:
        samples = [dict(model.tokenizer(text, truncation=True, return_tensors="np")) for text in texts]
        target = Path(folder) / "openvino" / "openvino_model.xml"
        target.parent.mkdir()
        quantize_statically(source, target, samples, settings)

    save_or_push_to_hub_model(
        write,
        "export_static_quantized_openvino_model",
        settings,
        model_name_or_path,
        push_to_hub,
        create_pr,
        file_suffix,
        "openvino",
        model,
    )
