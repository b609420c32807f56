"""Models from the hub: by pretrained tag and by `hf-hub:`, from a local cache that the test fills.

Each model is loaded in a process of its own, because the hub's client reads its environment when it is imported.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

REVISION = "0" * 40
WEIGHTS = "open_clip_model.safetensors"
TOKENIZER = "tokenizer.json and tokenizer_config.json"

FILL_BY_TAG = """
import sys, open_clip, torch
from safetensors.torch import save_file
torch.manual_seed(0)
model = open_clip.create_model("MobileCLIP2-S0", pretrained=None)
save_file({name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}, sys.argv[1])
"""

LOAD = """
import json, sys
from photolineage.models.embedder import load_embedder
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
try:
    embedder = load_embedder("hub", ModelSettings(**json.loads(sys.argv[1])))
except ModelUnavailableError as error:
    print(json.dumps({"error": str(error)}))
else:
    vector = embedder.encode_text(["a beach"])
    print(json.dumps({"dim": embedder.facts.embedding_dim, "size": embedder.facts.image_size,
                      "shape": vector.shape, "digest": embedder.facts.weights_digest,
                      "scale": [embedder.transform.mean, embedder.transform.deviation]}))
"""


def snapshot(cache: Path, repository: str) -> Path:
    """The folder of a cached repository's files, as the hub's client lays them out."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    files = folder / "snapshots" / REVISION
    files.mkdir(parents=True)
    return files


def run_python(code: str, argument: str, cache: Path) -> str:
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def load(cache: Path, architecture: str, pretrained: str | None = None) -> dict[str, object]:
    settings = json.dumps({"architecture": architecture, "pretrained": pretrained})
    answer: dict[str, object] = json.loads(run_python(LOAD, settings, cache).splitlines()[-1])
    return answer


def test_a_pretrained_tag_loads_from_a_filled_cache(tmp_path: Path) -> None:
    files = snapshot(tmp_path, "timm/MobileCLIP2-S0-OpenCLIP")
    run_python(FILL_BY_TAG, str(files / "open_clip_model.safetensors"), tmp_path)
    loaded = load(tmp_path, "MobileCLIP2-S0", "dfndr2b")
    assert (loaded["dim"], loaded["size"], loaded["shape"]) == (512, 256, [1, 512])
    assert loaded["scale"] == [[0, 0, 0], [1, 1, 1]]  # the tag's, unlike CLIP's


def test_a_hub_model_loads_from_a_filled_cache(tmp_path: Path, tiny_models: Mapping[str, Path]) -> None:
    files = snapshot(tmp_path, "somebody/tiny-clip")
    for file in tiny_models["tiny-a"].iterdir():
        shutil.copy(file, files)
    loaded = load(tmp_path, "hf-hub:somebody/tiny-clip")
    local = load(tmp_path, f"local-dir:{tiny_models['tiny-a']}")
    assert loaded == local
    assert loaded["dim"] == 16


@pytest.mark.parametrize(
    ("architecture", "pretrained", "files"),
    [
        ("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        (
            "ViT-B-16-SigLIP-256",
            "webli",
            f"timm/ViT-B-16-SigLIP-256 and {TOKENIZER} of timm/ViT-B-16-SigLIP",
        ),
        (
            "hf-hub:somebody/tiny-clip",
            None,
            f"somebody/tiny-clip and, if there are any, {TOKENIZER}",
        ),
    ],
)
def test_an_empty_cache_without_network_says_what_to_do(
    tmp_path: Path, architecture: str, pretrained: str | None, files: str
) -> None:
    message = str(load(tmp_path, architecture, pretrained)["error"])
    assert message.startswith(f"models.hub: {architecture}")
    assert f"connect it once. The files are kept in {tmp_path}" in message
    assert f"download open_clip_config.json and {WEIGHTS} of {files}. Copy them into a folder here" in message
    assert '[models.hub]\n  architecture = "local-dir:/models/hub"' in message


def test_a_model_whose_text_half_is_described_elsewhere_needs_the_cache(tmp_path: Path) -> None:
    message = str(load(tmp_path, "roberta-ViT-B-32", "laion2b_s12b_b32k")["error"])
    assert message.startswith("models.hub: roberta-ViT-B-32")
    assert message.endswith(f"load the model once on another machine, and copy {tmp_path} from there.")
