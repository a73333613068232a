"""Token vectors of many texts, a matrix for each, in whatever form they come: a list of matrices, or one
padded tensor with or without a mask. Scoring takes some of them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput
from stlib.util.tensor import to_tensor


class TokenRows:
    """The token vectors of ``n`` texts, of which those count that a mask does not leave out.

    Args:
        embeddings: a list of ``[tokens, d]`` tensors or arrays; a padded ``[n, tokens, d]`` tensor or array,
            in which rows of zeros are padding unless a mask says otherwise; or ``[tokens, d]`` of one text.
        mask: ``[n, tokens]``, 0 for tokens that do not count, or a list of such rows. Numbers are weights.
        name: what errors call the embeddings; the mask is ``{name}_mask``.

    Raises:
        InvalidInput: the shapes do not fit together.
    """

    def __init__(self, embeddings: Any, mask: Any = None, name: str = "embeddings") -> None:
        embeddings, mask = _batch_of_one(embeddings, _as_mask(mask, f"{name}_mask"))
        self.items: Any = embeddings
        if isinstance(embeddings, (list, tuple)):
            self.widths = [_width(item, name) for item in embeddings]
        elif embeddings.ndim == 3:
            self.widths = [embeddings.shape[1]] * len(embeddings)
        else:
            raise InvalidInput(
                f"{name} has the shape {tuple(embeddings.shape)}; token vectors are a list of [tokens, d] or "
                "one padded [n, tokens, d]"
            )
        self.weights = self._weights_of(mask, name)
        kept = None if self.weights is None else self.weights.bool()
        self.lengths: list[int] = self.widths if kept is None else kept.sum(dim=1).tolist()
        self._kept = None if self.lengths == self.widths else kept
        self._is_listed = isinstance(embeddings, (list, tuple)) or self._ends_in_padding()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def device(self) -> torch.device | None:
        """Where the vectors are; None for arrays and for no texts."""
        if isinstance(self.items, Tensor):
            return self.items.device
        first = self.items[0] if isinstance(self.items, (list, tuple)) and self.items else None
        return first.device if isinstance(first, Tensor) else None

    @property
    def dimension(self) -> int:
        """Components of a token's vector."""
        if not isinstance(self.items, (list, tuple)):
            return self.items.shape[-1]
        return next((len(item[0]) for item in self.items if len(item)), 1)

    def take(self, places: Sequence[int], device: torch.device) -> Tensor:
        """The tokens that count of some texts with at least one, ``[len(places), longest, d]`` in floats.

        Texts with fewer tokens are filled up by their last one, which changes no maximum.
        """
        lengths = [self.lengths[place] for place in places]
        longest = max(lengths)
        if self._is_listed:
            rows = torch.cat([self._item(place) for place in places]).to(device)
            if min(lengths) == longest:
                return rows.view(len(places), longest, -1)
            starts = np.cumsum([0, *lengths[:-1]])
            filled = np.minimum(np.arange(longest), np.array(lengths)[:, None] - 1) + starts[:, None]
            return _select(rows, torch.from_numpy(filled))
        padded = _as_floats(_pick(self.items, places)).to(device)
        if self._kept is None:
            return padded
        kept = _pick(self._kept, places).to(device)
        where = kept.byte().argsort(dim=1, descending=True, stable=True)
        steps = torch.arange(longest, device=device)
        ends = kept.sum(dim=1, keepdim=True) - 1
        inside = where.gather(1, torch.minimum(steps, ends))
        return _select(padded.flatten(0, 1), inside + _first_rows(padded))

    def take_weights(self, places: Sequence[int], device: torch.device) -> Tensor | None:
        """The weights ``[len(places), longest]`` of what :meth:`take` gives, 0 where texts were filled up;
        None if all are 1.
        """
        lengths = torch.tensor([self.lengths[place] for place in places])
        longest = int(lengths.max())
        inside = torch.arange(longest) < lengths.unsqueeze(1)
        if self.weights is None:
            return None if bool(inside.all()) else inside.to(device, torch.float32)
        weights = _pick(self.weights, places)
        where = weights.bool().byte().argsort(dim=1, descending=True, stable=True)[:, :longest]
        return (weights.float().gather(1, where) * inside.to(weights.device)).to(device)

    def _item(self, place: int) -> Tensor:
        item = self.items[place]
        if self._kept is None:
            return _as_floats(item)
        if not isinstance(self.items, (list, tuple)):
            return _as_floats(item[: self.lengths[place]])
        item = _as_floats(item)
        return item[self._kept[place, : len(item)].to(item.device)]

    def _ends_in_padding(self) -> bool:
        """Whether texts of a padded tensor can be cut out one by one, which is faster than picking tokens."""
        kept = self._kept
        if kept is None or getattr(self.items, "requires_grad", False):
            return False  # a gradient would be made for each text, of the size of all
        first = torch.arange(kept.shape[1]) < torch.tensor(self.lengths).unsqueeze(1)
        return torch.equal(first.to(kept.device), kept)

    def _weights_of(self, mask: Tensor | None, name: str) -> Tensor | None:
        """What each token counts, ``[n, longest]``; None where all count 1."""
        longest = max(self.widths, default=0)
        if mask is None:
            return None if isinstance(self.items, (list, tuple)) else _nonzero_rows(self.items)
        if mask.ndim != 2 or mask.shape[1] != longest or mask.shape[0] not in (1, len(self)):
            raise InvalidInput(
                f"{name}_mask has the shape {tuple(mask.shape)}, and {name} has {len(self)} texts of up to "
                f"{longest} tokens; give a mask of that shape"
            )
        mask = mask.expand(len(self), -1)
        if min(self.widths, default=0) < longest:
            inside = torch.arange(longest) < torch.tensor(self.widths).unsqueeze(1)
            mask = mask * inside.to(mask.device)
        return mask


