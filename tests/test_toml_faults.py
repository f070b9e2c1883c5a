from __future__ import annotations

import tomllib
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.toml_faults import Place, faults_of, lines_of, listed, syntax_fault

TEXT = (
    r'''# a comment = with an equals sign
top = 1
"quoted key".'inner.key' = 2
text = """
fake = 1
[fake]
"""
literal = '''
    r"""'''
also_fake = 2
'''"""
    r"""
list = [
    1,  # ] not the end
    "a, b ] }",
    { deep = [ 5,
        6 ] },
]

[ server ]
port.number = 3
inline = { host = "x", more = { a = 1 } }

[[folders]]
path = 'C:\Music'

[[ folders ]]  # the second
path = "b"
[folders.extra]
x = 1
[[folders.rules]]
y = 1
[[folders.rules]]
y = 2
[[folders]]
[[folders.rules]]
y = 3
"""
)
EXPECTED: dict[Place, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("quoted key", "inner.key"): 3,
    ("text",): 4,
    ("literal",): 8,
    ("list",): 11,
    ("list", 0): 12,
    ("list", 1): 13,
    ("list", 2): 14,
    ("list", 2, "deep"): 14,
    ("list", 2, "deep", 0): 14,
    ("list", 2, "deep", 1): 15,
    ("server",): 18,
    ("server", "port"): 19,
    ("server", "port", "number"): 19,
    ("server", "inline"): 20,
    ("server", "inline", "host"): 20,
    ("server", "inline", "more"): 20,
    ("server", "inline", "more", "a"): 20,
    ("folders", 0): 22,
    ("folders", 0, "path"): 23,
    ("folders", 1): 25,
    ("folders", 1, "path"): 26,
    ("folders", 1, "extra"): 27,
    ("folders", 1, "extra", "x"): 28,
    ("folders", 1, "rules", 0): 29,
    ("folders", 1, "rules", 0, "y"): 30,
    ("folders", 1, "rules", 1): 31,
    ("folders", 1, "rules", 1, "y"): 32,
    ("folders", 2): 33,
    ("folders", 2, "rules", 0): 34,
    ("folders", 2, "rules", 0, "y"): 35,
}


def test_every_way_to_write_a_value_has_its_line() -> None:
    tomllib.loads(TEXT)
    assert lines_of(TEXT) == EXPECTED
    assert lines_of(TEXT.replace("\n", "\r\n")) == EXPECTED


