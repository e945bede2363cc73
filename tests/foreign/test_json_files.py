"""JSON of others: what is read, and the one line for everything else."""

import itertools
import os
import pathlib

import pytest

from pgtf.foreign import json_files
from pgtf.foreign.json_files import parse_json, read_json

HOSTILE = pathlib.Path(__file__).parents[1] / "data" / "hostile"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_utf_8_is_read_with_and_without_a_mark(start, tmp_path):
    (tmp_path / "x.json").write_bytes(start + '{"é": [1, 2.5, null, true, "\\u00e9"]}'.encode())
    assert read_json(tmp_path / "x.json") == {"é": [1, 2.5, None, True, "é"]}


def test_the_same_key_may_come_twice_with_one_value():
    assert parse_json('{"a": 1, "a": 1}', "x") == {"a": 1}
    with pytest.raises(ValueError, match="^x: not JSON .two values for the key 'a'.[.]$"):
        parse_json('{"b": {"a": 1, "a": 2}}', "x")


def test_sixty_four_levels_are_read_and_no_more():
    assert parse_json(63 * "[" + "{}" + 63 * "]", "x")
    for text in (64 * "[" + "{}" + 64 * "]", 64 * '{"a":' + "[]" + 64 * "}", 200_000 * "["):
        with pytest.raises(ValueError, match="^x: not JSON .nested too deeply.[.]$"):
            parse_json(text, "x")


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", '{"a": Infinity}'])
def test_numbers_that_json_has_not_are_refused_unless_they_are_wanted(text):
    with pytest.raises(ValueError, match="^x: not JSON .-?(NaN|Infinity) is no number of JSON"):
        parse_json(text, "x")
    parse_json(text, "x", allow_nan=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[1] 2", "Extra data"),
        (b'"\xff"', "'utf-8' codec can't decode"),
        (b"1" * 5000, "Exceeds the limit"),
        (b"\0", "Expecting value"),
    ],
)
def test_anything_else_is_one_line_that_names_the_file(content, message, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_json(tmp_path / "x.json")
    assert str(caught.value).startswith(f"{tmp_path}/x.json: not JSON (")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "x.json").write_bytes(b" " * 11 + b"1")
    monkeypatch.setattr(json_files, "parse_json", lambda *args, **options: pytest.fail("parsed"))
    with pytest.raises(ValueError, match="x.json: not JSON .must have at most 10 bytes. .* 12"):
        read_json(tmp_path / "x.json", max_bytes=10)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(ValueError, match="x.json: not JSON .must be a regular file"):
        read_json(tmp_path / "x.json")


def test_pairs_can_be_kept(tmp_path):
    assert parse_json('{"a": 1, "a": {"b": 2}}', "x", make_object=list) == [
        ("a", 1),
        ("a", [("b", 2)]),
    ]


def test_empty_lists_and_objects_take_no_gigabytes(monkeypatch):
    assert json_files.MAX_CONTAINERS * 64 < 512 << 20
    monkeypatch.setattr(json_files, "MAX_CONTAINERS", 10)
    assert parse_json("[[[]], {}" + ", []" * 6 + "]", "x")
    with pytest.raises(ValueError, match="^x: not JSON .more than 10 lists and objects.[.]$"):
        parse_json("[[[]], {}" + ", []" * 7 + "]", "x")


def test_a_file_of_very_many_lines_is_not_read_to_its_end(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"{}\n" * (json_files.MAX_LINES + 1))
    lines = json_files.read_lines(tmp_path / "a.jsonl")
    assert len(list(itertools.islice(lines, json_files.MAX_LINES))) == json_files.MAX_LINES
    with pytest.raises(ValueError, match="a.jsonl: must have at most 100000 lines."):
        next(lines)
