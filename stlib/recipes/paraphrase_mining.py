"""Paraphrase mining: the pairs of texts of a file that are most similar.

python -m stlib.recipes.paraphrase_mining questions.txt --pairs 20
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

from collections.abc import Sequence

from stlib.recipes._inputs import add_text_arguments, argument_parser, load_model, read_texts, run
from stlib.recipes._numbers import number, positive


def main(argv: Sequence[str] | None = None) -> list[tuple[float, str, str]]:
    """Print the best pairs and return them as ``(score, text, text)``."""
    from stlib.util import paraphrase_mining

    parser = argument_parser("Find the most similar pairs of texts.")
    add_text_arguments(parser)
    parser.add_argument("--pairs", type=positive, default=20, help="pairs printed at most")
    parser.add_argument("--min-score", type=number, default=0.0, help="least cosine of a pair")
    parser.add_argument("--top-k", type=positive, default=100, help="partners considered per text")
    args = parser.parse_args(argv)
    texts = read_texts(args.file, args.column, args.limit)
    mined = paraphrase_mining(
        load_model(args.model), texts, batch_size=args.batch_size, max_pairs=args.pairs, top_k=args.top_k
    )
    found = [(float(s), texts[int(i)], texts[int(j)]) for s, i, j in mined if s >= args.min_score]
    for score, one, other in found:
        print(f"{score:.3f}  {one}\n       {other}")
    return found


if __name__ == "__main__":
    run(main)
