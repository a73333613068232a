"""Sounds, pictures and films of a batch: taken out of their dicts, and read from files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from stlib.base.modality.kinds import infer_modality, is_frames, is_url
from stlib.errors import InvalidInput, MissingDependency

# A server that does not answer must not stop a program for good.
_TIMEOUT_SECONDS = 30.0
# Nor must one that never stops answering.
_MAX_BYTES = 256 * 2**20

Found = defaultdict[str, dict[str, Any]]


def unwrap_audio(value: Any, found: Found) -> Any:
    """The samples of ``{"array", "sampling_rate"}``, of a decoder, or of a list of these; others as they are.

    The rate goes to ``found["audio"]["sampling_rate"]``, one for the whole batch, as processors want it.

    Raises:
        InvalidInput: the rates of a batch differ.
    """
    if isinstance(value, (list, tuple)):
        return [unwrap_audio(item, found) for item in value]
    if isinstance(value, dict):
        if "sampling_rate" in value:
            _note_rate(value["sampling_rate"], found)
        return value["array"]
    if type(value).__module__.startswith("torchcodec"):
        samples = value.get_all_samples()
        _note_rate(samples.sample_rate, found)
        return samples.data.mean(dim=0).numpy()
    return value


def unwrap_video(value: Any, found: Found) -> Any:
    """The frames of ``{"array", "video_metadata"}``, of a decoder, or of a list of films; others as they are.

    ``found["video"]["video_metadata"]`` gets one entry per film, None for a film without data.
    """
    if is_frames(value):
        value = {"array": value}
    if isinstance(value, (list, tuple)):
        return [film for item in value for film in _as_list(unwrap_video(item, found))]
    metadata = found["video"].setdefault("video_metadata", [])
    if isinstance(value, dict):
        metadata.append(value.get("video_metadata"))
        frames = value["array"]
        return [list(frames)] if isinstance(frames, (list, tuple)) else frames
    if type(value).__module__.startswith("torchcodec"):
        frames = value.get_frames_in_range(0, len(value)).data
        metadata.append(
            {
                "fps": value.metadata.average_fps,
                "total_num_frames": value.metadata.num_frames,
                "duration": value.metadata.duration_seconds,
                "frames_indices": list(range(len(frames))),
            }
        )
        return frames
    metadata.append(None)
    return value


def reconcile_video_metadata(typed: Sequence[tuple[Any, Any]], found: Found) -> None:
    """Complete the data of films when some have data and some have none; drop them when none has any.

    Raises:
        InvalidInput: a film without data is a file, so its length is not known.
    """
    metadata = found.get("video", {}).get("video_metadata", [])
    if all(entry is None for entry in metadata):
        found.get("video", {}).pop("video_metadata", None)
        if "video" in found and not found["video"]:
            del found["video"]
        return
    films = [
        film
        for kind, value in typed
        if kind == "video" or (isinstance(kind, tuple) and "video" in kind)
        for film in _as_list(value["video"] if isinstance(kind, tuple) else value)
    ]
    for position, (entry, film) in enumerate(zip(metadata, films, strict=True)):
        if entry is not None:
            continue
        if isinstance(film, str) or not hasattr(film, "__len__"):
            raise InvalidInput(
                "some films of the batch have 'video_metadata' and a film that is a file has none; "
                "pass it for all films or for none"
            )
        metadata[position] = {
            "total_num_frames": len(film),
            "fps": None,
            "duration": None,
            "frames_indices": list(range(len(film))),
        }


def refuse_bare_addresses(inputs: Sequence[Any], supported: Sequence[Any]) -> None:
    """Refuse a web address that is a whole input: whether to download it is the caller's decision.

    Raises:
        InvalidInput: an input is the address of something the model would take.
    """
    for position, item in enumerate(inputs):
        if isinstance(item, str) and is_url(item):
            kind = infer_modality(item, supported)
            if kind != "text":
                raise InvalidInput(
                    f"input {position} is an address, {item!r}; pass {{{kind!r}: …}} to have it downloaded, "
                    "or {'text': …} to encode its letters"
                )


def read_files(modality: Any, values: dict[str, list[Any]], found: Found, rate: int | None) -> None:
    """Replace the paths of pictures and sounds by what the files hold, in place.

    Films are left to transformers, which needs a decoder for them; frames need none.

    Args:
        modality: kind of the batch.
        values: inputs by kind, from ``InputFormatter.parse_inputs``.
        found: keywords found in the inputs; gets the rate of sound files.
        rate: samples per second that the model's processor takes.

    Raises:
        InvalidInput: a file is missing or holds something else, or the rate of a sound differs.
        MissingDependency: pillow or soundfile is needed.
    """
    if modality == "message":
        values["message"] = [
            [_read_message(m, found, rate) for m in messages] for messages in values["message"]
        ]
        return
    if "image" in values:
        values["image"] = [_each(value, read_image) for value in values["image"]]
    if "audio" in values:
        values["audio"] = [_each(value, lambda v: _read_sound(v, found, rate)) for value in values["audio"]]


def read_image(source: Any) -> Any:
    """A picture of PIL (RGB, upright) from a path, address or data URI; other values as they are.

    Raises:
        InvalidInput: there is no such file, or it is no picture.
        MissingDependency: pillow is not installed.
    """
    if not isinstance(source, str):
        return source
    try:
        import PIL  # noqa: F401 - transformers would say less about its absence
        from transformers.image_utils import load_image
    except ImportError as error:
        raise MissingDependency("pictures need pillow; run: pip install pillow") from error
    try:
        return load_image(_download(source) if is_url(source) else source)
    except (ValueError, OSError) as error:  # also what PIL and urllib raise
        raise InvalidInput(f"no picture could be read from {source[:200]!r}: {error}") from error


def read_audio(path: str) -> tuple[np.ndarray, int]:
    """The samples ``[n]`` of a sound file as float32, channels averaged, and their rate per second.

    Raises:
        InvalidInput: there is no such file, it is no sound, or an address.
        MissingDependency: soundfile is not installed.
    """
    try:
        import soundfile
    except ImportError as error:
        raise MissingDependency("sound files need soundfile; run: pip install soundfile") from error
    if not Path(path).is_file():
        raise InvalidInput(f"there is no sound file {path[:200]!r}; check the path, addresses are not read")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InvalidInput(f"{path!r} is no sound that soundfile reads: {error}") from error
    return samples.mean(axis=1), int(rate)


def _download(address: str) -> Any:
    """The picture at a web address, as it is stored there."""
    from urllib.request import urlopen

    from PIL import Image

    with urlopen(address, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - is_url lets http(s) through only
        content = response.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidInput(f"{address!r} holds more than {_MAX_BYTES} bytes; save the picture to a file")
    return Image.open(BytesIO(content))


def _read_sound(value: Any, found: Found, rate: int | None) -> Any:
    if not isinstance(value, str):
        return value
    samples, own = read_audio(value)
    if rate is not None and own != rate:
        raise InvalidInput(
            f"{value!r} has {own} samples per second and the model takes {rate}; resample the file"
        )
    _note_rate(own, found)
    return samples


def _read_message(message: dict[str, Any], found: Found, rate: int | None) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_read_part(part, found, rate) for part in content]}


def _read_part(part: Any, found: Found, rate: int | None) -> Any:
    if isinstance(part, dict) and isinstance(part.get("image"), str):
        return {**part, "image": read_image(part["image"])}
    if isinstance(part, dict) and isinstance(part.get("audio"), (str, dict)):
        return {**part, "audio": _read_sound(unwrap_audio(part["audio"], found), found, rate)}
    return part


def _note_rate(rate: int, found: Found) -> None:
    known = found["audio"].setdefault("sampling_rate", rate)
    if known != rate:
        raise InvalidInput(
            f"one batch holds sounds of {known} and {rate} samples per second; "
            "resample them, or encode each rate in a call of its own"
        )


def _each(value: Any, read: Any) -> Any:
    return [read(item) for item in value] if isinstance(value, (list, tuple)) else read(value)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
