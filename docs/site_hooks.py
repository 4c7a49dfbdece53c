"""Hooks of MkDocs: files outside docs/ become pages, and links to them lead to these pages.

Links are written so that they work in the repository; here they are rewritten for the site.
"""

import re
from pathlib import Path
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {  # page of the site -> file of the repository
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "model_card.md": "models/README.md",
    "sample_data.md": "sample_data/README.md",
}
SITE = {path: page for page, path in PAGES.items()} | {"README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/."""
    for page, path in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page."""
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    folder = source.rpartition("/")[0]

    def rewrite(link: re.Match[str]) -> str:
        path = normpath(f"{folder}/{link[1]}" if folder else link[1])
        return SITE.get(path, path.removeprefix("docs/"))

    return LINK.sub(rewrite, markdown)