def _places(value: Any, place: Place = ()) -> set[Place]:
    """All places of a value, tables and entries of lists included."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return {place}.union(*(_places(inner, (*place, key)) for key, inner in children)) - {()}


def _without_super_tables(places: set[Place], lines: dict[Place, int]) -> set[Place]:
    """Without those that no line names by themselves: [a.b] makes `a`, [[a]] makes `a` and `a[0]`."""
    return {
        one
        for one in places
        if one in lines or not any(other[: len(one)] == one and other != one for other in places)
    }


@pytest.mark.parametrize(
    "text",
    [
        "a = 1979-05-27 07:32:00\nb = 2",
        'a = "x\\"y = [1" # c\nb = {}\nc = []\n',
        "a = '''x'''''\nb = \"\"\"y\"\"\"\"\nc = -1.5e3",
        "[a.b.c]\nx=1\n[a]\ny=[[1,2],[3]]",
        "\n\n\t[x]\n\ty =\t'z'\n",
        '"é" = 1',
    ],
)
def test_no_place_is_forgotten(text: str) -> None:
    lines = lines_of(text)
    assert _without_super_tables(_places(tomllib.loads(text)), lines) == set(lines)


SNIPPETS = (
    *(
        "a = 1",
        "b.c = 'x # y'",
        'd = "e\\" = [1"',
        "f = [",
        "]",
        "[1, 2],",
        "{ g = 1, h.i = [[], [2]] },",
        "# j = 1",
    ),
    *(
        "[k]",
        "[k.l]",
        "[[m]]",
        "[[m.n]]",
        "[m.o]",
        'p = """',
        '"""',
        "q = {}",
        "",
        "'r s' = 1979-05-27 07:32:00",
    ),
)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=9).map("\n".join))
def test_any_text_is_walked_through_to_its_end(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = lines_of(text)
    assert _without_super_tables(_places(data), lines) == set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    path: str
    size: int = Field(default=1, ge=1, le=9)
    share: float = Field(default=0.5, gt=0, lt=1)
    on: bool = True
    way: Literal["in", "out"] = "in"
    from_: str = Field(default="", alias="from")
    values: dict[str, bool | int | float | str] = {}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entries: tuple[_Inner, ...] = ()
    inner: _Inner | None = None


def _faults(text: str, **words: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        _Model.model_validate(tomllib.loads(text))
    return faults_of(caught.value, _Model, text, **words)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("siez = 2", "siez is not a setting here. Did you mean 'size'?"),
        (
            "zzz = 2",
            "zzz is not a setting here. Known: from, on, path, share, size, values, way.",
        ),
        ("frm = ''", "frm is not a setting here. Did you mean 'from'?"),
        ("from = 1", "from must be a text (found: 1). Put it in quotes."),
        (
            "size = 'x'",
            "size must be a whole number (found: 'x'). Write it without quotes.",
        ),
        ("size = 1.5", "size must be a whole number (found: 1.5). Round it."),
        ("size = 0", "size must be at least 1 (found: 0). Choose a greater one."),
        ("size = 10", "size must be at most 9 (found: 10). Choose a smaller one."),
        ("share = 0", "share must be more than 0 (found: 0). Choose a greater one."),
        ("share = 1.0", "share must be less than 1 (found: 1.0). Choose a smaller one."),
        ("share = []", "share must be a number (found: []). Write it without quotes."),
        (
            "share = nan",
            "share must be a finite number (found: nan). Write a plain number.",
        ),
        (
            "on = 'perhaps'",
            "on must be true or false (found: 'perhaps'). Write it without quotes.",
        ),
        ("way = 'up'", "way must be 'in' or 'out' (found: 'up'). Choose one of these."),
        (
            "values = 3",
            "values must be a table (found: 3). Begin it with [entries.values] on a line of its own.",
        ),
        (
            "values.a = []",
            "values.a must be a text, a number, true or false (found: []). Write one value.",
        ),
    ],
)
def test_each_fault_says_where_what_and_what_to_do(line: str, fault: str) -> None:
    assert _faults(f"[[entries]]\npath = 'x'\n{line}") == [f"line 3: entries[1].{fault}"]


def test_tables_and_lists_that_are_none() -> None:
    assert _faults("entries = 1") == [
        "line 1: entries must be a list (found: 1). Begin each entry with [[entries]] on a line of its own."
    ]
    (fault,) = _faults("[entries]\npath = 'x'")
    assert "Begin each entry with [[entries]]" in fault
    assert _faults("inner = 1") == [
        "line 1: inner must be a table (found: 1). Begin it with [inner] on a line of its own."
    ]


def test_what_is_missing_has_the_line_of_its_table() -> None:
    assert _faults("\n[[entries]]\nsize = 1\n") == ["line 2: entries[1].path is missing. Add it."]


def test_all_faults_at_once_in_lists_that_go_over_lines() -> None:
    text = (
        "entries = [\n { path = 'a', size = 0 },\n  # { size = 0 }\n  { path = 'b', oops = 1 },\n]\nmore = 1"
    )
    faults = _faults(text)
    assert [fault.split(" ")[:3] for fault in faults] == [
        ["line", "2:", "entries[1].size"],
        ["line", "4:", "entries[2].oops"],
        ["line", "6:", "more"],
    ]
    assert listed(faults).startswith("3 faults:\n  line 2: ")
    assert listed(faults[:1]).startswith("1 fault:\n")


def test_a_long_value_is_shortened() -> None:
    (fault,) = _faults(f"[[entries]]\npath = 'x'\nsize = '{'9x' * 500}'")
    assert len(fault) < 200


def test_a_value_from_elsewhere_is_not_blamed_on_the_file() -> None:
    (fault,) = _faults("inner = { path = 'x', size = 0 }", elsewhere={("inner", "size"): "SIZE_VARIABLE"})
    assert fault.startswith("SIZE_VARIABLE: inner.size must be at least 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\nb = x", ("line 2", "quotes")),
        ('a = "C:\\Users\\me"', ("line 1", "single quotes")),
        ('a = "C:\\Music"', ("line 1", "single quotes")),
        ("a = 1\na = 2", ("overwrite", "unique")),
    ],
)
def test_a_text_that_is_no_toml(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    message, remedy = syntax_fault(caught.value)
    assert all(word in f"{message} {remedy}" for word in words)
