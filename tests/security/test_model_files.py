"""Only safetensors and tokenizer data load, and nothing outside of a model's folder is read."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import open_clip
import pytest
from onnx import TensorProto, helper

from photolineage.models.embedder import load_embedder, unload
from photolineage.models.model_files import WEIGHTS, require_safe_weights
from photolineage.models.text_encoder import ensure_text_encoder, find_text_encoder
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
from photolineage.stores.files import LocalFiles

REVISION = "0" * 40
TAG = ModelSettings(architecture="ViTamin-S", pretrained="datacomp1b")
"""A tag whose repository has no safetensors."""
TAG_REPOSITORY, TAG_FILE = "jienengchen/ViTamin-S", "pytorch_model.bin"


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mknod, (str(self.mark),))


@pytest.fixture
def folder(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Path:
    """A copy of a model that loads."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_models["tiny-a"], copy)
    return copy


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, without a network."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


def snapshot(cache: Path, repository: str) -> Path:
    """The folder of a cached repository's files, as the hub's client lays them out."""
    root = cache / f"models--{repository.replace('/', '--')}"
    files = root / "snapshots" / REVISION
    for made in (root / "refs", root / "blobs", files):
        made.mkdir(parents=True)
    (root / "refs" / "main").write_text(REVISION)
    return files


def load(architecture: str) -> None:
    try:
        load_embedder("mine", ModelSettings(architecture=architecture))
    finally:
        unload()


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth", "model.npz"])
def test_a_folder_with_pickled_weights_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "code-was-run"
    (folder / WEIGHTS).unlink()
    (folder / name).write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ModelUnavailableError, match=rf"models\.mine: .*{WEIGHTS} is missing"):
        load(f"local-dir:{folder}")
    assert not mark.exists()


def test_pickled_weights_under_the_name_of_safetensors_are_not_unpickled(
    folder: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "code-was-run"
    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ModelUnavailableError, match=r"models\.mine: .* cannot be loaded"):
        load(f"local-dir:{folder}")
    assert not mark.exists()
    pickle.loads((folder / WEIGHTS).read_bytes())
    assert mark.exists()  # it is a trap


