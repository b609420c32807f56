"""`photolineage sources`: what each command says, asks and changes."""

import json
import shutil
from pathlib import Path

import pytest

from assets.orchestration.home_locks import only_run
from photolineage.settings import load_settings
from photolineage.steps.add_source import add_source, change_added
from photolineage.stores.files import LocalFiles
from tests.command_line import after_configuration, as_json, failure, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage


def rename_in_configuration(lineage: Lineage, old: str, new: str) -> None:
    text = lineage.config_file.read_text()
    lineage.config_file.write_text(text.replace(f"[sources.{old}]", f"[sources.{new}]"))


def test_a_source_that_was_renamed_in_the_configuration(lineage: Lineage) -> None:
    said = failure(lineage, "sources", "rename", "photos", "holiday")
    assert f"first write [sources.holiday] in place of [sources.photos] in {lineage.config_file}" in said
    rename_in_configuration(lineage, "photos", "holiday")
    listed = as_json(lineage, "sources", "list")
    assert [(source["key"], source["state"]) for source in listed["sources"]] == [
        ("holiday", "not scanned yet"),
        ("photos", "removed from the configuration"),
    ]
    assert "`photolineage sources rename photos holiday`" in listed["hints"][0]
    assert as_json(lineage, "status")["hints"] == listed["hints"]

    renamed = as_json(lineage, "sources", "rename", "photos", "holiday")
    assert renamed["shards"] == {f"photos-{n:05}": f"holiday-{n:05}" for n in range(3)}
    assert lineage.shards == list(renamed["shards"].values())
    assert lineage.materialized_partitions("source_files") == {"photos", "holiday"}
    assert set(lineage.shards) < lineage.materialized_partitions("registered_images")
    assert {f"tiny-a|{shard}" for shard in lineage.shards} < lineage.materialized_partitions(
        "image_embeddings"
    )
    done = as_json(lineage, "run", "--model", "tiny-a")
    assert done["hints"] == []
    assert set(done["materialized"]) == {"source_files", "image_events"}
    assert as_json(lineage, "check")["passed"]


def test_a_run_tells_of_a_renamed_source_before_it_reads_its_photos(lineage: Lineage) -> None:
    rename_in_configuration(lineage, "photos", "holiday")
    done = photolineage(lineage, "run", "--model", "tiny-a")
    hint, scanning = (
        done.stderr.find("Hint: source 'holiday' has the same 28 photos"),
        done.stderr.find("Scanning"),
    )
    assert 0 < hint < scanning
    assert done.stderr.count("Hint:") == 2  # afterwards with the number of photos that were read
    logged = as_json(lineage, "run", "--model", "tiny-a")
    assert len(logged["hints"]) == 1


def test_forgetting_shows_first_and_deletes_with_consent(lineage: Lineage) -> None:
    said = photolineage(lineage, "sources", "forget", "photos")
    assert said.returncode == 1
    assert "[sources.photos] from" in said.stderr
    rename_in_configuration(lineage, "photos", "other")
    before = lineage.rows()
    shown = photolineage(lineage, "sources", "forget", "photos")
    assert (shown.returncode, after_configuration(shown.stderr)) == (0, "")
    assert "What the catalog would lose with source photos" in shown.stdout
    assert "Nothing was deleted. To delete it, add --delete." in shown.stdout
    assert lineage.rows() == before
    done = as_json(lineage, "sources", "forget", "photos", "--delete")
    assert done["deleted"]
    assert done["forgotten"]["images"] == 28
    assert lineage.shards == []
    assert [source["key"] for source in as_json(lineage, "sources", "list")["sources"]] == ["other"]
    assert "'photos' is not in the catalog" in failure(lineage, "sources", "forget", "photos")


def test_sources_that_a_command_added_need_no_editing(lineage: Lineage, tmp_path: Path) -> None:
    root = tmp_path / "more"
    draw_photo(root / "1.jpg", 901)
    assert photolineage(lineage, "run", "--photos", str(root), "--model", "tiny-a").returncode == 0
    as_json(lineage, "sources", "rename", "more", "trips")
    assert load_settings(lineage.config_file).sources["trips"].root == root
    moved = root.rename(tmp_path / "moved")
    as_json(lineage, "sources", "move", "trips", str(moved))
    assert load_settings(lineage.config_file).sources["trips"].root == moved
    assert set(as_json(lineage, "run", "--model", "tiny-a")["materialized"]) <= {
        "source_files",
        "image_events",
    }
    as_json(lineage, "sources", "forget", "trips", "--delete")
    assert list(load_settings(lineage.config_file).sources) == ["photos"]


def test_a_moved_source_of_the_configuration(lineage: Lineage, tmp_path: Path) -> None:
    moved = (lineage.config_file.parent / "photos").rename(tmp_path / "moved")
    said = failure(lineage, "sources", "move", "photos", str(moved))
    assert f'write `root = "{moved}"` in [sources.photos]' in said
    config = lineage.config_file.read_text()
    lineage.config_file.write_text(config.replace("root = 'photos'", f"root = '{moved}'"))
    as_json(lineage, "sources", "move", "photos", str(moved))
    (listed,) = as_json(lineage, "sources", "list")["sources"]
    assert (listed["root"], listed["state"]) == (str(moved), "configured")


