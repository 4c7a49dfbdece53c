"""Make text of others, such as the name of a file, safe to print and to put into a table."""

import re
from collections.abc import Sequence
from pathlib import Path

# Control characters, marks that reverse the direction of text, and bytes that are not UTF-8.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
FORMULA = re.compile(r"'*[=+\-@].|'*[\t\r]")  # a spreadsheet would compute such a cell
END_OF_REASON = re.compile(r"[;(:]")  # what follows is the advice, or differs by file
NUMBER = re.compile(r"\d[\d,.]*")
SHIELD = "'"


def printable(text: str) -> str:
    r"""Return one line of text in which each unprintable character is written as ``\x1b``."""
    return UNPRINTABLE.sub(escaped, text)


def printable_lines(text: str) -> str:
    """Do the same as `printable`, but keep line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def escaped(found: re.Match[str]) -> str:
    """Return the escape of one character; a byte that is not UTF-8 is that byte."""
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return at most so many names for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def reason_of(message: str, path: Path) -> str:
    """Return the reason in an error about ``path``, in words that are the same for all files."""
    text = message.removeprefix(f"{path}")
    if text == message:  # it begins with another path, such as that of the results
        text = message.partition(": ")[2]
    reason = END_OF_REASON.split(text.lstrip(": "), maxsplit=1)[0]
    return NUMBER.sub("N", reason).strip() or message


def clean_name(text: str) -> str:
    """Return a name of a file without unprintable characters."""
    return UNPRINTABLE.sub("_", text)


def cell(text: str) -> str:
    """Return text for a cell of a table: printable lines, with a `SHIELD` where it begins like a
    formula."""
    text = printable_lines(text)
    return SHIELD + text if FORMULA.match(text) else text


def cell_text(cell: str) -> str:
    """Return the text of a cell without its shield."""
    shielded = cell.startswith(SHIELD) and FORMULA.match(cell)
    return cell[1:] if shielded else cell
