"""What people call the files that no reader reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

__all__ = ["DOCUMENTS", "kinds_of_extensions"]

_OTHER = "other files"

DOCUMENTS = {
    "Word before 2007": ".doc .dot",
    "PowerPoint before 2007": ".ppt .pps",
    "Excel before 2007": ".xls",
    "binary Excel": ".xlsb",
    "Apple Pages": ".pages",
    "Apple Numbers": ".numbers",
    "Apple Keynote": ".key",
    "OpenDocument presentations": ".odp",
    "OpenDocument drawings": ".odg",
    "PostScript": ".ps .eps",
    "DjVu": ".djvu .djv",
    "XPS": ".xps .oxps",
    "Kindle books": ".mobi .azw .azw3",
    "FictionBook": ".fb2",
    "WordPerfect": ".wpd",
    "OneNote": ".one",
    "Outlook stores": ".pst .ost",
    "Visio": ".vsd .vsdx",
    "Publisher": ".pub",
    "help files": ".chm .hlp",
    "web archives": ".mht .mhtml .warc .webarchive",
    "calendars and contacts": ".ics .vcf",
    "SQLite databases": ".sqlite .sqlite3 .db .db3",
    "Access databases": ".mdb .accdb",
    "Arrow and ORC tables": ".arrow .feather .orc .avro",
    "archives": ".zip .tar .tgz .gz .bz2 .xz .zst .7z .rar .jar .whl .deb .rpm .iso",
}
"""Kinds that hold words, and their extensions."""

_OTHERS = {
    "pictures": ".png .jpg .jpeg .gif .bmp .tif .tiff .webp .heic .ico .svg .psd .xcf .raw .cr2 .avif",
    "sound": ".mp3 .wav .flac .ogg .oga .m4a .aac .opus .wma .aiff .mid",
    "film": ".mp4 .mkv .avi .mov .webm .wmv .m4v .mpg .mpeg",
    "fonts": ".ttf .otf .woff .woff2 .pfb .afm",
    "programs": ".so .dll .exe .o .a .pyc .pyo .class .wasm .bin .pyd .dylib .lib .obj .msi .apk",
    "data of programs": ".pkl .pickle .npy .npz .h5 .hdf5 .pt .pth .onnx .safetensors .mat .dat .mo .pak",
    "drawings and models": ".dwg .dxf .step .stp .stl .obj3d .blend .skp",
}

_KIND_OF = {
    extension: kind
    for kind, extensions in {**_OTHERS, **DOCUMENTS}.items()
    for extension in extensions.split()
}


def kinds_of_extensions(counts: Mapping[str, int]) -> list[tuple[str, list[str], int]]:
    """(kind, its extensions, number of files) of what was met, by extension ("" without one): first what
    holds words, then the rest, each by falling number.
    """
    totals: Counter[str] = Counter()
    extensions: dict[str, Counter[str]] = {}
    for extension, count in counts.items():
        kind = _KIND_OF.get(extension, _OTHER)
        totals[kind] += count
        extensions.setdefault(kind, Counter())[extension or "no extension"] += count

    def order(kind: str) -> tuple[int, int, str]:
        place = 0 if kind in DOCUMENTS else 2 if kind in _OTHERS else 1
        return place, -totals[kind], kind

    return [
        (kind, [e for e, _ in extensions[kind].most_common()], totals[kind])
        for kind in sorted(totals, key=order)
    ]
