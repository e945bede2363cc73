import io
import logging
import pathlib

import pytest

from pgtf.commands.command_line import one_line_errors
from pgtf.foreign.terminal import PrintableFormatter, PrintableStream, brief, one_line, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本　語 \xa0", "plain é 日本　語 \xa0"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("\x1b[2Ja\x07", "\\x1b[2Ja\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("caf\udce9", "caf\\udce9"),
        ("\u2028", "\\u2028"),
    ],
)
def test_only_what_a_terminal_would_obey_is_escaped(text, expected):
    assert printable(text) == expected


def test_the_one_line_of_an_error_commands_no_terminal(capsys):
    with pytest.raises(SystemExit), one_line_errors():
        raise ValueError("in/\x1b]0;owned\x07.png: is\nbroken")
    assert capsys.readouterr().err == "error: in/\\x1b]0;owned\\x07.png: is broken\n"


def test_log_lines_keep_their_line_breaks_and_tabs():
    record = logging.makeLogRecord({"msg": "%s\n\ttick", "args": ("a\x1b[1m",)})
    assert PrintableFormatter("%(message)s").format(record) == "a\\x1b[1m\n\ttick"


@pytest.mark.parametrize("name", ["a\nb\x1b", pathlib.Path("a\nb\x1b"), OSError("a\nb\x1b")])
def test_a_line_break_in_a_name_begins_no_log_line(name):
    record = logging.makeLogRecord({"msg": "%s:\n%d %.1f", "args": (name, 3, 0.5)})
    assert PrintableFormatter("%(message)s").format(record) == "a\\nb\\x1b:\n3 0.5"
    whole = logging.makeLogRecord({"msg": "%s", "args": ("a\n\x1bb",)})
    assert PrintableFormatter("%(message)s").format(whole) == "a\n\\x1bb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\n", "a\tb\n"),
        ("\rbar", "\rbar"),
        ("\r", "\r"),
        ("name\rbar", "name\\rbar"),
        ("\r\rbar", "\r\\rbar"),
        ("\x1b[A\x1b[A", "\x1b[A\x1b[A"),
        ("\x1b[A\n", "\\x1b[A\n"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\udce9", "\\udce9"),
    ],
)
def test_a_stream_passes_lines_and_bars_of_progress_only(text, expected):
    stream = PrintableStream(io.StringIO())
    assert stream.write(text) == len(text)
    stream.writelines([text, text])
    assert stream.getvalue() == expected * 3


def test_one_line_has_no_line_break():
    assert one_line("a\r\nb\u2028c\x85d\x0be\x1b") == "a b c d e\\x1b"
    assert one_line(pathlib.Path("a\nb")) == "a b"


@pytest.mark.parametrize("length", [0, 1400, 1401, 100_000])
def test_the_middle_of_a_long_line_is_left_out(length):
    line = ("beginning" + "x" * length)[: max(length - 3, 0)] + "end"[:length]
    found = brief(line)
    assert len(found) <= 1405
    assert (found == line) is (length <= 1400)
    assert found[:1100] == line[:1100]
    assert found[-300:] == line[-300:]
