"""Source code by symbol: names, kinds, texts and lines of small files, counted by hand."""

from __future__ import annotations

import pytest

from indexing.documents.formats import code
from indexing.documents.formats.code import read
from indexing.documents.marks import place_at
from indexing.documents.model import Document, Skipped
from indexing.documents.source import SourceFile

PYTHON = '''\
"""Retrying requests."""

import time

LIMIT = 3


# How long to wait grows with each try.
@cached
def delay(attempt: int) -> float:
    """Seconds before the next try."""
    def inner():
        return 2
    return inner() ** attempt


class Client:
    """Asks again."""

    tries = 0

    # Not for the faint.
    async def get(self, url):
        return await self.once(url)

    class Error(Exception):
        pass


if LIMIT:
    def delay():
        pass
'''


@pytest.fixture
def read_code(tmp_path):
    """The documents of one file by the parts of their ids after the path; of each: kind, text."""

    def read_text(name: str, text: str) -> dict[str, Document]:
        (tmp_path / name).write_text(text)
        items = list(read(SourceFile(str(tmp_path / name), name, name, "code")))
        assert all(type(item) is Document for item in items)
        check_lines(text, items)
        return {item.id.removeprefix(name): item for item in items}

    return read_text


def check_lines(text: str, documents: list[Document]) -> None:
    """Each line of a document is the line of the file that its marks say."""
    lines = text.split("\n")
    for document in documents:
        at = 0
        for line in document.text.split("\n"):
            place = place_at(document.marks, document.text, at)
            if line.strip() and "…" not in line:
                assert line.strip() in lines[place.line - 1], document.id
            at += len(line) + 1


def test_functions_and_classes_are_documents(read_code):
    found = read_code("retry.py", PYTHON)
    assert {name: document.metadata["kind"] for name, document in found.items()} == {
        "": "file",
        "#delay": "function",
        "#Client": "class",
        "#Client.get": "method",
        "#Client.Error": "class",
        "#delay~2": "function",
    }
    delay = found["#delay"]
    assert delay.text.startswith("# How long to wait grows with each try.\n@cached\ndef delay(attempt: int)")
    assert delay.text.endswith("return inner() ** attempt")
    assert delay.title == "delay (retry.py)"
    assert delay.metadata == {"kind": "function", "symbol": "delay", "language": "python"}
    assert delay.marks[0].value == 8
    assert found["#Client.get"].text == (
        "    # Not for the faint.\n    async def get(self, url):\n        return await self.once(url)"
    )
    assert found["#Client"].text.endswith("        pass")
    rest = found[""]
    assert rest.title == "retry.py"
    assert rest.text == '"""Retrying requests."""\n\nimport time\n\nLIMIT = 3\n\nif LIMIT:'
    assert place_at(rest.marks, rest.text, rest.text.index("if LIMIT")).line == 30


def test_a_long_class_is_without_the_bodies_of_its_methods(read_code):
    methods = "".join(
        f"    def m{i}(self, a):\n        '''Word {i}.'''\n        return {'a + ' * 30}1\n\n"
        for i in range(20)
    )
    found = read_code("long.py", f"class Long:\n    '''Holds much.'''\n\n{methods}    last = 5\n")
    assert len(found) == 21
    text = found["#Long"].text
    assert text.startswith(
        "class Long:\n    '''Holds much.'''\n\n    def m0(self, a):\n        …\n\n"
        "    def m1(self, a):\n        …"
    )
    assert text.endswith("    last = 5")
    assert "Word" not in text
    assert place_at(found["#Long"].marks, text, text.index("last")).line == 84


