"""Makes the embeddings of a dense model sparse: an auto-encoder of many latents, of which few are in use.

    python -m stlib.recipes.csr --model FOLDER --dimension 2048 --active 32 --train msmarco --eval msmarco \\
        --output model

Data: folders in BEIR layout, or tables with anchor, positive[, negative]. The auto-encoder learns to give
back the dense embedding from its ``--active`` largest latents, and that texts which belong together use the
same ones (contrastive sparse representation). The dense model stays as it is unless ``--whole`` is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stlib import SentenceTransformer, SparseEncoder
from stlib.errors import InvalidOption
from stlib.recipes._common import Outcome, parser, seed_everything
from stlib.recipes._data import read_pairs
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive, positive_number
from stlib.recipes._sparse import train_sparse
from stlib.sparse_encoder.losses import CSRLoss, SparseMultipleNegativesRankingLoss
from stlib.sparse_encoder.modules import SparseAutoEncoder
from stlib.util import cos_sim


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive[, negative]",
        evaluate="data as for --train",
        learning_rate=4e-4,
    )
    made.add_argument("--dimension", type=positive, help="latents (default: four times the embedding's)")
    made.add_argument("--active", type=positive, default=32, help="latents in use per text (default: 32)")
    made.add_argument(
        "--ranking-weight", type=positive_number, default=1.0, help="beside the reconstruction (default: 1.0)"
    )
    made.add_argument("--whole", action="store_true", help="train the dense model, too")
    options = made.parse_args(argv)

    seed_everything(options.seed)
    model = make_model(options.model, options.dimension, options.active, options.whole)
    # Dot products of latents that give back unit vectors are too small for a softmax without a factor.
    ranking = SparseMultipleNegativesRankingLoss(model, scale=20.0, similarity_fct=cos_sim)
    loss = CSRLoss(model, ranking, gamma=options.ranking_weight)
    return train_sparse(model, loss, read_pairs(options.train, limit=options.limit), options)


def make_model(name: str, latents: int | None, active: int, whole: bool) -> SparseEncoder:
    """The dense model with a new auto-encoder behind it."""
    dense = SentenceTransformer(name)
    width: Any = dense.get_embedding_dimension()
    latents = latents or 4 * width
    if 4 * active > latents:  # the loss looks at four times as many as well
        raise InvalidOption(f"--active is {active} of {latents} latents; take at most a quarter of them")
    dense.requires_grad_(whole)
    code = SparseAutoEncoder(width, hidden_dim=latents, k=active, k_aux=min(width // 2, latents))
    return SparseEncoder(modules=[*dense.children(), code], similarity_fn_name="cosine")


if __name__ == "__main__":
    run(main)
