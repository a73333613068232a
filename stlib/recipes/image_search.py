"""Image search: pictures of a folder that show what a text says, or look like another picture.

    python -m stlib.recipes.image_search photos/ "a dog in the snow" --model clip-folder

The model must embed both texts and pictures, as CLIP does.
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stlib.errors import InvalidInput
from stlib.recipes._inputs import argument_parser, load_model, run
from stlib.recipes._numbers import positive

KINDS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def pictures(folder: str | Path) -> list[Path]:
    """The picture files in a folder and below it, by name.

    Raises:
        InvalidInput: there are none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in KINDS)
    if not found:
        raise InvalidInput(f"{folder} holds no pictures; expected files ending in {', '.join(KINDS)}")
    return found


def main(argv: Sequence[str] | None = None) -> list[tuple[float, Path]]:
    """Print the best pictures and return them with their scores."""
    from stlib.util import semantic_search

    parser = argument_parser("Find pictures by a text or by another picture.", model=None)
    parser.add_argument("folder", help="folder of pictures")
    parser.add_argument("query", help="a text, or the path of a picture")
    parser.add_argument("--top-k", type=positive, default=5, help="pictures printed")
    args = parser.parse_args(argv)
    paths = pictures(args.folder)
    model = load_model(args.model)
    # Paths are read by the model, a batch at a time.
    vectors = model.encode([str(path) for path in paths], batch_size=args.batch_size, convert_to_tensor=True)
    query = model.encode([args.query], convert_to_tensor=True)
    (hits,) = semantic_search(query, vectors, top_k=args.top_k)
    found = [(hit["score"], paths[hit["corpus_id"]]) for hit in hits]
    for score, path in found:
        print(f"{score:.3f}  {path}")
    return found


if __name__ == "__main__":
    run(main)