@pytest.mark.parametrize("name", [WEIGHTS, "open_clip_config.json", "tokenizer.json", "sub/vocab.txt"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target, link = outside / "file", folder / name
    shutil.copy(link if link.exists() else folder / WEIGHTS, target)
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    with pytest.raises(ModelUnavailableError, match=f"{name} is a link that leaves the folder"):
        load(f"local-dir:{folder}")
    link.unlink()
    (folder / "more").symlink_to(outside)
    with pytest.raises(ModelUnavailableError, match="more is a link that leaves the folder"):
        load(f"local-dir:{folder}")


def test_a_folder_of_the_hub_s_cache_may_link_to_its_own_blobs(
    hub: Path, tiny_models: Mapping[str, Path]
) -> None:
    files = snapshot(hub, "somebody/tiny-clip")
    for number, file in enumerate(tiny_models["tiny-a"].iterdir()):
        blob = files.parents[1] / "blobs" / str(number)
        shutil.copy(file, blob)
        (files / file.name).symlink_to(Path("..", "..", "blobs", str(number)))
    load(f"local-dir:{files}")
    (files / "more").symlink_to("/etc/hostname")
    with pytest.raises(ModelUnavailableError, match="more is a link that leaves"):
        load(f"local-dir:{files}")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_a_pipe_is_refused_and_nobody_waits_for_it(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelUnavailableError, match=f"{name} is not a file"):
        load(f"local-dir:{folder}")


@pytest.mark.parametrize(
    "name", ["open_clip_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
)
def test_a_huge_file_is_not_read(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.truncate(2**34)  # takes no space on the disk
    with pytest.raises(ModelUnavailableError, match=f"{name} has 17,179,869,184 bytes"):
        load(f"local-dir:{folder}")


def test_weights_that_claim_to_be_huge_are_not_read(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        load(f"local-dir:{folder}")
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(2**36)
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        load(f"local-dir:{folder}")


def test_a_folder_of_countless_files_is_refused(folder: Path) -> None:
    for number in range(1_000):
        (folder / f"{number}.txt").touch()
    with pytest.raises(ModelUnavailableError, match="more than 1,000 files"):
        load(f"local-dir:{folder}")


def test_a_hub_model_with_pickled_weights_is_refused(
    hub: Path, tmp_path: Path, tiny_models: Mapping[str, Path]
) -> None:
    mark = tmp_path / "code-was-run"
    files = snapshot(hub, "somebody/tiny-clip")
    shutil.copy(tiny_models["tiny-a"] / "open_clip_config.json", files)
    for name in ("open_clip_pytorch_model.bin", "pytorch_model.bin", "model.pt"):
        (files / name).write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ModelUnavailableError, match=rf"cannot be loaded: .*{WEIGHTS}"):
        load("hf-hub:somebody/tiny-clip")
    assert not mark.exists()


def test_a_text_half_that_brings_code_is_refused(
    hub: Path, tmp_path: Path, tiny_models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "code-was-run"
    text = snapshot(hub, "somebody/text")
    (text / "trap.py").write_text(f"import os\nos.mknod({str(mark)!r})\nclass Trap: pass\n")
    auto_map = {"AutoConfig": "trap.Trap", "AutoModel": "trap.Trap", "AutoTokenizer": ["trap.Trap", None]}
    for name in ("config.json", "tokenizer_config.json"):
        (text / name).write_text(json.dumps({"model_type": "trap", "auto_map": auto_map}))
    files = snapshot(hub, "somebody/clip")
    for file in tiny_models["tiny-a"].iterdir():
        shutil.copy(file, files)
    config = json.loads((files / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] = {"hf_model_name": "somebody/text", "hf_tokenizer_name": "somebody/text"}
    (files / "open_clip_config.json").write_text(json.dumps(config))
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    for architecture in ("hf-hub:somebody/clip", f"local-dir:{files}"):
        with pytest.raises(ModelUnavailableError, match=r"cannot be loaded: .*custom code"):
            load(architecture)
    assert not mark.exists()


def test_pickled_weights_of_a_tag_are_those_that_were_published(hub: Path, tmp_path: Path) -> None:
    mark = tmp_path / "code-was-run"
    files = snapshot(hub, TAG_REPOSITORY)
    blobs = files.parents[1] / "blobs"
    content = pickle.dumps(Trap(mark))
    blob = blobs / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (files / TAG_FILE).symlink_to(blob)
    require_safe_weights("mine", TAG)
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):  # torch reads weights only
        load_embedder("mine", TAG)
    blob.write_bytes(content + b"another")
    with pytest.raises(ModelUnavailableError, match="not the file that was published"):
        require_safe_weights("mine", TAG)
    (files / TAG_FILE).unlink()
    (files / TAG_FILE).write_bytes(content)
    with pytest.raises(ModelUnavailableError, match="not the file that was published"):
        require_safe_weights("mine", TAG)
    assert not mark.exists()


def test_open_clip_s_weights_by_address_have_the_digest_in_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"rn50-{hashlib.sha256(b'weights').hexdigest()[:8]}.pt"
    published = {"url": f"https://host.example/mlfoundations/{file.name}"}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda _name, _tag: published)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _published: str(file))
    settings = ModelSettings(architecture="RN50", pretrained="yfcc15m")
    file.write_bytes(b"weights")
    require_safe_weights("mine", settings)
    file.write_bytes(b"others")
    with pytest.raises(ModelUnavailableError, match="not the file that was published"):
        require_safe_weights("mine", settings)
    published["url"] = "https://host.example/weights.pt"  # says nothing about its bytes
    with pytest.raises(ModelUnavailableError, match="not the file that was published"):
        require_safe_weights("mine", settings)


@pytest.mark.parametrize("location", ["../secret", "{outside}", "link", "sub/../../secret"])
def test_an_exported_text_half_reads_nothing_outside_of_its_folder(
    tmp_path: Path, location: str, tiny_models: Mapping[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    files = LocalFiles(tmp_path)
    model = ModelSettings(architecture=f"local-dir:{tiny_models['tiny-a']}")
    embedder = load_embedder("tiny-a", model)
    assert ensure_text_encoder(files, "tiny-a", "d" * 64, embedder.export_text_encoder) is None
    assert find_text_encoder(files, "tiny-a", "d" * 64) is not None
    (exported,) = tmp_path.glob("text_encoders/*/text.onnx")
    secret = exported.parents[1] / "secret"
    secret.write_bytes(np.arange(16, dtype=np.float32).tobytes())
    (exported.parent / "link").symlink_to(secret)
    (exported.parent / "sub").mkdir()
    exported.write_bytes(graph_of(location.replace("{outside}", str(secret))))
    assert find_text_encoder(files, "tiny-a", "d" * 64) is None
    assert "External data path" in caplog.text


def graph_of(location: str) -> bytes:
    """An ONNX graph that returns the 16 numbers of a file."""
    numbers = TensorProto(name="numbers", data_type=TensorProto.FLOAT, dims=[16])
    numbers.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "64"}.items():
        numbers.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["numbers"], ["embeddings"])],
        "text",
        [],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, [16])],
        [numbers],
    )
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    return model.SerializeToString()