def _batch_of_one(embeddings: Any, mask: Tensor | None) -> tuple[Any, Tensor | None]:
    if not isinstance(embeddings, (list, tuple, np.ndarray, Tensor)):
        raise InvalidInput(
            f"token vectors came as {type(embeddings).__name__}; give a tensor, an array or a list"
        )
    if isinstance(embeddings, (np.ndarray, Tensor)) and embeddings.ndim == 2:
        return embeddings[None], mask if mask is None or mask.ndim == 2 else mask.unsqueeze(0)
    return embeddings, mask


def _as_mask(mask: Any, name: str) -> Tensor | None:
    if mask is None or isinstance(mask, Tensor):
        return mask
    if isinstance(mask, np.ndarray):
        return torch.from_numpy(mask)
    if isinstance(mask, (list, tuple)):
        return torch.nn.utils.rnn.pad_sequence([to_tensor(row) for row in mask], batch_first=True)
    raise TypeError(
        f"{name} is a {type(mask).__name__}; give a tensor, an array, or a list with a row for each text"
    )


def _width(item: Any, name: str) -> int:
    shape = np.shape(item) if isinstance(item, list) else item.shape
    if len(shape) != 2:
        raise InvalidInput(
            f"{name} holds an entry of the shape {tuple(shape)}; the entries of a list are [tokens, d], one "
            "for each text"
        )
    return int(shape[0])


def _nonzero_rows(padded: Any) -> Tensor | None:
    """Which rows are no padding; None if none is."""
    found = padded[..., 0] != 0
    if not found.all():
        values = to_tensor(padded)
        found = (values.amax(dim=-1) != 0) | (values.amin(dim=-1) != 0)  # twice as fast as any()
    return None if bool(found.all()) else found


def _as_floats(values: Any) -> Tensor:
    tensor = to_tensor(values)
    return tensor if tensor.is_floating_point() else tensor.float()


def _pick(values: Any, places: Sequence[int]) -> Any:
    """Rows of a tensor or array; a view where they follow each other."""
    first, last = places[0], places[-1]
    if last - first + 1 == len(places) and list(places) == list(range(first, last + 1)):
        return values[first : last + 1]
    return values[list(places)]


def _select(rows: Tensor, places: Tensor) -> Tensor:
    """``rows [r, d]`` at ``places [n, t]``: ``[n, t, d]``."""
    chosen = rows.index_select(0, places.flatten().to(rows.device))
    return chosen.view(*places.shape, rows.shape[1])


def _first_rows(padded: Tensor) -> Tensor:
    """Number ``[n, 1]`` of each text's first row once all are in one matrix."""
    return (torch.arange(padded.shape[0], device=padded.device) * padded.shape[1]).unsqueeze(1)
