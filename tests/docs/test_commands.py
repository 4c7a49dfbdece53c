"""The generated parts of the documentation are fresh, and every command is documented."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = "run: python docs/generate.py"


def load_generator():
    """The script docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def commands():
    """The names of all commands."""
    from crackcli.cli import app

    return [info.callback.__name__ for info in app.registered_commands]


def test_the_command_reference_is_fresh():
    path = GENERATOR.COMMANDS

    assert GENERATOR.commands_page() == path.read_text(encoding="utf-8"), f"{path} is stale; {RUN}"


def test_the_package_table_is_fresh():
    path = GENERATOR.ARCHITECTURE

    assert GENERATOR.architecture_page() == path.read_text(encoding="utf-8"), (
        f"the table of packages in {path} is stale; {RUN}"
    )


def test_the_package_table_has_every_package():
    packages = {path.parent.name for path in (ROOT / "crackcli").glob("*/__init__.py")}

    rows = re.findall(r"^\| \d \| `(\w+)` \| (.+?) \|", GENERATOR.package_table(), re.MULTILINE)

    assert {name for name, _ in rows} == packages
    assert all(caption.strip() for _, caption in rows)


def test_the_command_reference_does_not_depend_on_the_terminal():
    program = (
        "import runpy; page = runpy.run_path('docs/generate.py')['commands_page'](); "
        "import sys; sys.stdout.buffer.write(page.encode())"
    )

    pages = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"COLUMNS": columns, "TERMINAL_WIDTH": columns, "FORCE_COLOR": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for columns in ("40", "200")
    ]

    assert pages[0] == pages[1]
    assert pages[0].decode() == GENERATOR.COMMANDS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", commands())
def test_a_command_has_a_section_and_a_row_in_the_readme(name):
    reference = GENERATOR.COMMANDS.read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert f"\n## crackcli {name}\n" in reference
    assert re.search(rf"^\| \[`{name}`\]", readme, re.MULTILINE)


@pytest.mark.parametrize("name", commands())
def test_every_option_of_a_command_has_a_row(name):
    from typer.testing import CliRunner

    from crackcli.cli import app

    shown = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [name, "--help"]).stdout
    reference = GENERATOR.COMMANDS.read_text(encoding="utf-8")
    section = reference.split(f"\n## crackcli {name}\n")[1].split("\n## ")[0]

    shown = re.sub(r"\x1b\[[\d;]*m", "", shown)  # colours, where they are forced
    listed = set(re.findall(r"^│\s+\*?\s*(--[a-z0-9-]+)", shown, re.MULTILINE)) - {"--help"}

    assert listed
    assert listed == set(re.findall(r"^\| `(--[a-z0-9-]+)`", section, re.MULTILINE))


def test_every_exit_code_has_a_row():
    from crackcli import errors

    codes = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and isinstance(getattr(each, "exit_code", None), int)
    }
    page = (ROOT / "docs/output.md").read_text(encoding="utf-8")
    section = page.split("## Exit codes")[1]

    rows = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)

    assert codes | {0, 130, 143} == {int(code) for row in rows for code in row.split(",")}
