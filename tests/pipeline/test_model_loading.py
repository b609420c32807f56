"""A model's precision is settled at its first load, by measurement, and holds."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Row

from catalog.model_facts import Precision
from catalog.queries import find_model
from pipeline import model_loading
from pipeline.model_loading import LibraryModel, load_model
from pipeline.model_registry import ModelChangedError
from resources.embedder import unload
from resources.precision import Agreement
from resources.settings import ModelSettings
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
    """From now on the processor has instructions for this precision; bfloat16 is computed all the same."""
    unload()
    for module in ("resources.embedder", "pipeline.model_loading"):
        monkeypatch.setattr(f"{module}.native_precision", lambda _device: precision)


def load(library: Library, precision: str = "auto") -> LibraryModel:
    settings = ModelSettings.model_validate(
        {"architecture": library.settings.models["tiny-a"].architecture, "precision": precision}
    )
    return load_model(library.engine, library.previews, "tiny-a", settings)


def row_of(library: Library) -> Row:
    with library.engine.connect() as connection:
        row = find_model(connection, "tiny-a")
    assert row is not None
    return row


def test_a_processor_without_bfloat16_computes_in_float32_and_compares_nothing(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    model = load(registered)
    assert (model.precision, model.agreement) == ("float32", None)
    row = row_of(registered)
    assert (row.id, row.precision, row.agreement_cosine, row.agreement_neighbors) == (
        model.id, Precision.FLOAT32, None, None,
    )  # fmt: skip


def test_bfloat16_is_compared_with_float32_on_the_previews_and_then_used(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.BFLOAT16)
    model = load(registered)
    row = row_of(registered)
    assert row.precision == model.embedder.computes_in == Precision.BFLOAT16
    assert model.agreement == Agreement(row.agreement_cosine, row.agreement_neighbors)
    assert 0.995 < row.agreement_cosine < 1
    assert 0.5 < row.agreement_neighbors <= 1
    assert model.precision.startswith(f"bfloat16 (mean cosine with float32 {row.agreement_cosine:.4f}, ")
    assert load(registered).agreement == model.agreement


def test_a_machine_that_emulates_bfloat16_takes_part_in_float32(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.BFLOAT16)
    first = load(registered)
    computing_in(monkeypatch, Precision.FLOAT32)
    second = load(registered)
    assert (second.id, second.embedder.facts) == (first.id, first.embedder.facts)
    assert second.embedder.computes_in == Precision.FLOAT32
    assert second.precision.startswith("float32 in place of bfloat16, which this machine only emulates (")


def test_a_model_that_began_in_float32_stays_in_it(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    load(registered)
    computing_in(monkeypatch, Precision.BFLOAT16)
    model = load(registered)
    assert (model.precision, row_of(registered).precision) == ("float32", Precision.FLOAT32)
    with pytest.raises(ModelChangedError, match=r"(?s)another precision.*FLOAT32.*BFLOAT16.*key of its own"):
        load(registered, "bfloat16")


def test_below_the_bar_the_model_falls_back_and_says_so(
    registered: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("resources.precision.LEAST_COSINE", 1.1)
    computing_in(monkeypatch, Precision.BFLOAT16)
    model = load(registered)
    assert model.embedder.computes_in == row_of(registered).precision == Precision.FLOAT32
    assert 0.9 < row_of(registered).agreement_cosine < 1
    assert "models.tiny-a: computed in float32, because bfloat16 agrees with it" in caplog.text
    assert model.precision.startswith("float32, because bfloat16 is below ")
    assert load(registered, "bfloat16").embedder.facts == model.embedder.facts


def test_a_setting_goes_before_the_hardware(registered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    computing_in(monkeypatch, Precision.BFLOAT16)
    assert load(registered, "float32").precision == "float32"
    assert row_of(registered).precision == Precision.FLOAT32


def test_bfloat16_may_be_asked_for_where_it_is_only_emulated(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing_in(monkeypatch, Precision.FLOAT32)
    model = load(registered, "bfloat16")
    assert row_of(registered).precision == Precision.BFLOAT16
    assert row_of(registered).agreement_cosine > 0.995
    assert model.embedder.computes_in == Precision.FLOAT32


def test_machines_that_load_a_new_model_at_once_agree_on_its_precision(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of the other machine appears while this one still measures."""
    computing_in(monkeypatch, Precision.BFLOAT16)
    measure = model_loading.measure_agreement

    def be_slow(*arguments: object) -> Agreement:
        registered.embedder("tiny-a")  # in float32
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(model_loading, "measure_agreement", be_slow)
    assert load(registered).precision == "float32"
    assert row_of(registered).precision == Precision.FLOAT32