CASES = {
    "a.js": (
        """/** Adds. */
export function add(a, b) { return a + b; }
export default class Shop extends Base {
  #open() {}
  static async find(id) { return id; }
  close = () => {};
}
const twice = async (x) => x * 2, three = 3;
module.exports.four = function () { return 4; };
Shop.prototype.five = function () {};
(function () { function hidden() {} })();
""",
        "add:function Shop:class Shop.#open:method Shop.find:method Shop.close:method "
        "twice:function four:function "
        "Shop.five:function hidden:function",
    ),
    "a.ts": (
        """// What a person buys.
interface Item { id: string; price(): number }
type Id = string | number;
enum Color { Red }
namespace Shop { export function open(): void {} }
@Injectable()
export abstract class Cart<T> {
  constructor(private x: number) {}
  abstract pay(): void;
  add(item: T): void {}
}
export const view = (a: Item): Item => a;
""",
        "Item:interface Id:type Color:enum Shop:namespace Shop.open:method Cart:class "
        "Cart.constructor:method "
        "Cart.add:method view:function",
    ),
    "a.tsx": (
        "export function View(props: Props) { return <b>{props.a}</b>; }\nexport const Other = () => <i/>;\n",
        "View:function Other:function",
    ),
    "A.java": (
        """package a;
/** Keeps count. */
public class Counter<T> implements B {
  int n;
  public Counter() { n = 0; }
  @Override
  public int next() { return ++n; }
  enum Mode { A }
}
interface Named {
  String name();
  /** The size. */
  int size();
}
record Point(int x, int y) {}
""",
        "Counter:class Counter.Counter:method Counter.next:method Counter.Mode:enum Named:interface "
        "Named.size:method Point:record",
    ),
    "a.c": (
        """/* One more. */
static int *next(int a) { return 0; }
struct point { int x; };
typedef struct { int y; } other;
enum mode { A, B };
int declared(int);
/** Opens a file. */
int explained(const char *name);
#define TWICE(x) ((x) * 2)
struct point *p;
""",
        "next:function point:struct other:struct mode:enum explained:function TWICE:macro",
    ),
    "a.cpp": (
        """namespace a::b {
template <class T> class Box : Base {
 public:
  Box();
  ~Box() {}
  int size() const { return 1; }
  bool operator==(int) { return true; }
  // How much is left.
  int rest() const;
};
template <class T> int Box<T>::size() { return 1; }
enum class Mode { A };
struct Later;
}
extern "C" { int z() { return 0; } }
""",
        "Box:class Box.~Box:method Box.size:method Box.operator==:method Box.rest:method Box.size~2:function "
        "Mode:enum z:function",
    ),
    "a.h": ("class Box {\n public:\n  int size() { return 1; }\n};\n", "Box:class Box.size:method"),
    "a.go": (
        """package a

// Next counts.
func (c *Counter[K]) Next(a int) int { return 1 }

func Open() {}

type Counter struct { n int }
type (
	Name string
	Sized interface { Size() int }
)
""",
        "Counter.Next:function Open:function Counter:struct Name:type Sized:interface",
    ),
    "a.rs": (
        """/// A point.
#[derive(Debug)]
pub struct Point<T> { x: T }
impl<T> Show for Point<T> { fn show(&self) {} }
impl Point<u8> { pub const fn new() {} }
trait Show { fn show(&self); }
mod inner { pub fn open() {} }
macro_rules! twice { () => {} }
enum Mode { A }
""",
        "Point:struct Point.show:method Point.new:method Show:trait inner:module inner.open:method "
        "twice:macro "
        "Mode:enum",
    ),
    "a.cs": (
        """namespace A.B {
  /// <summary>Counts.</summary>
  [Serializable]
  public class Counter<T> : Base {
    public Counter() {}
    public int Next(int a) => 1;
    int Size { get; set; }
  }
  record Point(int X);
  interface INamed { string Name(); }
  delegate void Changed();
}
""",
        "Counter:class Counter.Counter:method Counter.Next:method Point:record INamed:interface",
    ),
    "a.rb": (
        """# Things.
module Shop
  class Cart < Base
    # Adds.
    def add!(x) x end
    def self.open; end
  end
end
def top; end
""",
        "Shop:module Shop.Cart:class Shop.Cart.add!:method Shop.Cart.open:method top:function",
    ),
    "a.php": (
        """<?php
namespace A;
/** Counts. */
final class Counter { public function next(): int { return 1; } }
interface Named { function name(); }
trait Opens { function open() {} }
enum Mode { case A; }
function top() {}
""",
        "Counter:class Counter.next:method Named:interface Opens:trait Opens.open:method Mode:enum "
        "top:function",
    ),
    "a.sh": (
        "# Cleans up.\nclean() { rm -r x; }\nfunction build { :; }\nclean\n",
        "clean:function build:function",
    ),
    "a.kt": (
        """/** Counts. */
class Counter(val x: Int) : Base() {
    fun next(a: Int): Int { return 1 }
    companion object {
        fun make() = Counter(1)
    }
}
object Single { fun one() = 1 }
fun String.twice() = this + this
""",
        "Counter:class Counter.next:method Counter.Companion:object Counter.Companion.make:method "
        "Single:object "
        "Single.one:method twice:function",
    ),
    "a.swift": (
        """/// Counts.
public class Counter: Base {
  init(a: Int) {}
  func next() -> Int { 1 }
}
extension Counter { func more() {} }
protocol Named { func name() }
func top() {}
""",
        "Counter:class Counter.init:method Counter.next:method Counter~2:class Counter.more:method "
        "Named:protocol "
        "top:function",
    ),
    "a.lua": (
        "-- One.\nlocal function one() end\nfunction m.two() end\nfunction m:three() end\n"
        "m.four = function() end\n"
        "local five = function() end\nx = 1\n",
        "one:function m.two:function m.three:function m.four:function five:function",
    ),
    "a.scala": (
        "/** Counts. */\nclass Counter(x: Int) { def next(a: Int) = 1 }\nobject Single { def one = 1 }\n"
        "trait Named { def name: String }\n",
        "Counter:class Counter.next:method Single:object Single.one:method Named:trait",
    ),
    "a.sql": (
        """-- People who buy.
CREATE TABLE IF NOT EXISTS shop."customer" (id int, name text DEFAULT ';');
INSERT INTO a VALUES (1);
CREATE OR REPLACE FUNCTION total(a int) RETURNS int AS $$
BEGIN RETURN 1; END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET x = CASE WHEN 1 THEN 2 END; END;
create unique index i on a (b);
""",
        "shop.customer:table total:function t:trigger i:index",
    ),
    "a.R": (
        "# The middle.\nmiddle <- function(x, y = c(1, 2)) {\n  if (x) { '}' } # }\n}\n"
        "half = function(x) x / 2\n"
        "plot(middle(1))\n",
        "middle:function half:function",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_symbols_of_each_language(name, read_code):
    source, expected = CASES[name]
    found = read_code(name, source)
    symbols = {key[1:]: document.metadata["kind"] for key, document in found.items() if key}
    assert symbols == dict(pair.rsplit(":", 1) for pair in expected.split())


def test_comments_before_a_symbol_are_its_own(read_code):
    found = read_code("a.c", CASES["a.c"][0])
    assert found["#next"].text == "/* One more. */\nstatic int *next(int a) { return 0; }"
    found = read_code("a.rs", CASES["a.rs"][0])
    assert found["#Point"].text == "/// A point.\n#[derive(Debug)]\npub struct Point<T> { x: T }"
    found = read_code("a.py", "x = 1  # a remark\ndef f(): pass\n\n# Of the license.\n\ndef g(): pass\n")
    assert found["#f"].text == "def f(): pass"
    assert found["#g"].text == "def g(): pass"
    assert found[""].text == "x = 1  # a remark\n\n# Of the license."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "print('hello')\n"),  # no symbol
        ("a.py", "}}} ((( def def class :: ) {{{ ]]] def\n" * 20),  # no Python
        ("a.vim", "function! Open()\nendfunction\n"),  # no grammar
    ],
)
def test_a_file_without_symbols_is_one_document(name, text, read_code):
    found = read_code(name, text)
    assert list(found) == [""]
    assert found[""].text == text
    assert found[""].title == name


