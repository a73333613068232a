"""Smaller codes for float embeddings.

Precisions (``d`` dimensions per vector):

==========  ==================  =======================================================
precision   dtype, width        code of component ``x`` in the range ``[lo, hi]``
==========  ==================  =======================================================
float32     float32, d          ``x``
uint8       uint8, d            ``floor((x - lo) / ((hi - lo) / 255))``, clipped to 0..255
int8        int8, d             the uint8 code minus 128
ubinary     uint8, ceil(d / 8)  bit ``x > 0``, most significant bit first
binary      int8, ceil(d / 8)   the ubinary byte minus 128
==========  ==================  =======================================================

Works on numpy arrays without torch; tensors are accepted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.lists import refuse_text

Precision = Literal["float32", "int8", "uint8", "binary", "ubinary"]

PRECISIONS: tuple[str, ...] = ("float32", "int8", "uint8", "binary", "ubinary")

# Fewer vectors than this give ranges that move a lot from sample to sample.
MIN_CALIBRATION_ROWS = 100

# Values coded at a time, so that what is made of them in between stays in a core's cache: 512 KiB of float32
# buckets, or as much of signs.
_BUCKETS_AT_A_TIME = 2**17
_SIGNS_AT_A_TIME = 2**19

logger = logging.getLogger(__name__)


def quantize_embeddings(
    embeddings: Any,
    precision: Precision,
    ranges: np.ndarray | None = None,
    calibration_embeddings: np.ndarray | None = None,
) -> Any:
    """Quantise float embeddings.

    Args:
        embeddings: ``[n, d]`` or ``[d]`` array, tensor or list of vectors; or a list of ``[tokens, d]``
            matrices of different lengths, which share one set of ranges and come back as a list.
        precision: see the table of this module.
        ranges: ``[2, d]``, lowest and highest value per dimension, for int8 and uint8.
        calibration_embeddings: ``[m, d]`` vectors whose extremes are the ranges when ``ranges`` is not given.
            Without either, the extremes of ``embeddings`` themselves are used, which makes codes of different
            calls incomparable.

    Returns:
        Codes with the dtype and width of the table.

    Raises:
        InvalidOption: the precision is unknown.
        InvalidInput: the embeddings are integers already, or ranges would have to come from one single
            vector.
    """
    if precision not in PRECISIONS:
        raise InvalidOption(f"precision {precision!r} is unknown; use one of: {', '.join(PRECISIONS)}")
    refuse_text(embeddings=embeddings, ranges=ranges)
    if isinstance(embeddings, list):
        if not embeddings:
            return []
        matrices = [as_array(item) for item in embeddings]
        if matrices[0].ndim == 2:
            return _quantize_matrices(matrices, precision, ranges, calibration_embeddings)
        embeddings = np.stack(matrices)
    values = as_array(embeddings)
    if values.dtype in (np.int8, np.uint8):
        raise InvalidInput(f"the embeddings are {values.dtype} codes already; pass float embeddings")
    if precision == "float32":
        return values.astype(np.float32)
    if precision in ("int8", "uint8"):
        return _scalar_codes(values, precision, ranges, calibration_embeddings)
    return _sign_bits(values, precision)


def dequantize_scalar(
    codes: np.ndarray, precision: Literal["int8", "uint8"], ranges: np.ndarray
) -> np.ndarray:
    """Lower edges of the buckets that int8 or uint8 codes stand for, float64, same shape as the codes."""
    low, step = _bucket_edges(ranges)
    offset = 128 if precision == "int8" else 0
    return (codes.astype(np.float64) + offset) * step + low


def calibration_ranges(
    embeddings: np.ndarray, precision: str, calibration_embeddings: np.ndarray | None = None
) -> np.ndarray:
    """Lowest and highest value per dimension, ``[2, d]``, of the calibration vectors or else of the
    embeddings.

    Raises:
        InvalidInput: there is one vector only, whose range is empty.
    """
    if calibration_embeddings is None:
        n_rows = 1 if embeddings.ndim == 1 else len(embeddings)
        if n_rows == 1:
            raise InvalidInput(
                f"ranges for {precision} cannot come from a single embedding; pass `ranges` or "
                "`calibration_embeddings` of representative texts"
            )
        if n_rows < MIN_CALIBRATION_ROWS:
            logger.warning(
                "%s ranges come from %d embeddings only; pass `ranges` or `calibration_embeddings`",
                precision,
                n_rows,
            )
        sample = embeddings
    else:
        sample = as_array(calibration_embeddings)
    blocks = [sample[rows] for rows in _blocks(sample, _BUCKETS_AT_A_TIME)]
    low = np.min([block.min(axis=0) for block in blocks], axis=0)
    return np.vstack((low, np.max([block.max(axis=0) for block in blocks], axis=0)))


def as_array(values: Any) -> np.ndarray:
    """A numpy array from an array, tensor (any device, bfloat16 included) or nested list."""
    if hasattr(values, "detach"):  # a torch tensor, recognised without importing torch
        values = values.detach()
        # numpy has no bfloat16
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).cpu().numpy()
    return np.asarray(values)


def _quantize_matrices(
    matrices: list[np.ndarray],
    precision: Precision,
    ranges: np.ndarray | None,
    calibration_embeddings: np.ndarray | None,
) -> list[np.ndarray]:
    if precision in ("int8", "uint8") and ranges is None:
        rows = np.concatenate(matrices)
        if len(rows) or calibration_embeddings is not None:
            ranges = calibration_ranges(rows, precision, calibration_embeddings)
    return [quantize_embeddings(matrix, precision, ranges=ranges) for matrix in matrices]


def _scalar_codes(
    values: np.ndarray, precision: str, ranges: np.ndarray | None, calibration_embeddings: np.ndarray | None
) -> np.ndarray:
    dtype = np.dtype(precision)
    if values.size == 0:
        return np.zeros(values.shape, dtype=dtype)
    if ranges is None:
        ranges = calibration_ranges(values, precision, calibration_embeddings)
    low, step = _bucket_edges(as_array(ranges))
    codes = _by_blocks(partial(_bucket_codes, low=low, step=step), values, values.shape, _BUCKETS_AT_A_TIME)
    return _make_signed(codes) if precision == "int8" else codes


def _bucket_codes(values: np.ndarray, low: np.ndarray, step: np.ndarray) -> np.ndarray:
    buckets = values - low
    with np.errstate(over="ignore"):  # far outside a tiny range; the infinite is clipped to its end
        buckets /= step
    buckets.clip(0, 255, out=buckets)
    return buckets.astype(np.uint8)  # cuts the fraction off, which is the floor from 0 on


def _sign_bits(values: np.ndarray, precision: str) -> np.ndarray:
    shape = (*values.shape[:-1], -(-values.shape[-1] // 8))
    bits = _by_blocks(lambda rows: np.packbits(rows > 0, axis=-1), values, shape, _SIGNS_AT_A_TIME)
    return _make_signed(bits) if precision == "binary" else bits


def _by_blocks(
    code: Callable[[np.ndarray], np.ndarray], values: np.ndarray, shape: tuple[int, ...], size: int
) -> np.ndarray:
    """``code(values)``, made for about ``size`` values at a time; it has the given shape."""
    if values.size <= size or values.ndim == 1:
        return code(values)
    codes = np.empty(shape, dtype=np.uint8)
    for rows in _blocks(values, size):
        codes[rows] = code(values[rows])
    return codes


def _make_signed(codes: np.ndarray) -> np.ndarray:
    """Unsigned bytes minus 128, in place."""
    return np.bitwise_xor(codes, 0x80, out=codes).view(np.int8)


def _blocks(values: np.ndarray, size: int) -> Iterator[slice]:
    """Rows that have about ``size`` values together."""
    n_rows = max(1, size // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), n_rows):
        yield slice(start, start + n_rows)


def _bucket_edges(ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest edge and width of the 255 buckets per dimension; a constant dimension gets width 1."""
    low, high = ranges.astype(np.float32, copy=False)
    step = (high - low) / 255
    return low, np.where(step == 0, np.float32(1), step)
