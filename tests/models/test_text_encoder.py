"""The exported text half of a model: it is the model's own, it is whole, and it needs no torch."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from photolineage.models.embedder import Embedder, load_embedder
from photolineage.models.text_encoder import (
    TextExportError,
    ensure_text_encoder,
    export_text_encoder,
    find_text_encoder,
    text_encoder_files,
)
from photolineage.settings import ModelSettings
from photolineage.stores.files import Files, LocalFiles
from photolineage.stores.root_folder import StorageError

TEXTS = [
    "a beach",
    "Ein Straßencafé — bei Nacht!",
    "写真",
    "don't &amp; won't",
    "<start_of",
    "",
    "long " * 90,
]


@pytest.fixture(scope="session")
def embedder(tiny_models: Mapping[str, Path]) -> Embedder:
    return load_embedder("tiny-a", ModelSettings(architecture=f"local-dir:{tiny_models['tiny-a']}"))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return LocalFiles(tmp_path)


@pytest.fixture
def exported(files: Files, embedder: Embedder) -> Files:
    assert ensure_text_encoder(files, "tiny-a", "d" * 64, embedder.export_text_encoder) is None
    return files


def test_the_embeddings_are_the_model_s(exported: Files, embedder: Embedder) -> None:
    encoder = find_text_encoder(exported, "tiny-a", "d" * 64)
    assert encoder is not None
    vectors = encoder.encode_text(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 16), np.dtype(np.float32))
    np.testing.assert_allclose(vectors, embedder.encode_text(TEXTS), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert [encoder.truncates(text) for text in TEXTS] == [embedder.truncates(text) for text in TEXTS]
    assert encoder.truncates(TEXTS[-1])


def test_other_weights_have_no_export(exported: Files) -> None:
    assert find_text_encoder(exported, "tiny-a", "e" * 64) is None
    assert find_text_encoder(exported, "tiny-b", "d" * 64) is None


def test_an_export_is_made_once(exported: Files) -> None:
    def refuse(_folder: Path) -> None:
        raise AssertionError("exported again")

    assert ensure_text_encoder(exported, "tiny-a", "d" * 64, refuse) is None


def test_an_export_that_fails_leaves_its_reason_and_is_not_tried_again(files: Files) -> None:
    attempts = []

    def fail(folder: Path) -> None:
        attempts.append(folder)
        (folder / "text.onnx").write_bytes(b"half")
        raise TextExportError("ONNX cannot express it")

    for _ in range(2):
        assert ensure_text_encoder(files, "tiny-a", "d" * 64, fail) == "ONNX cannot express it"
    assert len(attempts) == 1
    assert find_text_encoder(files, "tiny-a", "d" * 64) is None


def test_an_export_that_is_killed_leaves_nothing_that_is_found(files: Files) -> None:
    def die(folder: Path) -> None:
        (folder / "text.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_text_encoder(files, "tiny-a", "d" * 64, die)
    assert find_text_encoder(files, "tiny-a", "d" * 64) is None


@pytest.mark.parametrize("name", ["text.onnx", "facts.json", "tokenizer.json"])
def test_an_export_that_does_not_open_counts_as_none_and_is_made_anew(
    exported: Files, embedder: Embedder, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (folder,) = {exported.local(file.path).parent for file in text_encoder_files(exported, "tiny-a")}
    os.truncate(folder / name, 10)

    assert find_text_encoder(exported, "tiny-a", "d" * 64) is None
    assert f"{folder}: cannot be opened" in caplog.text
    assert "until image_embeddings of tiny-a is materialized again" in caplog.text

    assert ensure_text_encoder(exported, "tiny-a", "d" * 64, embedder.export_text_encoder) is None
    assert find_text_encoder(exported, "tiny-a", "d" * 64) is not None


def test_whatever_the_exporter_raises_is_a_refusal(
    embedder: Embedder, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        raise KeyError("a tower of its own")

    monkeypatch.setattr(embedder._model, "encode_text", odd)
    for _ in range(2):
        refused = ensure_text_encoder(files, "tiny-a", "d" * 64, embedder.export_text_encoder)
        assert refused == "ONNX cannot express it: KeyError: 'a tower of its own'"
    assert caplog.messages == [
        f"tiny-a: its text half was not exported, so searches load the whole model: {refused}"
    ]
    assert [file.path for file in text_encoder_files(files, "tiny-a")] == [
        f"text_encoders/tiny-a-{'d' * 16}.txt"
    ]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"),
    ],
)
def test_too_little_memory_is_a_reason_for_this_time_only(
    embedder: Embedder, files: Files, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def exhausted(tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(embedder._model, "encode_text", exhausted)
        reason = ensure_text_encoder(files, "tiny-a", "d" * 64, embedder.export_text_encoder)
    assert reason is not None
    assert reason.startswith("not enough memory for the export: ")
    assert text_encoder_files(files, "tiny-a") == []
    assert ensure_text_encoder(files, "tiny-a", "d" * 64, embedder.export_text_encoder) is None


def test_a_full_disk_is_no_refusal(files: Files) -> None:
    def fill_the_disk(_folder: Path) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"half")

    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        ensure_text_encoder(files, "tiny-a", "d" * 64, fill_the_disk)
    assert text_encoder_files(files, "tiny-a") == []


def test_what_a_killed_export_leaves_belongs_to_its_model_and_to_no_other(
    tmp_path: Path, files: Files
) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from photolineage.models.text_encoder import ensure_text_encoder
from photolineage.stores.files import LocalFiles
def die(folder):
    (folder / "text.onnx").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
ensure_text_encoder(LocalFiles(Path(sys.argv[1])), "tiny-a", "d" * 64, die)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    (left,) = files.list_files("text_encoders")
    assert left.is_partial
    assert text_encoder_files(files, "tiny-a") == [left]
    assert text_encoder_files(files, "tiny") == []


def test_what_another_process_made_meanwhile_stays(tmp_path: Path, files: Files) -> None:
    folder = tmp_path / "text_encoders" / f"tiny-a-{'d' * 16}"

    def overtaken(made: Path) -> None:
        (made / "facts.json").write_text("second")
        folder.mkdir()
        (folder / "facts.json").write_text("first")

    assert ensure_text_encoder(files, "tiny-a", "d" * 64, overtaken) is None
    assert (folder / "facts.json").read_text() == "first"


def test_an_export_that_differs_from_the_model_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    model = embedder._model
    with torch.no_grad():
        kept = model.token_embedding.weight.clone()
    calls = []
    original = model.encode_text

    def drifting(tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """The weights of the trace, then others."""
        calls.append(len(tokens))
        if len(calls) > 1:
            with torch.no_grad():
                model.token_embedding.weight.copy_(kept.flip(0))
        return original(tokens, normalize=normalize)

    model.encode_text = drifting
    try:
        with pytest.raises(TextExportError, match="its embeddings of texts differ from the model's by"):
            embedder.export_text_encoder(tmp_path)
    finally:
        del model.encode_text
        with torch.no_grad():
            model.token_embedding.weight.copy_(kept)


def test_another_tokenizer_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    with pytest.raises(TextExportError, match="its tokenizer is SimpleTokenizer; only CLIP's"):
        export_text_encoder(embedder._model, SimpleTokenizer(clean="canonicalize"), tmp_path)
    with pytest.raises(TextExportError, match="its tokenizer is object"):
        export_text_encoder(embedder._model, object(), tmp_path)


def test_a_text_is_encoded_without_torch(exported: Files, embedder: Embedder) -> None:
    program = f"""
import json, sys
from pathlib import Path
from photolineage.models.text_encoder import find_text_encoder
from photolineage.stores.files import LocalFiles
encoder = find_text_encoder(LocalFiles(Path({exported.location("text_encoders")!r}).parent), "tiny-a", {"d" * 64!r})
print(json.dumps(encoder.encode_text(["a beach"]).tolist()))
assert not {{"torch", "open_clip", "transformers"}} & sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), embedder.encode_text(["a beach"]), atol=1e-5)
