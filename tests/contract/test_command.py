"""The command: what it prints, with which exit code, and that it prints no password."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine

from photolineage.contract.command import ERRORS, NO_DRIFT, NOT_COMPARED, WARNINGS, main
from tests.contract.alembic_projects import MODELS, write_project

TABLE = "CREATE TABLE account (id INTEGER NOT NULL PRIMARY KEY, {columns})"
EXACT = "email VARCHAR NOT NULL, UNIQUE (email)"
ONLY_WARNINGS = "email VARCHAR, UNIQUE (email)"


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    before = [*sys.path]
    (tmp_path / "shop.py").write_text(MODELS)
    yield
    sys.path[:] = before
    sys.modules.pop("shop", None)


@pytest.fixture
def database() -> Callable[[str], str]:
    """Writes app.db with the columns. Returns its URL."""

    def make(columns: str) -> str:
        with sqlite3.connect("app.db") as connection:
            connection.execute(TABLE.format(columns=columns))
        connection.close()
        return "sqlite:///app.db"

    return make


@pytest.mark.parametrize(
    ("columns", "fail_on", "code"),
    [
        (EXACT, "warning", NO_DRIFT),
        (ONLY_WARNINGS, "error", NO_DRIFT),
        (ONLY_WARNINGS, "warning", WARNINGS),
        ("name TEXT", "error", ERRORS),
        ("name TEXT", "warning", ERRORS),
        ("name TEXT", "never", NO_DRIFT),
    ],
)
def test_the_exit_code_is_the_worst_severity_that_was_asked_for(
    database: Callable[[str], str], columns: str, fail_on: str, code: int
) -> None:
    assert main(["shop:Base", database(columns), "--fail-on", fail_on]) == code


def test_the_table_shows_each_difference_with_its_fix(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = database(EXACT)
    with sqlite3.connect("app.db") as connection:
        connection.execute("CREATE TABLE attic (x)")
        connection.execute("CREATE TABLE cellar_2 (x)")
    connection.close()
    assert main(["shop:Base.metadata", url]) == NO_DRIFT
    *differences, last = capsys.readouterr().out.splitlines()
    assert sorted(differences[::4]) == [
        "warning: extra table  attic     – → table",
        "warning: extra table  cellar_2  – → table",
    ]
    of_attic = differences.index("warning: extra table  attic     – → table")
    assert differences[of_attic + 1 : of_attic + 4] == [
        "    destructive, only if you mean it:",
        "    DROP TABLE attic;",
        "    Dropping the table loses its rows.",
    ]
    assert last == "2 differences (0 errors) between the code and the database."


def test_the_json_has_everything_that_a_program_needs(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shop:Base", database("name TEXT"), "--format", "json", "--include", "acc*"]) == ERRORS
    printed = json.loads(capsys.readouterr().out)
    (missing,) = [one for one in printed["differences"] if one["kind"] == "missing_column"]
    assert (printed["target"], printed["database"]) == ("shop:Base", "sqlite:///app.db")
    assert (missing["table"], missing["name"], missing["severity"]) == ("account", "email", "error")
    assert missing["identity"].startswith("missing_column account.email")
    assert missing["fix"].keys() == {"safe", "destructive", "note"}


def test_the_script_runs_in_the_shell_of_the_database_and_fixes_everything(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    shell = shutil.which("sqlite3")
    if shell is None:
        pytest.skip("needs the program sqlite3")
    url = database("email VARCHAR")
    main(["shop:Base", url, "--format", "script"])
    printed = capsys.readouterr().out
    assert printed.startswith(".bail on\n")
    subprocess.run([shell, "app.db"], input=printed, text=True, check=True)
    assert main(["shop:Base", url, "--fail-on", "warning"]) == NO_DRIFT


def test_accepted_differences_are_left_out(database: Callable[[str], str]) -> None:
    url = database("name TEXT")
    assert main(["shop:Base", url, "--write-baseline", "accepted.json"]) == NO_DRIFT
    assert main(["shop:Base", url, "--baseline", "accepted.json", "--fail-on", "warning"]) == NO_DRIFT
    with sqlite3.connect("app.db") as connection:
        connection.execute("ALTER TABLE account ADD COLUMN more INTEGER")
    connection.close()
    assert main(["shop:Base", url, "--baseline", "accepted.json", "--fail-on", "warning"]) == WARNINGS


@pytest.mark.parametrize(
    "arguments", [("--exclude", "acc*"), ("--ignore", "*"), ("--include", "x", "--include", "y")]
)
def test_patterns_choose_what_is_compared(database: Callable[[str], str], arguments: tuple[str, ...]) -> None:
    assert main(["shop:Base", database("name TEXT"), *arguments, "--fail-on", "warning"]) == NO_DRIFT


def test_a_list_of_metadata_and_a_version_table(database: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "everything.py").write_text(
        "import sqlalchemy as sa\nfrom shop import Base\nother = sa.MetaData()\nall = [Base, other]\n"
        "sa.Table('attic', other, sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    url = database(EXACT)
    with sqlite3.connect("app.db") as connection:
        connection.execute("CREATE TABLE attic (id INTEGER NOT NULL PRIMARY KEY)")
        connection.execute("CREATE TABLE revision (number INTEGER)")
    connection.close()
    arguments = ["everything:all", url, "--fail-on", "warning"]
    assert main(arguments) == WARNINGS
    assert main([*arguments, "--version-table", "revision"]) == NO_DRIFT


def test_the_url_comes_from_a_variable_or_from_the_alembic_ini(
    database: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database("name TEXT")
    inifile = str(write_project(tmp_path, models="ini_models", url=url))
    assert main([inifile]) == ERRORS
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    assert main([inifile, "--ignore", "missing_table *", "--fail-on", "warning"]) == NO_DRIFT
    monkeypatch.setenv("OTHER_URL", url)
    assert main(["shop:Base", "--url-variable", "OTHER_URL"]) == ERRORS


def test_postgresql_with_a_blocking_and_an_asynchronous_driver(postgresql_database: URL) -> None:
    engine = create_engine(postgresql_database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE account (id SERIAL PRIMARY KEY, email VARCHAR UNIQUE)")
    engine.dispose()
    for driver in ("postgresql+psycopg", "postgresql+asyncpg"):
        url = postgresql_database.set(drivername=driver).render_as_string(hide_password=False)
        assert main(["shop:Base", url, "--fail-on", "warning"]) == WARNINGS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop:Base", "sqlite:///gone.db"), "no database file 'gone.db'"),
        (("shop:Base",), "environment variable DATABASE_URL"),
        (("shop:Missing", "sqlite://"), "has no attribute 'Missing'"),
        (("shop:Account.id", "sqlite://"), "Name a MetaData"),
        (("shop", "sqlite://"), "module:attribute"),
        (("shop.py", "sqlite://"), "module:attribute"),
        (("nowhere:Base", "sqlite://"), "No module named 'nowhere'"),
        (("missing/alembic.ini", "sqlite://"), "no file 'missing/alembic.ini'"),
        (("shop:Base", "sqlite://", "--baseline", "gone.json"), "Cannot read the baseline"),
        (("shop:Base", "sqlite://", "--write-baseline", "gone/accepted.json"), "Cannot write the baseline"),
        (("shop:Base", "mysql+nodriver://h/d"), "nodriver"),
    ],
)
def test_what_cannot_be_compared_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert main(arguments) == NOT_COMPARED
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not Path("gone.db").exists()


def test_a_wrong_argument_has_the_exit_code_of_what_cannot_be_compared() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["shop:Base", "--unknown"])
    assert ended.value.code == NOT_COMPARED


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:s3cret%21@localhost:1/shop",
        "postgresql+psycopg://user:s3cret@localhost:port/shop",
        "postgresql+psycopg://user:p/s3cret@localhost:1/shop",
        "postgresql+psycopg://localhost:1/shop?password=s3cret",
        "s3cret",
    ],
)
def test_no_password_of_the_url_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Not even if the driver, the models or env.py put the URL into their errors."""
    monkeypatch.setenv("DATABASE_URL", url)
    (tmp_path / "leaky.py").write_text("import os\nraise RuntimeError(os.environ['DATABASE_URL'])")
    for target in ("shop:Base", "leaky:Base"):
        assert main([target]) == NOT_COMPARED
    printed = capsys.readouterr()
    assert "s3cret" not in printed.out + printed.err


def test_names_in_the_database_cannot_control_the_terminal(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["shop:Base", database('email VARCHAR NOT NULL UNIQUE, "a\x1b[2Jb\r" INTEGER')])
    printed = capsys.readouterr().out
    assert "a\\x1b[2Jb\\r" in printed
    assert "\x1b" not in printed


def test_an_error_cannot_control_the_terminal(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "hostile.py").write_text("raise RuntimeError('a\\x1b[2Jb')")
    assert main(["hostile:Base", database("name TEXT")]) == NOT_COMPARED
    printed = capsys.readouterr().err
    assert "a\\x1b[2Jb" in printed
    assert "\x1b" not in printed


def test_python_runs_the_package(database: Callable[[str], str]) -> None:
    command = [sys.executable, "-m", "photolineage.contract", "shop:Base", database("name TEXT")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (ERRORS, "")