def test_one_broken_function_costs_no_other(read_code):
    found = read_code(
        "a.py", "def good():\n    return 1\n\ndef bad(:\n    return (\n\ndef last():\n    return 3\n"
    )
    assert "#good" in found
    assert sum("return 3" in document.text for document in found.values()) == 1


def test_code_that_takes_too_long_is_one_document(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "_PARSE_SECONDS", 0.05)
    text = "def f():\n    pass\n" + "\\\n" * 100_000
    (tmp_path / "a.py").write_text(text)
    file = SourceFile(str(tmp_path / "a.py"), "a.py", "a.py", "code")
    (item,) = code.read(file)
    assert (item.id, item.text) == ("a.py", text)
    assert file.notes == ["was read as text: it took too long to find its functions"]


def test_minified_code_is_named_and_left_out(tmp_path):
    (tmp_path / "a.min.js").write_text("function a(){return 1};" * 2000)
    (item,) = read(SourceFile(str(tmp_path / "a.min.js"), "a.min.js", "a.min.js", "code"))
    assert isinstance(item, Skipped)
    assert "is minified" in item.reason


def test_other_line_ends_and_bytes_above_ascii(tmp_path):
    (tmp_path / "a.py").write_bytes(
        "# Größe\r\nx = 'é'\r\n\r\n\r\ndef größe():\r\n    return '日本'\r\n".encode()
    )
    items = list(read(SourceFile(str(tmp_path / "a.py"), "a.py", "a.py", "code")))
    assert [(item.id, item.text, item.marks[0].value) for item in items] == [
        ("a.py", "# Größe\nx = 'é'", 1),
        ("a.py#größe", "def größe():\n    return '日本'", 5),
    ]
