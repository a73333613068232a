"""Semantic search with quantised vectors: the corpus takes a quarter (int8) or a 32nd (binary) of the memory.

    python -m stlib.recipes.quantized_search documents.jsonl "which wing shape is best" --precision ubinary

More results than wanted are found by the codes and put in order by the exact vectors of the queries; see
:func:`stlib.util.semantic_search_faiss`.
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

from collections.abc import Sequence

from stlib.recipes._inputs import add_text_arguments, argument_parser, load_model, read_texts, run
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> list[tuple[float, str]]:
    """Print the best texts and return them with their scores."""
    from stlib.util import quantize_embeddings, semantic_search_faiss

    parser = argument_parser("Search texts by quantised vectors.")
    add_text_arguments(parser)
    parser.add_argument("query", help="what to look for")
    parser.add_argument("--precision", choices=("float32", "uint8", "ubinary"), default="ubinary")
    parser.add_argument("--top-k", type=positive, default=5, help="texts printed")
    args = parser.parse_args(argv)
    texts = read_texts(args.file, args.column, args.limit)
    model = load_model(args.model)
    options = {"batch_size": args.batch_size, "normalize_embeddings": True}
    vectors = model.encode_document(texts, **options)
    codes = quantize_embeddings(vectors, args.precision)
    hits, seconds = semantic_search_faiss(
        model.encode_query([args.query], **options),
        corpus_embeddings=codes,
        corpus_precision=args.precision,
        # uint8 codes of a query mean nothing without the ranges of the corpus.
        calibration_embeddings=vectors,
        rescore=args.precision != "float32",
        top_k=args.top_k,
    )
    found = [(float(hit["score"]), texts[hit["corpus_id"]]) for hit in hits[0]]
    print(f"{len(texts)} texts in {codes.nbytes / 1e6:.2f} MB, searched in {seconds * 1e3:.1f} ms")
    for score, text in found:
        print(f"{score:.3f}  {text}")
    return found


if __name__ == "__main__":
    run(main)
