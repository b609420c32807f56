"""A `photolineage.toml` in the current folder is used only if the person trusts it, exactly as it is."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from photolineage.cli.app import app
from photolineage.settings import ConfigurationError, UntrustedConfigurationError, find_config_file, trust
from photolineage.settings.locate import trusted_list
from tests.command_line import PHOTOLINEAGE

HOSTILE = """
home = "kept"
catalog.url = "postgresql://me:secret@db.example/photos?password=hidden"
[alerts]
command = ["sh", "-c", "rm -rf [/red] \\u001b]0;owned\\u0007"]
webhook = "https://hooks.example/secret-path"
[models.mine]
architecture = "hf-hub:somebody/model"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that lies in the working directory of a person who has not seen it."""
    for name in [name for name in os.environ if name.startswith(("PHOTOLINEAGE_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "work" / "photolineage.toml"
    file.parent.mkdir()
    file.write_text("home = 'kept'")
    monkeypatch.chdir(file.parent)
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def in_terminal(answer: str) -> str:
    """What `photolineage status` shows in a terminal where the person types the answer."""
    terminal, of_command = pty.openpty()
    environment = os.environ | {"COLUMNS": "200", "TERM": "dumb"}
    os.write(terminal, answer.encode())
    done = subprocess.Popen(
        [PHOTOLINEAGE, "status"], stdin=of_command, stdout=of_command, stderr=of_command, env=environment
    )
    os.close(of_command)
    seen = b""
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # the command has ended
        pass
    done.wait()
    os.close(terminal)
    return seen.decode().replace("\r\n", "\n")


def test_an_unknown_one_is_refused_with_the_remedies(here: Path) -> None:
    with pytest.raises(UntrustedConfigurationError, match="not in your list of trusted configurations"):
        find_config_file()
    for arguments in (["status"], ["status", "--json"]):
        done = run(*arguments)
        assert done.exit_code == 1
        said = " ".join(done.stderr.split())
        assert f"photolineage trust {here}" in said
        assert f"photolineage --config {here}" in said
    assert not trusted_list().exists()


def test_one_that_the_person_trusts_is_used_and_said_until_it_changes(here: Path) -> None:
    assert run("trust").exit_code == 0
    assert find_config_file() == here
    for arguments in (["status"], ["status", "--json"]):
        assert "Using ./photolineage.toml" in run(*arguments).stderr
    here.write_text("home = 'elsewhere'")
    with pytest.raises(UntrustedConfigurationError, match="changed since you trusted it"):
        find_config_file()
    assert run("trust", str(here)).exit_code == 0
    assert find_config_file() == here


def test_a_copy_elsewhere_is_not_trusted(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(here)
    copy = tmp_path / "downloads" / "photolineage.toml"
    copy.parent.mkdir()
    copy.write_bytes(here.read_bytes())
    monkeypatch.chdir(copy.parent)
    with pytest.raises(UntrustedConfigurationError):
        find_config_file()


def test_trust_refuses_what_would_be_refused_anyway(here: Path) -> None:
    (here.parent / "IMG_0001.JPG").touch()
    assert "IMG_0001.JPG" in run("trust").stderr
    other = here.rename(here.with_name("other.toml"))
    assert "--config" in run("trust", str(other)).stderr
    assert not trusted_list().exists()


def test_the_list_is_readable_by_the_person_alone_and_keeps_every_entry(here: Path, tmp_path: Path) -> None:
    trust(here)
    second = tmp_path / "second" / "photolineage.toml"
    second.parent.mkdir()
    second.touch()
    trust(second)
    assert list(json.loads(trusted_list().read_text())) == [str(here), str(second)]
    assert trusted_list().stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in trusted_list().parent.iterdir()) == ["trusted.json", "trusted.lock"]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "\udcff"])
def test_a_damaged_list_is_one_message_and_trusts_nothing(here: Path, content: str) -> None:
    trust(here)
    trusted_list().write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"is damaged.*Delete it"):
        find_config_file()
    with pytest.raises(ConfigurationError, match=r"is damaged.*Delete it"):
        trust(here)


def test_in_a_terminal_the_person_is_asked_and_the_answer_is_kept(here: Path) -> None:
    here.write_text(HOSTILE)
    for answer in ("n\n", "\n"):
        assert "Error:" in in_terminal(answer)
        assert not trusted_list().exists()
    seen, _, _ = in_terminal("y\n").partition("Use it now")
    assert find_config_file() == here
    for named in ("rm -rf [/red]", "hf-hub:somebody/model", "db.example", "https://hooks.example", "kept"):
        assert named in seen
    for secret in ("secret", "hidden", "\x1b]0"):
        assert secret not in seen
    assert "Use it now" not in in_terminal("")
