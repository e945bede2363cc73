import logging

import pytest

from pgtf.commands.command_line import one_line_errors
from pgtf.foreign.terminal import PrintableFormatter, printable


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
