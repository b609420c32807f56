"""A model's precision is settled at its first load, by measurement, and holds."""

from collections.abc import Iterator
from typing import Any

import open_clip
import pytest
import torch

from photolineage.catalog.queries import ModelRow, find_model
from photolineage.catalog.vocabulary import Precision
from photolineage.models import loading as model_loading
from photolineage.models.embedder import measure_agreement, unload
from photolineage.models.loading import LibraryModel, load_model
from photolineage.models.precision import Agreement
from photolineage.models.registry import ModelChangedError
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
from tests.library import Library


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    """What a processor computes in is looked up when a model is loaded."""
    unload()
    yield
    unload()


@pytest.fixture
def registered(any_library: Library) -> Library:
    any_library.scan()
    any_library.register_all()
    return any_library


def computing_in(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    """From now on the processor has instructions for this precision; the others are computed all the same."""
    unload()
    for module in ("photolineage.models.embedder", "photolineage.models.loading"):
        monkeypatch.setattr(f"{module}.native_precisions", lambda _device: (precision, Precision.FLOAT32))


def load(library: Library, precision: str = "auto") -> LibraryModel:
    settings = ModelSettings.model_validate(
        {"architecture": library.settings.models["tiny-a"].architecture, "precision": precision}
    )
    return load_model(library.engine, library.previews, "tiny-a", settings)


def row_of(library: Library) -> ModelRow:
    with library.engine.connect() as connection:
        row = find_model(connection, "tiny-a")
    assert row is not None
    return row


FASTER = pytest.mark.parametrize("faster", [Precision.BFLOAT16, Precision.INT8])


def test_a_processor_without_faster_instructions_computes_in_float32_and_compares_nothing(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    model = load(registered)
    assert (model.precision, model.agreement) == ("float32", None)
    row = row_of(registered)
    assert (row.id, row.precision, row.agreement_cosine, row.agreement_neighbors) == (
        model.id, Precision.FLOAT32, None, None,
    )  # fmt: skip


@FASTER
def test_a_faster_precision_is_compared_with_float32_on_the_previews_and_then_used(
    registered: Library, monkeypatch: pytest.MonkeyPatch, faster: Precision
) -> None:
    computing_in(monkeypatch, faster)
    model = load(registered)
    row = row_of(registered)
    assert row.precision == model.embedder.computes_in == faster
    assert row.agreement_cosine is not None
    assert row.agreement_neighbors is not None
    assert model.agreement == Agreement(row.agreement_cosine, row.agreement_neighbors)
    assert 0.995 < row.agreement_cosine < 1
    assert 0.5 < row.agreement_neighbors <= 1
    assert model.precision.startswith(f"{faster} (mean cosine with float32 {row.agreement_cosine:.4f}, ")
    assert load(registered).agreement == model.agreement


@FASTER
def test_a_machine_without_the_instructions_takes_part_in_float32(
    registered: Library, monkeypatch: pytest.MonkeyPatch, faster: Precision
) -> None:
    computing_in(monkeypatch, faster)
    first = load(registered)
    computing_in(monkeypatch, Precision.FLOAT32)
    second = load(registered)
    assert (second.id, second.embedder.facts) == (first.id, first.embedder.facts)
    assert second.embedder.computes_in == Precision.FLOAT32
    assert second.precision.startswith(
        f"float32 instead of {faster}, because this machine lacks the instructions for it ("
    )


@FASTER
@pytest.mark.parametrize("named", [True, False])
def test_a_model_that_was_loaded_before_there_was_a_picture_is_settled_by_the_first_ones(
    any_library: Library, monkeypatch: pytest.MonkeyPatch, faster: Precision, named: bool
) -> None:
    computing_in(monkeypatch, faster)
    first = load(any_library, faster if named else "auto")
    assert (first.precision, first.agreement) == ("float32", None)
    any_library.scan()
    any_library.register_all()
    model = load(any_library, faster if named else "auto")
    assert model.id == first.id
    assert row_of(any_library).precision == model.embedder.computes_in == faster
    assert model.agreement is not None


@FASTER
def test_a_model_that_began_in_float32_stays_in_it(
    registered: Library, monkeypatch: pytest.MonkeyPatch, faster: Precision
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    load(registered)
    registered.embed(registered.shard_keys()[0])
    computing_in(monkeypatch, faster)
    model = load(registered)
    assert (model.precision, row_of(registered).precision) == ("float32", Precision.FLOAT32)
    with pytest.raises(
        ModelChangedError, match=rf"(?s)the precision differ.*FLOAT32.*{faster.name}.*key of its own"
    ):
        load(registered, faster)


@FASTER
def test_below_the_bar_the_model_falls_back_and_says_so(
    registered: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, faster: Precision
) -> None:
    monkeypatch.setattr("photolineage.models.precision.LEAST_COSINE", 1.1)
    computing_in(monkeypatch, faster)
    model = load(registered)
    assert model.embedder.computes_in == row_of(registered).precision == Precision.FLOAT32
    cosine = row_of(registered).agreement_cosine
    assert cosine is not None
    assert 0.9 < cosine < 1
    assert f"models.tiny-a: not computed in {faster}: the mean cosine with float32 is" in caplog.text
    assert model.precision.startswith("float32, because the faster precision is below ")
    assert load(registered, faster).embedder.facts == model.embedder.facts


def test_a_setting_goes_before_the_hardware(registered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    computing_in(monkeypatch, Precision.BFLOAT16)
    assert load(registered, "float32").precision == "float32"
    assert row_of(registered).precision == Precision.FLOAT32


@FASTER
def test_a_precision_may_be_asked_for_without_instructions_for_it(
    registered: Library, monkeypatch: pytest.MonkeyPatch, faster: Precision
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    model = load(registered, faster)
    assert row_of(registered).precision == faster
    cosine = row_of(registered).agreement_cosine
    assert cosine is not None
    assert cosine > 0.995
    assert model.embedder.computes_in == Precision.FLOAT32


@pytest.fixture
def _without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a step that OpenVINO has no operator for."""

    def encode_image(model: open_clip.CLIP, pixels: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = model.visual(pixels)
        return embeddings + torch.linalg.eigvals(embeddings[:, None, :1]).real

    monkeypatch.setattr(open_clip.CLIP, "encode_image", encode_image)


@pytest.mark.usefixtures("_without_a_graph")
def test_a_model_that_cannot_be_computed_in_int8_is_in_float32_and_says_so(
    registered: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    computing_in(monkeypatch, Precision.INT8)
    model = load(registered)
    assert (model.precision, row_of(registered).agreement_cosine) == ("float32", None)
    assert (
        "models.tiny-a: cannot be computed in int8; trying another precision: OpenVINO cannot" in caplog.text
    )


@pytest.mark.usefixtures("_without_a_graph")
def test_int8_that_is_asked_for_and_cannot_be_is_refused(registered: Library) -> None:
    with pytest.raises(ModelUnavailableError, match=r"models.tiny-a.precision = 'int8'.*OpenVINO.*'auto'"):
        load(registered, "int8")
    with registered.engine.connect() as connection:
        assert find_model(connection, "tiny-a") is None


def test_machines_that_load_a_new_model_at_once_agree_on_its_precision(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first embeddings of the other machine appear while this one still measures."""
    computing_in(monkeypatch, Precision.BFLOAT16)

    def be_slow(*arguments: Any) -> Agreement:
        registered.embed(registered.shard_keys()[0])  # in float32
        return measure_agreement(*arguments)

    monkeypatch.setattr(model_loading, "measure_agreement", be_slow)
    assert load(registered).precision == "float32"
    assert row_of(registered).precision == Precision.FLOAT32