def die(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_killed_rename_is_finished_by_the_same_command(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_in_configuration(lineage, "photos", "holiday")
    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "remove", die)  # after the catalog has changed
        photolineage(lineage, "sources", "rename", "photos", "holiday")
    assert any("photos-0" in path for path in lineage.files())
    assert lineage.shards[0] == "photos-00000"
    assert "'photoz' is not in the catalog" in failure(lineage, "sources", "rename", "photoz", "holiday")

    renamed = as_json(lineage, "sources", "rename", "photos", "holiday")
    assert lineage.shards == list(renamed["shards"].values()) == [f"holiday-{n:05}" for n in range(3)]
    assert not any("photos-0" in path for path in lineage.files())
    assert set(as_json(lineage, "run", "--model", "tiny-a")["materialized"]) == {
        "source_files",
        "image_events",
    }
    assert "'photos' is not in the catalog" in failure(lineage, "sources", "rename", "photos", "holiday")


def test_a_killed_forget_is_finished_by_the_same_command(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_in_configuration(lineage, "photos", "other")
    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "remove", die)
        photolineage(lineage, "sources", "forget", "photos", "--delete")
    assert any("photos-0" in path for path in lineage.files())
    assert as_json(lineage, "sources", "forget", "photos", "--delete") == {"deleted": True, "forgotten": None}
    assert not any("photos-0" in path for path in lineage.files())
    assert lineage.shards == []
    assert "'photos' is not in the catalog" in failure(lineage, "sources", "forget", "photos")


def test_a_lost_file_does_not_stop_a_rename(lineage: Lineage) -> None:
    min((lineage.home / "embeddings/tiny-a/photos-00000").iterdir()).unlink()
    rename_in_configuration(lineage, "photos", "holiday")
    done = photolineage(lineage, "sources", "rename", "photos", "holiday")
    assert done.returncode == 0
    assert "The index of tiny-a could not be brought up to date now" in done.stdout
    assert lineage.shards == [f"holiday-{n:05}" for n in range(3)]


@pytest.mark.parametrize("command", [["rename", "photos", "holiday"], ["forget", "photos", "--delete"]])
def test_a_copy_of_the_home_takes_the_catalog_over(
    lineage: Lineage, tmp_path: Path, command: list[str]
) -> None:
    catalog = f"catalog.url = 'sqlite:///{lineage.home}/catalog.db'\n"
    rename_in_configuration(lineage, "photos", "holiday")
    text = lineage.config_file.read_text()
    copy = tmp_path / "copy"
    shutil.copytree(lineage.config_file.parent, copy)
    (copy / "photolineage.toml").write_text(
        catalog + text.replace("root = 'photos'", f"root = '{lineage.config_file.parent}/photos'")
    )
    with open_lineage(copy / "photolineage.toml") as second:
        as_json(second, "sources", *command)
    assert "belongs to the home" in failure(lineage, "sources", "list")


def test_the_added_name_of_a_source_gives_way_to_the_configured_one(lineage: Lineage, tmp_path: Path) -> None:
    root = tmp_path / "more"
    draw_photo(root / "1.jpg", 901)
    assert photolineage(lineage, "run", "--photos", str(root), "--model", "tiny-a").returncode == 0
    config = lineage.config_file.read_text()
    lineage.config_file.write_text(
        config.replace("[sources.photos]", f"[sources.trips]\nroot = '{root}'\n[sources.photos]")
    )
    as_json(lineage, "sources", "rename", "more", "trips")
    assert list(load_settings(lineage.config_file).sources) == ["trips", "photos"]


def test_replacing_a_source_with_photos_of_its_own_needs_consent(lineage: Lineage, tmp_path: Path) -> None:
    other = tmp_path / "other"
    draw_photo(other / "own.jpg", 901)
    (lineage.config_file.parent / "photos").rename(other / "photos")
    config = lineage.config_file.read_text()
    lineage.config_file.write_text(
        config.replace("[sources.photos]\nroot = 'photos'", f"[sources.other]\nroot = '{other}'")
    )
    assert photolineage(lineage, "run", "--model", "tiny-a").returncode == 0
    lineage.config_file.write_text(lineage.config_file.read_text().replace(f"'{other}'", f"'{other}/photos'"))
    said = photolineage(lineage, "sources", "rename", "photos", "other")
    assert said.returncode == 1
    assert "'other' already, with photos that 'photos' does not have" in said.stderr
    assert "Nothing was changed. To do it, add --delete." in said.stderr
    as_json(lineage, "sources", "rename", "photos", "other", "--delete")
    assert as_json(lineage, "status")["sources"][0]["images"] == 28


def test_a_command_waits_for_a_run(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    waited = []
    flock = fcntl.flock

    def end_the_run(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            waited.append(descriptor)
            holder.__exit__(None, None, None)
        flock(descriptor, operation)

    holder = only_run(lineage.home, None)
    holder.__enter__()
    monkeypatch.setattr(fcntl, "flock", end_the_run)
    done = photolineage(lineage, "sources", "forget", "photos", "--delete")
    assert waited
    assert "Waiting, because another `photolineage run`" in done.stderr


def test_what_somebody_wrote_into_the_file_of_added_sources_is_kept(lineage: Lineage, tmp_path: Path) -> None:
    settings = load_settings(lineage.config_file)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        add_source(settings, tmp_path / name)
    file = settings.added_sources_file
    file.write_text(
        file.read_text().replace(
            f'root = "{tmp_path}/one"\n', f'root = "{tmp_path}/one"\nhidden = true # mine\n'
        )
    )
    change_added(settings, "one", ("first", tmp_path))
    changed = load_settings(lineage.config_file).sources
    assert list(changed) == ["photos", "first", "two"]
    assert (changed["first"].root, changed["first"].hidden) == (tmp_path, True)
    assert "# mine" in file.read_text()
    change_added(settings, "first", None)
    assert list(load_settings(lineage.config_file).sources) == ["photos", "two"]


def test_the_json_of_a_refusal_is_one_value(lineage: Lineage) -> None:
    done = photolineage(lineage, "sources", "rename", "nobody", "new", "--json")
    assert done.returncode == 1
    assert "'nobody' is not in the catalog. It has: photos." in json.loads(done.stdout)["error"]
