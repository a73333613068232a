"""Settings of static quantisation and the texts on which it measures the ranges of activations."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from stlib.errors import InvalidOption
from stlib.extras import require

# The data set that Sentence Transformers calibrates on: short sentences of film reviews.
_DEFAULT_DATASET = ("nyu-mll/glue", "sst2", "train", "sentence")


@dataclass(frozen=True)
class StaticQuantization:
    """How OpenVINO models become 8-bit.

    Args:
        num_samples: texts to measure on, at most.
        dataset: the texts; None takes a data set.
        fast_bias_correction: correct layers by the mean error only, which needs far less time.
        smooth_quant_alpha: how much of the range of activations is moved into weights, 0 to 1; None leaves
            it to NNCF.
        sym: symmetric ranges of activations too.
    """

    num_samples: int = 300
    dataset: list[str] | None = None
    fast_bias_correction: bool = True
    smooth_quant_alpha: float | None = None
    sym: bool = False


def openvino_settings_of(config: Any) -> StaticQuantization:
    """Settings from None, a dict, or an object with the attributes of Optimum's configuration.

    Raises:
        InvalidOption: an unknown key, another width than 8 bits, or no texts.
    """
    if config is None:
        return StaticQuantization()
    if isinstance(config, StaticQuantization):
        return config
    names = [field.name for field in fields(StaticQuantization)]
    if isinstance(config, dict):
        unknown = sorted(set(config) - {*names, "bits"})
        if unknown:
            raise InvalidOption(
                f"quantization_config has unknown keys: {', '.join(unknown)}; it takes: {', '.join(names)}"
            )
        values = dict(config)
    else:
        values = {name: getattr(config, name) for name in (*names, "bits") if hasattr(config, name)}
        if not values:
            raise InvalidOption(
                f"quantization_config is a {type(config).__name__}; use None, a dict, or an object with: "
                f"{', '.join(names)}"
            )
    if values.pop("bits", 8) != 8:
        raise InvalidOption("quantization_config asks for other than 8 bits; static quantisation is to int8")
    if values.get("num_samples") is None:
        values.pop("num_samples", None)
    dataset = values.get("dataset")
    if isinstance(dataset, str):
        raise InvalidOption(
            f"quantization_config's dataset is {dataset!r}; give a list of texts, or name a data set by "
            "dataset_name, dataset_config_name, dataset_split and column_name"
        )
    return StaticQuantization(**values)


def calibration_texts(settings: StaticQuantization, where: tuple[str | None, ...]) -> list[str]:
    """Texts to calibrate on.

    Args:
        settings: with texts of their own, or without.
        where: name, configuration, split and column of a data set.

    Raises:
        InvalidOption: the data set is described in part, or there are no texts.
    """
    if any(part is not None for part in where) and None in where:
        raise InvalidOption(
            "dataset_name, dataset_config_name, dataset_split and column_name go together; give all or none"
        )
    if where[0] is None and settings.dataset is not None:
        texts = [str(text) for text in settings.dataset[: settings.num_samples]]
    else:
        name, config_name, split, column = where if where[0] is not None else _DEFAULT_DATASET
        datasets = require("datasets", "train")
        rows = datasets.load_dataset(name, config_name, split=split)
        texts = [str(text) for text in rows[: settings.num_samples][column]]
    if not texts:
        raise InvalidOption("there are no texts to calibrate on; give quantization_config={'dataset': […]}")
    return texts
