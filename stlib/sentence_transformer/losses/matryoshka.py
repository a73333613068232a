"""Any loss at several sizes of the embeddings."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.gradcache import uses_gradient_cache
from stlib.base.losses.replaced import replace, unwrap
from stlib.base.model import BaseModel
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.wrapped import check_cut, check_wrapped
from stlib.util.lists import refuse_text

logger = logging.getLogger(__name__)


class MatryoshkaLoss(nn.Module):
    """The weighted sum of a loss over the first dimensions of the embeddings, for several sizes.

    The model learns to put what matters most first, so that its embeddings can be cut with little loss:
    ``SentenceTransformer(…, truncate_dim=128)``. Cut embeddings are scaled to unit length. The model runs
    once for all sizes.

    Args:
        model: the model to train, the same as that of ``loss``.
        loss: any loss that embeds with its ``model``. With one that caches gradients, sizes are taken where
            it computes from the embeddings.
        matryoshka_dims: sizes, in any order. The whole size should be among them.
        matryoshka_weights: one for each size; 1 by default.
        n_dims_per_step: draw so many of the sizes in each step, which is quicker; -1 takes all.

    Raises:
        InvalidOption: there are no sizes, one is not positive or larger than the embeddings, or weights and
            sizes differ in number; or ``loss`` cannot read smaller embeddings, or gives several numbers.

    References:
        - Kusupati et al., "Matryoshka Representation Learning", arXiv:2205.13147

    Inputs:
        Those of ``loss``. Labels that are embeddings of the whole size are cut as well.

    Relations:
        - ``Matryoshka2dLoss`` trains smaller numbers of layers, too.
        - ``AdaptiveLayerLoss`` does so for layers alone.

    Example::

        inner = losses.MultipleNegativesRankingLoss(model)
        loss = losses.MatryoshkaLoss(model, inner, matryoshka_dims=[768, 512, 256, 128, 64])
    """

    def __init__(
        self,
        model: Any,
        loss: nn.Module,
        matryoshka_dims: Sequence[int],
        matryoshka_weights: Sequence[float] | None = None,
        n_dims_per_step: int = -1,
    ) -> None:
        super().__init__()
        check_model(self, model)
        check_wrapped(self, loss)
        refuse_text(matryoshka_dims=matryoshka_dims, matryoshka_weights=matryoshka_weights)
        weights = [1] * len(matryoshka_dims) if matryoshka_weights is None else list(matryoshka_weights)
        _check_dims(matryoshka_dims, weights, model.get_embedding_dimension())
        check_cut(self, loss, matryoshka_dims)
        self.model = model
        self.loss = loss
        # Falling, so that each size is cut from the one before.
        in_order = sorted(zip(matryoshka_dims, weights, strict=True), key=lambda pair: pair[0], reverse=True)
        self.matryoshka_dims = tuple(dim for dim, _ in in_order)
        self.matryoshka_weights = tuple(weight for _, weight in in_order)
        self.n_dims_per_step = n_dims_per_step

    @property
    def uses_gradient_cache(self) -> bool:
        """Whether the inner loss does."""
        return uses_gradient_cache(self.loss)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        if self.uses_gradient_cache:
            inner: Any = self.loss
            with replace(inner, "calculate_loss", _CutCalculation(self, inner.calculate_loss)):
                return inner(sentence_features, labels)
        columns = list(sentence_features)
        cut = _CutForward(self.model.forward)
        loss: Any = 0.0
        with replace(self.model, "forward", cut):
            for i in sorted(self._draw_sizes()):
                cut.next_size(self.matryoshka_dims[i])
                loss = loss + self.matryoshka_weights[i] * self.loss(columns, self._cut_labels(labels, i))
        return loss

    def _draw_sizes(self) -> Sequence[int]:
        """Places of the sizes of this step."""
        everything = range(len(self.matryoshka_dims))
        if 0 < self.n_dims_per_step < len(everything):
            return random.sample(everything, self.n_dims_per_step)
        return everything

    def _cut_labels(self, labels: Any, i: int) -> Any:
        """Embeddings ``[n, d]`` or ``[n, columns, d]`` to learn from are cut too; other labels stay."""
        if not isinstance(labels, Tensor) or labels.ndim not in (2, 3):
            return labels
        model = unwrap(self.model, BaseModel) or self.model
        whole = model.get_embedding_dimension()
        return labels[..., : self.matryoshka_dims[i]] if labels.size(-1) == whole else labels

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "loss": type(self.loss).__name__,
            "matryoshka_dims": self.matryoshka_dims,
            "matryoshka_weights": self.matryoshka_weights,
            "n_dims_per_step": self.n_dims_per_step,
        }

    @property
    def citation(self) -> str:
        return """
