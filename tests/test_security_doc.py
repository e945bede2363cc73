"""SECURITY.md: its limits are those of the code, and its flags exist."""

import pathlib
import pkgutil
import re

import pytest

from pgtf.foreign import limits

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| ([\d,]+)(?: (KiB|MiB|GiB|s))? \| `([\w.]+)` \|$", re.MULTILINE)
UNITS = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ROWS = {
    name: int(number.replace(",", "")) * UNITS[unit] for _, number, unit, name in ROW.findall(PAGE)
}


@pytest.mark.parametrize("name", ROWS)
def test_a_limit_on_the_page_is_that_of_the_code(name):
    module, _, constant = name.rpartition(".")
    assert ROWS[name] == pkgutil.resolve_name(f"{module}:{constant}")


def test_every_row_of_the_table_is_compared_and_every_limit_of_pictures_has_one():
    table = PAGE.split("| limit |")[1].split("\n\n")[0]
    assert len(table.splitlines()) - 2 == len(ROWS) >= 25
    named = {f"pgtf.foreign.limits.{k}" for k, v in vars(limits).items() if type(v) is int}
    assert named
    assert named <= set(ROWS)


def test_every_flag_on_the_page_is_one_of_a_command():
    helps = "".join(path.read_text() for path in (ROOT / "docs").glob("*-help.txt"))
    source = "".join(path.read_text() for path in (ROOT / "pgtf" / "commands").glob("*_flags.py"))
    flags = set(re.findall(r"`(--\w+)", PAGE))
    assert {"--host", "--max_errors"} <= flags
    assert [flag for flag in flags if flag not in helps and f'"{flag}"' not in source] == []


def test_the_page_is_short_linked_and_says_how_to_report_privately():
    assert len(PAGE.splitlines()) < 125
    for page in ("README.md", "docs/formats.md", "docs/generating.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search(r"\]\((\.\./)?SECURITY\.md\)", text), page
    assert "Report a vulnerability" in PAGE
    assert not re.search(r"\w@\w", PAGE)  # no address that nobody reads
