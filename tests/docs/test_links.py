"""Links of README and docs lead to files and headings that exist; names in them exist in Python."""

import importlib
import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "models/README.md",
        ROOT / "sample_data/README.md",
    ]
)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
README_LINES = 200
PICTURE_BYTES = 300_000


def read(path):
    return path.read_text(encoding="utf-8")


ARCHITECTURE = read(ROOT / "docs/architecture.md")


def without_code(text):
    """The text without fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))


def headings(path):
    text = re.sub(r"^ *```.*?^ *```", "", read(path), flags=re.M | re.S)
    return [re.sub(r"[`*]", "", found) for found in re.findall(r"^#+ (.+)$", text, re.M)]


def site_anchor(heading):
    """The anchor that MkDocs gives a heading."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def repository_anchor(heading):
    """The anchor that repository browsers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(path):
    """The targets of all links, and whether they are pictures."""
    return [(target, bool(mark)) for mark, target in LINK.findall(without_code(read(path)))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for target, _ in links(page):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page

        assert path.is_file(), f"{target} is no file"
        if anchor:
            names = headings(path)
            assert anchor in map(site_anchor, names), f"{target} is no heading of the site"
            assert anchor in map(repository_anchor, names), f"{target} is no heading"


def test_every_page_of_the_documentation_is_linked_from_the_readme_or_the_front_page():
    front = [ROOT / "README.md", ROOT / "docs/index.md"]
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in front
        for target, _ in links(page)
    }

    assert {path.resolve() for path in PAGES} - linked - {path.resolve() for path in front} == set()


def test_every_page_is_in_the_navigation_of_the_site():
    listed = set(re.findall(r"(\w+\.md)$", read(ROOT / "mkdocs.yml"), re.M))

    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= listed


def test_the_readme_can_be_read_in_one_sitting():
    assert len(read(ROOT / "README.md").splitlines()) <= README_LINES


def test_pictures_are_small_and_used():
    pictures = {path.resolve() for path in (ROOT / "docs/pictures").iterdir()}
    used = {
        (page.parent / target).resolve()
        for page in PAGES
        for target, is_picture in links(page)
        if is_picture and not target.startswith("https://")
    }

    assert pictures == used & pictures
    assert all(path.stat().st_size < PICTURE_BYTES for path in pictures)


FOLDERS = "benchmarks|crackcli|docs|models|sample_data|tests"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_repository_that_is_named_exists(page):
    named = re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./]*\w)(?![\w<*])", read(page))

    assert [name for name in named if not (ROOT / name).exists()] == []


def modules():
    """Dotted names `package.name` in docs/architecture.md."""
    packages = "|".join(path.parent.name for path in (ROOT / "crackcli").glob("*/__init__.py"))
    return sorted(set(re.findall(rf"`((?:{packages})(?:\.\w+)+)`", ARCHITECTURE)))


@pytest.mark.parametrize("name", modules())
def test_a_module_named_in_the_architecture_exists(name):
    path = ROOT / "crackcli" / name.replace(".", "/")
    face = read(ROOT / "crackcli" / name.partition(".")[0] / "__init__.py")

    assert path.with_suffix(".py").is_file() or f'"{name.rpartition(".")[2]}"' in face


def functions():
    """Dotted names `crackcli.package.name` in the tables of README and docs/python.md."""
    text = read(ROOT / "README.md") + read(ROOT / "docs/python.md")
    return sorted(set(re.findall(r"`(crackcli\.\w+\.\w+)`", text)))


@pytest.mark.parametrize("name", functions())
def test_a_function_named_in_the_documentation_exists(name):
    if name.startswith(("crackcli.training", "crackcli.finetuning", "crackcli.export")):
        pytest.importorskip("torch")
    module, _, attribute = name.rpartition(".")

    assert hasattr(importlib.import_module(module), attribute)


def test_the_version_is_the_same_everywhere():
    from crackcli import __version__

    citation = re.search(r"^version: (.+)$", read(ROOT / "CITATION.cff"), re.M)[1]
    latest = re.search(r"^## \[(\d.+?)\]", read(ROOT / "CHANGELOG.md"), re.M)[1]

    assert __version__ == citation == latest
