"""Text from outside (paths, titles, keys, reasons) is never obeyed by a terminal, by rich or by Dagster's Markdown."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dagster import MarkdownMetadataValue

from photolineage.plain_text import cell_code, markdown_code, toml_string
from tests.command_line import as_json, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage, copy_library, failure_of, open_lineage, write_configuration
from workloads import REPOSITORY_ROOT

HOSTILE = "[/red] \x1b]0;owned\x07\n:smile: \x9b31m \u202e \x7f | <img src=x> `[a](http:x)` "
OBEYED = re.compile(r"[^\n -~\xa0-\U0010ffff]|[\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys: control characters but a line break, and marks of the direction of writing."""

PRINTING = {"print", "echo", "secho"}
STREAMS = {"sys.stdout", "sys.stderr"}
CONSOLES = {"console", "errors"}
OTHERS = {"log", "out", "rule", "input", "status", "print_json"}
"""The methods of a console that nobody needs here."""


ORM_DRIFT = Path("src/photolineage/contract/command.py")
"""A program without rich, which escapes by itself: `tests/contract/test_command.py`."""


def modules() -> Iterator[Path]:
    """The modules whose text users see. Those of `demo` that print are programs of developers."""
    for folder in ("src/photolineage", "assets", "resources", "schema_checks"):
        for path in (REPOSITORY_ROOT / folder).rglob("*.py"):
            inner = path.relative_to(REPOSITORY_ROOT)
            if path.name != "terminal.py" and inner.parts[2:3] != ("demo",) and inner != ORM_DRIFT:
                yield path


def is_safe(node: ast.expr) -> bool:
    """Whether rich shows this as it stands: constants, numbers, and what the terminal's functions made."""
    parts: list[ast.expr] = []
    match node:
        case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts):
            pass
        case ast.Call(func=ast.Attribute(attr="assemble"), args=parts):
            pass
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            parts = [one, other]
        case ast.FormattedValue(format_spec=None, value=value):
            parts = [value]
        case (
            ast.Constant()
            | ast.FormattedValue()
            | ast.Call(func=ast.Name(id="shown" | "linked" | "table" | "printable"))
        ):
            pass
        case _:
            return False
    return all(map(is_safe, parts))