@misc{kusupati2024matryoshka,
    title={Matryoshka Representation Learning},
    author={Aditya Kusupati and Gantavya Bhatt and Aniket Rege and Matthew Wallingford and Aditya Sinha
      and Vivek Ramanujan and William Howard-Snyder and Kaifeng Chen and Sham Kakade and Prateek Jain
      and Ali Farhadi},
    year={2024},
    eprint={2205.13147},
    archivePrefix={arXiv},
    primaryClass={cs.LG}
}
"""


class _CutForward:
    """A model's forward pass whose sentence embeddings are cut to a size.

    The inner loss calls it for the same columns at each size; from the second size on, the outputs of the
    first serve in the order of the calls.
    """

    def __init__(self, forward: Callable[..., dict[str, Any]]) -> None:
        self._forward = forward
        self._outputs: list[dict[str, Any]] = []
        self._recording = False
        self._dim = 0
        self._calls = 0

    def next_size(self, dim: int) -> None:
        self._recording = not self._outputs
        self._dim = dim
        self._calls = 0

    def __call__(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if self._recording:
            self._outputs.append(self._forward(features, **kwargs))
        output = self._outputs[self._calls]
        self._calls += 1
        output["sentence_embedding"] = cut(output["sentence_embedding"], self._dim)
        return output


class _CutCalculation:
    """``calculate_loss`` of a loss with cached gradients, at several sizes."""

    def __init__(self, matryoshka: MatryoshkaLoss, calculate: Callable[..., Tensor]) -> None:
        self._matryoshka = matryoshka
        self._calculate = calculate

    def __call__(self, reps: list[list[Tensor]], *args: Any, **kwargs: Any) -> Tensor:
        loss: Any = 0.0
        for i in self._matryoshka._draw_sizes():
            weight = self._matryoshka.matryoshka_weights[i]
            smaller = [[cut(rep, self._matryoshka.matryoshka_dims[i]) for rep in column] for column in reps]
            if not kwargs.get("with_backward"):
                loss = loss + weight * self._calculate(smaller, *args, **kwargs)
                continue
            leaves = [[rep.detach().requires_grad_() for rep in column] for column in smaller]
            loss = loss + weight * self._calculate(leaves, *args, **kwargs)
            for column, of_column in zip(smaller, leaves, strict=True):
                for rep, leaf in zip(column, of_column, strict=True):
                    if leaf.grad is not None:
                        rep.backward(weight * leaf.grad)
        return loss


def cut(embeddings: Tensor, dim: int) -> Tensor:
    """The first ``dim`` dimensions, scaled to unit length.

    Raises:
        InvalidOption: there are fewer.
    """
    if dim > embeddings.shape[-1]:
        raise InvalidOption(
            f"matryoshka_dims has {dim}, and the embeddings have {embeddings.shape[-1]} dimensions only"
        )
    return nn.functional.normalize(embeddings[..., :dim], p=2, dim=-1)


def _check_dims(dims: Sequence[int], weights: Sequence[float], whole: int | None) -> None:
    if not dims:
        raise InvalidOption("matryoshka_dims is empty; pass one or several sizes of embeddings")
    if len(weights) != len(dims):
        raise InvalidOption(
            f"there are {len(weights)} matryoshka_weights for {len(dims)} matryoshka_dims; pass one for each"
        )
    wrong = [dim for dim in dims if dim <= 0 or (whole is not None and dim > whole)]
    if wrong:
        raise InvalidOption(f"matryoshka_dims has {wrong}; sizes lie between 1 and the model's {whole}")
    if whole is not None and whole not in dims:
        logger.warning(
            "matryoshka_dims %s does not include the whole size %d, which will not be trained; add it unless "
            "embeddings are always cut",
            list(dims),
            whole,
        )
