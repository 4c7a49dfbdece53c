#!/usr/bin/env bash
# While a progress bar of rich is shown, rich replaces sys.stderr, so that whatever is printed appears
# above the bar. print() and logging do. click.echo(..., err=True), and so typer.echo, does not: it
# looks for the binary buffer of sys.stderr, which rich's stand-in hands out from the stream that it
# stands for, and writes there. The message is appended to the line of the bar.
#
# One would guess that a function that writes "to stderr" writes to sys.stderr. The way out is to
# print by the console of the bar, or with print(..., file=sys.stderr).
#
# Seen with click 8.5.1 and rich 15.0.0:
#   print: '\r\x1b[2Kby print\nworking ...'     the line of the bar is cleared first
#   click: 'by click\n'                         it is not
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check click==8.5.1 rich==15.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys
from importlib.metadata import version

import click
from rich.console import Console
from rich.progress import Progress, TextColumn

CLEARED = "\r\x1b[2K"


def written(say):
    """What arrives at the terminal while a bar is shown and ``say`` writes a message."""
    terminal = io.BytesIO()
    usual, sys.stderr = sys.stderr, io.TextIOWrapper(terminal, "utf-8", write_through=True)
    try:
        console = Console(stderr=True, force_terminal=True, width=40)
        with Progress(TextColumn("working ..."), console=console, auto_refresh=False) as bar:
            bar.add_task("", total=1)
            bar.refresh()
            begin = len(terminal.getvalue())
            say()
            return terminal.getvalue()[begin:].decode()
    finally:
        sys.stderr = usual


print("click", version("click"), "rich", version("rich"))
by_print = written(lambda: print("by print", file=sys.stderr))
by_click = written(lambda: click.echo("by click", err=True))
print("print:", repr(by_print))
print("click:", repr(by_click))
assert by_print.startswith(f"{CLEARED}by print"), "print no longer goes above the bar"
assert by_click.startswith("by click"), "click.echo now goes above the bar"
PYTHON
