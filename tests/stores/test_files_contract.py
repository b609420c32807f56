"""What every implementation of `Files` promises. To test another one, add it to `IMPLEMENTATIONS`."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from photolineage.stores.files import Files, LocalFiles, LostFileError, sweep_uncommitted
from photolineage.stores.root_folder import StorageError

IMPLEMENTATIONS: Mapping[str, Callable[[Path], Files]] = {"local": LocalFiles}


@pytest.fixture(params=IMPLEMENTATIONS)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return IMPLEMENTATIONS[request.param](tmp_path / "home")


def put(files: Files, *paths: str, content: bytes = b"content") -> None:
    for path in paths:
        files.write(path, lambda partial: partial.write_bytes(content))


def paths_in(files: Files, folder: str) -> list[str]:
    return [file.path for file in files.list_files(folder)]


def fill_the_disk(partial: Path) -> None:
    partial.write_bytes(b"half")
    with open("/dev/full", "wb", buffering=0) as full:
        full.write(b"the rest")


def test_a_file_comes_back_byte_for_byte(files: Files) -> None:
    content = bytes(range(256)) * 300
    assert files.write("previews/a/1.arrow", lambda partial: partial.write_bytes(content)) == len(content)
    assert files.local("previews/a/1.arrow").read_bytes() == content
    assert files.local("previews/a/1.arrow", len(content)).read_bytes() == content


def test_an_empty_file_is_a_file(files: Files) -> None:
    put(files, "previews/a/1", content=b"")
    assert files.local("previews/a/1", 0).read_bytes() == b""
    assert [(file.path, file.size_bytes) for file in files.list_files("previews")] == [("previews/a/1", 0)]


def test_a_file_is_not_there_until_it_is_whole(files: Files) -> None:
    seen = []

    def fill(partial: Path) -> None:
        partial.write_bytes(b"half")
        seen.extend([file.is_partial for file in files.list_files("previews")])
        with pytest.raises(LostFileError):
            files.local("previews/a/1")
        partial.write_bytes(b"whole")

    files.write("previews/a/1", fill)
    assert all(seen)
    assert [file.is_partial for file in files.list_files("previews")] == [False]
    assert files.local("previews/a/1").read_bytes() == b"whole"


def test_a_written_file_takes_the_place_of_the_former(files: Files) -> None:
    put(files, "events/model.parquet", content=b"former")
    put(files, "events/model.parquet", content=b"newer")
    assert files.local("events/model.parquet").read_bytes() == b"newer"


def test_a_write_that_fails_leaves_the_former_file_and_nothing_else(files: Files) -> None:
    put(files, "events/model.parquet", content=b"former")
    with pytest.raises(StorageError, match=r"model\.parquet: .*No space left on device"):
        files.write("events/model.parquet", fill_the_disk)
    assert files.local("events/model.parquet").read_bytes() == b"former"
    assert paths_in(files, "events") == ["events/model.parquet"]


def test_a_listing_has_every_file_below_a_folder_and_no_others(files: Files) -> None:
    put(
        files,
        "embeddings/b/s/2",
        "embeddings/a/s/1",
        "embeddings/a/t/0",
        "embeddings/ab/s/1",
        "previews/a/s/1",
    )
    assert paths_in(files, "embeddings/a") == ["embeddings/a/s/1", "embeddings/a/t/0"]
    assert paths_in(files, "embeddings") == [
        "embeddings/a/s/1", "embeddings/a/t/0", "embeddings/ab/s/1", "embeddings/b/s/2"
    ]  # fmt: skip
    assert paths_in(files, "embeddings/c") == paths_in(files, "events") == []


def test_a_listing_tells_sizes_and_times(files: Files) -> None:
    before = time.time()
    put(files, "previews/a/1", content=b"12345")
    (file,) = files.list_files("previews")
    assert file.size_bytes == 5
    assert before - 2 < file.modified_at < time.time() + 2


def test_a_file_that_is_gone_or_has_another_size_is_lost(files: Files) -> None:
    put(files, "previews/a/1", content=b"12345")
    with pytest.raises(
        LostFileError, match="previews/a/1: the file has 5 bytes, but had 6 when it was written"
    ):
        files.local("previews/a/1", 6)
    with pytest.raises(LostFileError, match="previews/a/2: no such file"):
        files.local("previews/a/2")
    with pytest.raises(LostFileError, match="previews/a/1/2: no such file"):
        files.local("previews/a/1/2")


def test_removed_files_are_gone_and_the_others_stay(files: Files) -> None:
    put(files, "embeddings/a/s/1", "embeddings/a/s/2", "embeddings/b/s/1")
    files.remove(["embeddings/a/s/1", "embeddings/a/s/never written", "embeddings/b/s/1"])
    assert paths_in(files, "embeddings") == ["embeddings/a/s/2"]
    with pytest.raises(LostFileError):
        files.local("embeddings/a/s/1")
    files.remove([])


def test_where_all_files_were_removed_there_is_still_the_top_folder(files: Files) -> None:
    put(files, "embeddings/a/s/1")
    files.remove(["embeddings/a/s/1"])
    files.require_folder("embeddings/a/s/1")
    put(files, "embeddings/a/s/1")
    assert paths_in(files, "embeddings") == ["embeddings/a/s/1"]


def write_export(files: Files, content: str) -> None:
    def fill(folder: Path) -> None:
        for name in ("digests.json", "model.onnx"):
            (folder / name).write_text(content)

    files.write_folder("text_encoders/a-1", fill, last="digests.json")


def test_the_files_of_a_folder_are_side_by_side(files: Files) -> None:
    write_export(files, "first")
    paths = ["text_encoders/a-1/digests.json", "text_encoders/a-1/model.onnx"]
    assert paths_in(files, "text_encoders") == paths
    local = [files.local(path) for path in paths]
    assert local[0].parent == local[1].parent
    assert [file.name for file in local] == ["digests.json", "model.onnx"]
    assert [file.read_text() for file in local] == ["first", "first"]


def test_of_two_that_write_a_folder_one_is_kept(files: Files) -> None:
    def overtaken(folder: Path) -> None:
        write_export(files, "first")
        for name in ("digests.json", "model.onnx"):
            (folder / name).write_text("second")

    files.write_folder("text_encoders/a-1", overtaken, last="digests.json")
    assert len({files.local(file.path).read_text() for file in files.list_files("text_encoders")}) == 1


def test_a_folder_that_cannot_be_filled_leaves_nothing(files: Files) -> None:
    with pytest.raises(StorageError, match=r"text_encoders/a-1: .*No space left on device"):
        files.write_folder(
            "text_encoders/a-1", lambda folder: fill_the_disk(folder / "model.onnx"), last="digests.json"
        )
    assert files.list_files("text_encoders") == []


@pytest.mark.parametrize(
    "path", ["", ".", "/etc/passwd", "../x", "previews/../../x", "a//b", "a/", "./a", "a\0b"]
)
def test_a_path_that_leads_out_of_the_store_is_refused_by_every_method(
    files: Files, tmp_path: Path, path: str
) -> None:
    (tmp_path / "x").write_text("precious")
    calls: list[Callable[[], object]] = [
        lambda: put(files, path),
        lambda: files.write_folder(path, lambda folder: (folder / "x").touch(), last="x"),
        lambda: files.local(path),
        lambda: files.list_files(path),
        lambda: files.remove([path]),
        lambda: files.require_folder(path),
        lambda: files.location(path),
    ]
    for call in calls:
        with pytest.raises(
            StorageError, match=r"not a valid path of a stored file.*restore it from a backup"
        ):
            call()
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "precious"


def test_a_sweep_removes_what_was_not_committed_and_nothing_else(files: Files) -> None:
    put(files, "previews/a/committed", "previews/a/stray", "previews/b/stray")
    committed = {"previews/a/committed", "previews/a/committed elsewhere"}
    assert sweep_uncommitted(files, "previews/a", lambda: committed) == ["previews/a/stray"]
    assert paths_in(files, "previews") == ["previews/a/committed", "previews/b/stray"]
    assert sweep_uncommitted(files, "previews/c", set) == []


def test_what_another_run_writes_while_the_names_are_asked_for_is_left_alone(files: Files) -> None:
    put(files, "previews/a/garbage")

    def find_committed() -> set[str]:
        put(files, "previews/a/of another run")
        return set()

    assert sweep_uncommitted(files, "previews/a", find_committed) == ["previews/a/garbage"]
    assert paths_in(files, "previews") == ["previews/a/of another run"]


def test_a_copy_is_a_file_of_its_own(files: Files) -> None:
    put(files, "previews/a/1")
    put(files, "previews/b/1", content=b"left by a killed rename")
    for _ in range(2):  # again, after a kill
        files.copy("previews/a/1", "previews/b/1")
        assert paths_in(files, "previews") == ["previews/a/1", "previews/b/1"]
    files.remove(["previews/a/1"])
    assert files.local("previews/b/1").read_bytes() == b"content"
    with pytest.raises(LostFileError):
        files.copy("previews/a/1", "previews/b/2")
