"""Every message that docs/troubleshooting.md quotes is one that the program can print."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
# Messages of other programs, or of shell scripts.
FOREIGN = ("Could not find cuda drivers", "cuInit", "CUDA_ERROR_INVALID_PTX", "Killed")
SHELL = ROOT / ".ci" / "find_python"


def texts():
    """Returns all texts in the sources of pgtf, with a gap where a value is inserted."""
    found = [SHELL.read_text()]
    for path in (ROOT / "pgtf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "\0" for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def quoted(page):
    """Returns the messages in the first column of the tables whose title is `message`."""
    messages, takes = [], False
    for line in page.splitlines():
        if not line.startswith("|"):
            takes = False
        elif line.startswith("| message"):
            takes = True
        elif takes:
            messages += re.findall(r"`([^`]+)`", line.split("|")[1])
    return messages


def missing(messages, sources):
    """Returns the parts of messages, between dots that stand for values, that no text holds."""
    return [
        part
        for message in messages
        for part in map(str.strip, message.split("..."))
        if len(part) > 3 and not any(part in source for source in sources)
    ]


def test_every_message_is_one_of_the_program():
    messages = [text for text in quoted(PAGE.read_text()) if not text.startswith((*FOREIGN, "--"))]
    assert len(messages) > 15
    assert missing(messages, texts()) == []


def test_a_message_that_nobody_prints_is_seen():
    page = "| message | reason |\n| --- | --- |\n| `... ate my homework` | dogs |\n"
    assert missing(quoted(page), texts()) == ["ate my homework"]
