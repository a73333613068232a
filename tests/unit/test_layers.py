"""Layers within packages, and circles of imports: those inside functions count as much as those on top.

An import inside a function is fine where it puts off a heavy package; it is no way around a layer. Imports
for type checkers alone are not looked at.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("stlib", "indexing", "app")

# Layers of a package from the lowest to the highest, each a list of modules and folders in it, the longest
# name that fits a module being its own. A module imports from its own layer and those below. ``.`` is the
# package itself, whose file only looks names up on first use.
LAYERS = {
    "stlib": [
        [".", "errors", "extras", "needs", "older_paths", "paths"],
        ["util"],
        ["runtime"],
        # what lies in a model's folder
        ["base.damage", "base.folder", "base.modality", "base.modality_types"],
        ["base.tokenizer_json", "base.weights"],
        ["base.adapters", "base.transformer"],
        ["backend"],
        # modules, and the pipeline that they make up
        ["base.loading", "base.modules", "base.saving"],
        ["base"],
        ["base.evaluation", "base.losses", "base.sampler", "base.samplers"],
        ["base.data_collator", "base.training", "base.training_args"],
        ["base.trainer"],
        # the families of models
        ["sentence_transformer.modules", "sentence_transformer.readers"],
        ["sentence_transformer.losses"],
        ["sentence_transformer"],
        ["sentence_transformer.evaluation"],
        ["sparse_encoder.modules"],
        ["sparse_encoder.losses"],
        ["sparse_encoder.callbacks"],
        ["sparse_encoder"],
        ["sparse_encoder.evaluation", "sparse_encoder.search_engines"],
        ["multi_vector_encoder.modules"],
        ["multi_vector_encoder.scoring"],
        ["multi_vector_encoder.losses"],
        ["multi_vector_encoder"],
        ["multi_vector_encoder.evaluation"],
        ["cross_encoder.modules", "cross_encoder.predicting"],
        ["cross_encoder.losses"],
        ["cross_encoder"],
        ["cross_encoder.evaluation"],
        # documented short paths, and programs that use them
        [
            "compat",
            "datasets",
            "evaluation",
            "losses",
            "models",
            "quantization",
            "readers",
            "similarity_functions",
        ],
        ["recipes"],
    ],
    "indexing": [
        [".", "again", "errors", "faults", "fixed_texts", "languages", "names", "normal_forms"],
        ["sizing"],  # sums of what a collection needs, before there is one
        ["search.filter_dates", "search.filter_tree", "search.filter_values"],
        ["beside", "documents", "evaluation", "milvus", "quantization", "storage"],
        ["search.filter_spelling", "search.filter_tokens", "search.filters"],
        # the truth, and the engines of its views
        ["catalog", "columns", "inverted", "lexical", "vectors"],
        ["served"],
        ["session"],
        ["code_words", "embed", "facets", "listing", "models", "opening", "openings", "views"],
        ["counting", "creation", "describe", "lookup", "search"],
        ["sizing.existing"],
        # another way of turning documents into codes, and moving to it
        ["generations"],
        ["serving"],
        ["upkeep"],
        ["writing"],
        ["sources"],
        # what many processes bring in at once
        ["bulk"],
        [
            "collection",
            "collection_erasing",
            "collection_exchange",
            "collection_loading",
            "collection_measuring",
            "collection_servings",
            "collection_sources",
        ],
        # collections as stores of frameworks
        ["frameworks"],
    ],
    "app": [
        [".", "errors", "settings", "text", "wording"],
        ["facade.caller", "facade.who", "statistics"],
        ["feedback", "keys"],
        ["tuning"],
        ["pictures", "report", "uploads"],
        ["backups"],
        ["evaluation_job", "facade", "indexing_job", "loading_job"],
        ["jobs"],
        [
            "facade.asking",
            "facade.collections",
            "facade.erasure",
            "facade.health",
            "facade.improvement",
            "facade.jobs",
            "facade.reports",
            "facade.sources",
            "facade.starting",
            "facade.tuning_jobs",
        ],
        # what pages ask, of this machine or of a service
        ["desk"],
        ["remote"],
        # faces: what a person types or clicks
        ["api", "cli", "mcp", "ui"],
        ["demo"],
    ],
}

# Circles that are there today, each as a set of modules; none is added.
KNOWN_CIRCLES: dict[str, list[set[str]]] = {"stlib": [], "indexing": [], "app": []}

# Packages hand out documented names on first use, by a table in place of an import (so ``import stlib`` costs
# nothing): such a table is no edge of the package, and whoever imports a name from it depends on its module.
TABLES = ("_EXPORTS", "_WHERE")


def modules_of(package: str) -> dict[str, Path]:
    """Dotted names of all modules of a package, and their files."""
    names = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = {name: path for package in PACKAGES for name, path in modules_of(package).items()}


def import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports anywhere in a tree, but for those under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from import_statements(ast.Module([other], []))
        elif isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        else:
            yield from import_statements(child)


def home_of(module: str, name: str) -> str:
    """The module that ``from module import name`` needs."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if MODULES[module].name == "__init__.py" and "def __getattr__" in MODULES[module].read_text("utf-8"):
        package = importlib.import_module(module)
        table = next((vars(package)[one] for one in TABLES if one in vars(package)), {})
        home = table.get(name, module)
        return home if home in MODULES else f"{module}.{home}"
    return module


