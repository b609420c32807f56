"""The documents name files, headings and functions that exist."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "photolineage"
AT_THE_TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
DOCUMENTS = [*AT_THE_TOP, *sorted((ROOT / "docs").glob("*.md")), ROOT / "packages/orm-drift/README.md"]
ABOUT_THE_CODE = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:\.py|/))`")
FUNCTION = re.compile(r"`(\w+)\(\)`")
DEFINITION = re.compile(r"^\s*(?:async )?def (\w+)\(", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(document: Path) -> str:
    """The document without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def _anchors(document: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken_links(document: Path) -> Iterator[str]:
    for link in LINK.findall(_prose(document)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_to_local_files_and_headings_resolve(document: Path) -> None:
    assert list(_broken_links(document)) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# One heading\n[a](page.md#one-heading) [b](#two) [c](other.md) ![d](d.png)\n")
    assert list(_broken_links(document)) == ["#two", "other.md", "d.png"]


@pytest.mark.parametrize("document", ABOUT_THE_CODE, ids=_name)
def test_named_files_and_folders_exist(document: Path) -> None:
    named = FILE.findall(_prose(document))
    missing = [path for path in named if not any((base / path).exists() for base in (ROOT, PACKAGE))]
    assert named
    assert missing == []


def test_named_functions_exist_in_the_files_named_beside_them() -> None:
    """In the paragraph that names the function."""
    checked, missing = 0, []
    for paragraph in _prose(ROOT / "docs" / "architecture.md").split("\n\n"):
        files = [base / path for path in FILE.findall(paragraph) for base in (ROOT, PACKAGE)]
        sources = [file.read_text() for file in files if file.suffix == ".py" and file.is_file()]
        defined = {name for source in sources for name in DEFINITION.findall(source)}
        functions = FUNCTION.findall(paragraph)
        checked += len(functions)
        missing += [name for name in functions if name not in defined]
    assert checked
    assert missing == []


def test_the_drawn_order_of_imports_is_the_one_that_the_import_linter_holds() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = re.search(r"^## Imports point one way$.*?^```$(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert drawn
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    project, package = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    held = [set(layer.split(" | ")) for layer in (*project, "photolineage:", *package)]
    assert [set(line.split()) for line in drawn.group(1).split("\n") if line] == held
