"""An ONNX graph whose weights stay in the file.

ONNX Runtime reads a file whole and then copies its weights, so that loading needs twice the file's size. It
maps weights into memory instead when they lie in another file, at an offset. Here that other file is the ONNX
file itself: the outline is the graph with every large weight replaced by its place in the file.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from stlib.runtime.modules.protobuf import Field, fields, message_field, number_field

# Weights of fewer bytes are copied; their places would take about as much room.
_SMALL = 2**14

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_RAW_DATA = 9
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION, _EXTERNAL = 14, 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


def outline(path: Path) -> bytes:
    """The ONNX model in ``path`` with places in that file in place of large weights.

    Raises:
        ValueError, IndexError: the file is damaged.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        parts = _replace(
            content, 0, len(content), _MODEL_GRAPH, lambda graph: _graph(content, graph, path.name)
        )
        return b"".join(parts)


def _graph(content: mmap.mmap, graph: Field, name: str) -> bytes:
    return b"".join(
        _replace(
            content, graph.begin, graph.end, _GRAPH_INITIALIZER, lambda tensor: _tensor(content, tensor, name)
        )
    )


def _tensor(content: mmap.mmap, tensor: Field, name: str) -> bytes:
    raw = [f for f in fields(content, tensor.begin, tensor.end) if f.number == _TENSOR_RAW_DATA]
    if len(raw) != 1 or raw[0].end - raw[0].begin < _SMALL:
        return content[tensor.begin : tensor.end]
    (data,) = raw
    entries = {"location": name, "offset": str(data.begin), "length": str(data.end - data.begin)}
    place = b"".join(
        message_field(
            _TENSOR_EXTERNAL_DATA,
            message_field(_ENTRY_KEY, key.encode()) + message_field(_ENTRY_VALUE, value.encode()),
        )
        for key, value in entries.items()
    )
    rest = content[tensor.begin : data.start] + content[data.end : tensor.end]
    return rest + place + number_field(_TENSOR_DATA_LOCATION, _EXTERNAL)


def _replace(
    content: mmap.mmap, start: int, end: int, number: int, replace: Callable[[Field], bytes]
) -> Iterator[bytes]:
    """The message in ``content[start:end]`` with fields of one number replaced, in pieces."""
    copied = start
    for field in fields(content, start, end):
        if field.number == number:
            yield content[copied : field.start]
            yield message_field(number, replace(field))
            copied = field.end
    yield content[copied:end]