def unsafe_lines(code: str) -> list[int]:
    """The lines that print something unsafe, or that print in another way than through the consoles of `terminal`."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        called, owner = node.func, ""
        if isinstance(called, ast.Attribute):
            owner = ast.unparse(called.value)
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if owner in CONSOLES:
            unsafe = name in OTHERS or (name == "print" and not all(map(is_safe, node.args)))
        else:
            unsafe = name in PRINTING or (owner in STREAMS and name not in {"flush", "isatty"})
        if unsafe or name in {"Console", "from_markup"}:
            found.append(node.lineno)
    return found


def test_every_module_prints_through_the_terminal_s_functions() -> None:
    paths = list(modules())
    assert len(paths) > 150
    unsafe = {str(path): lines for path in paths if (lines := unsafe_lines(path.read_text()))}
    assert unsafe == {}


@pytest.mark.parametrize(
    "code",
    [
        "print(path)",
        "sys.stdout.write(path)",
        "typer.echo('a')",
        "console.print(path)",
        "errors.print(f'no {path}')",
        "errors.print('a' + path)",
        "console.print(Text.assemble('a', (path, 'red')))",
        "console.print(str(path))",
        "console.log('a')",
        "Text.from_markup(path)",
        "Console()",
    ],
)
def test_the_rule_finds_what_is_unsafe(code: str) -> None:
    assert unsafe_lines(code) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "console.print('a')",
        "console.print(f'{count:,} images', shown(path))",
        "errors.print(Text.assemble(('Error:', 'red'), ' ', shown(path)), soft_wrap=True)",
        "file.write(path)",
    ],
)
def test_the_rule_passes_what_is_safe(code: str) -> None:
    assert unsafe_lines(code) == []


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path, tiny_models: Mapping[str, Path]
) -> Iterator[Lineage]:
    """A built library whose folders, files, titles, model folders and errors have hostile names."""
    tmp_path = tmp_path_factory.mktemp("hostile")
    folder = tmp_path / HOSTILE
    config = copy_library(built_library_folder, folder)
    models = {key: shutil.copytree(path, folder / f"{HOSTILE}-{key}") for key, path in tiny_models.items()}
    write_configuration(folder, {})
    config.write_text(
        config.read_text().replace("home = 'home'", f"home = {toml_string(str(tmp_path / 'home'))}")
        + "".join(
            f"[models.{key}]\narchitecture = {toml_string(f'local-dir:{path}')}\n"
            for key, path in models.items()
        )
    )
    (folder / "home").rename(tmp_path / "home")
    draw_photo(folder / "photos" / HOSTILE / f"{HOSTILE}.jpg", 700)
    (folder / "photos" / f"{HOSTILE}torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    with open_lineage(config) as lineage:
        lineage.build("tiny-a", "tiny-b")
        with lineage.library.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE event SET title = ?", (HOSTILE,))
            connection.exec_driver_sql(
                "UPDATE ml_job SET state = 'failed', error = ? WHERE kind = 'scan'", (f"{HOSTILE}/a.jpg",)
            )
        yield lineage


def test_no_command_prints_what_a_terminal_obeys(hostile: Lineage, tmp_path: Path) -> None:
    photo = hostile.library.root / HOSTILE / f"{HOSTILE}.jpg"
    sheet = str(tmp_path / f"{HOSTILE}.jpg")
    Path(sheet).parent.mkdir()
    texts = [
        ["status"],
        ["search", HOSTILE, "--sheet", sheet],
        ["search", "--image", str(photo), "-k", "1"],
        ["events", "--sheet", sheet],
        ["compare", "tiny-b", "--sheet", sheet],
        ["report", str(tmp_path / f"{HOSTILE}album")],
        ["retire", "tiny-b"],
        ["migrate", "--dry-run"],
        ["run"],
    ]
    for arguments in texts:
        done = photolineage(hostile, *arguments)
        assert done.returncode == 0, done.stderr
        assert not OBEYED.findall(done.stdout + done.stderr), arguments
        if arguments[0] not in {"compare", "retire", "migrate", "run"}:
            assert r"[/red] \x1b]0;owned\x07" in done.stdout + done.stderr, arguments
    failing = [
        ["search", "--image", str(photo) + HOSTILE],
        ["search", "a", "--model", HOSTILE],
        ["search", "a", "--source", HOSTILE],
        ["search", "a", "--event", HOSTILE + HOSTILE],
        ["search", "--weighted-text", HOSTILE],
        ["search", "a", "--since", HOSTILE],
        ["compare", HOSTILE],
        ["retire", HOSTILE],
        ["report", str(photo)],
        ["trust", str(photo)],
        ["run", "--photos", str(tmp_path / f"{HOSTILE}gone")],
        ["events", "--sheet", str(photo.parent / "gone" / "sheet.jpg")],
        ["--config", str(photo.with_suffix(".toml")), "status"],
    ]
    for arguments in failing:
        done = photolineage(hostile, *arguments)
        assert done.returncode != 0, arguments
        assert not OBEYED.findall(done.stdout + done.stderr), arguments


def test_json_is_escaped_too_and_means_the_same(hostile: Lineage) -> None:
    done = photolineage(hostile, "events", "--json")
    assert not OBEYED.findall(done.stdout)
    assert {event["title"] for event in json.loads(done.stdout)["events"]} == {HOSTILE}
    (hit,) = as_json(hostile, "search", "--image-id", "1", "-k", "1")["hits"]
    assert HOSTILE in hit["path"]


def test_dagster_renders_nothing_from_outside_as_markup(hostile: Lineage) -> None:
    runs = [
        hostile.materialize("source_files", "photos"),
        hostile.materialize("registered_images", "photos-00000"),
        hostile.materialize("image_events", "tiny-a"),
        hostile.materialize("model_comparison", "tiny-b"),
    ]
    assert [failure_of(run) for run in runs if not run.success] == []
    hostile.miscount("tiny-a|photos-00000", by=1)
    evaluations = [
        hostile.run_check("image_embeddings", "embedding_files", "tiny-a|photos-00000"),
    ]
    metadata = [evaluation.metadata for evaluation in evaluations] + [
        event.materialization.metadata for run in runs for event in run.get_asset_materialization_events()
    ]
    rendered = [
        value.md_str or ""
        for one in metadata
        for value in one.values()
        if isinstance(value, MarkdownMetadataValue)
    ]
    assert len(metadata) >= 5
    assert len(rendered) >= 3
    for text in rendered:
        outside_of_code = re.sub(
            r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"\(data:image/webp[^)]*\)", "", text)
        )
        assert not re.search(r"<img|\[a\]|owned|red\]", outside_of_code), text[:2000]


@pytest.mark.parametrize("arguments", [["search", f"--{HOSTILE}"], [HOSTILE], ["status", HOSTILE]])
def test_a_wrong_use_is_shown_without_control_characters(hostile: Lineage, arguments: list[str]) -> None:
    done = photolineage(hostile, *arguments)
    assert done.returncode == 2
    assert "owned" in done.stderr
    assert set(OBEYED.findall(done.stderr)) <= {"\u202e"}  # typer's own message, of what the person typed


def test_check_prints_the_path_of_a_damaged_file_escaped(hostile: Lineage) -> None:
    hostile.execute("UPDATE shard_file SET row_count = row_count + 1 WHERE kind = 'embedding'")
    hostile.execute('CREATE TABLE "[/red] \x1b]0;owned\x07" (id INTEGER)')
    done = photolineage(hostile, "check")
    assert done.returncode == 1
    assert not OBEYED.findall(done.stdout + done.stderr)


def test_the_warnings_of_libraries_are_escaped() -> None:
    code = f"import logging; from photolineage.cli.terminal import show_logs; show_logs(); logging.warning({HOSTILE!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not OBEYED.findall(done.stderr)
    assert r"[/red] \x1b]0;owned\x07" in done.stderr


def test_code_of_markdown_holds_anything() -> None:
    assert markdown_code("plain") == "`plain`"
    assert markdown_code("a|b") == "`a|b`"
    assert cell_code("a|b") == "`a¦b`"
    assert markdown_code("``x`") == "``` ``x` ```"
    assert markdown_code("a\nb\x1b") == r"`a\nb\x1b`"