def imports_of(path: Path) -> set[str]:
    """Modules of this project that a file imports."""
    found = set()
    for statement in import_statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif statement.module in MODULES:
            assert not statement.level, f"{path} imports relative to itself"
            found |= {home_of(str(statement.module), alias.name) for alias in statement.names}
    return found & set(MODULES)


GRAPH = {name: imports_of(path) - {name} for name, path in MODULES.items()}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that reach each other, by Tarjan's walk over strongly connected parts."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_ones: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        open_ones.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in open_ones:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            part = open_ones[open_ones.index(name) :]
            del open_ones[open_ones.index(name) :]
            if len(part) > 1:
                found.append(set(part))

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def layer_of(module: str, layers: list[list[str]]) -> int | None:
    """The layer whose room fits a module's name best; None if none does."""
    _package, _, inner = module.partition(".")
    fitting = {
        len(room): level
        for level, rooms in enumerate(layers)
        for room in rooms
        if (room == "." and not inner) or inner == room or inner.startswith(f"{room}.")
    }
    return fitting[max(fitting)] if fitting else None


def upward(graph: dict[str, set[str]], package: str, layers: list[list[str]]) -> set[str]:
    """Imports from a higher layer, as texts."""
    inside = {name: layer_of(name, layers) for name in graph if name.split(".")[0] == package}
    homeless = [name for name, level in inside.items() if level is None]
    assert homeless == [], "every module has a layer"
    return {
        f"{name} imports {other}"
        for name, level in inside.items()
        for other in graph[name] & set(inside)
        if inside[other] > level
    }


@pytest.mark.parametrize("package", LAYERS)
def test_layers_import_downwards(package):
    assert upward(GRAPH, package, LAYERS[package]) == set()


@pytest.mark.parametrize("package", LAYERS)
def test_layers_name_what_is_there(package):
    rooms = [room for rooms in LAYERS[package] for room in rooms if room != "."]
    assert [room for room in rooms if f"{package}.{room}" not in MODULES] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_import_in_no_circle(package):
    inside = {name: others for name, others in GRAPH.items() if name.split(".")[0] == package}
    inside = {name: others & set(inside) for name, others in inside.items()}
    assert circles(inside) == KNOWN_CIRCLES[package]


def test_a_circle_is_found_wherever_it_is_closed():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"f"}, "f": {"e"}, "g": {"a"}}
    assert sorted(map(sorted, circles(graph))) == [["a", "b", "c"], ["e", "f"]]


def test_imports_inside_functions_count_and_those_for_type_checkers_do_not():
    text = """
if TYPE_CHECKING:
    import stlib.losses
else:
    import stlib.paths
class A:
    def f(self):
        from stlib.util import cos_sim, misc
        if self:
            from stlib import SentenceTransformer
"""
    found = [ast.unparse(one) for one in import_statements(ast.parse(text))]
    assert found == [
        "import stlib.paths",
        "from stlib.util import cos_sim, misc",
        "from stlib import SentenceTransformer",
    ]
    assert home_of("stlib.util", "cos_sim") == "stlib.util.similarity"
    assert home_of("stlib.util", "misc") == "stlib.util.misc"
    assert home_of("stlib", "SentenceTransformer") == "stlib.sentence_transformer.model"


def test_an_import_from_a_higher_layer_is_named():
    layers = [["low"], ["high", "low.top"]]
    graph = {"p.low": {"p.low.top"}, "p.low.top": {"p.high"}, "p.high": {"p.low"}}
    assert upward(graph, "p", layers) == {"p.low imports p.low.top"}
