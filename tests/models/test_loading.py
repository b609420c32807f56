"""A model is measured at its first load on a machine; the precision of its embeddings is chosen once, and holds."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import open_clip
import pytest
import torch

from photolineage.catalog.queries import ModelRow, find_model
from photolineage.catalog.vocabulary import Precision
from photolineage.models import loading as model_loading
from photolineage.models.embedder import unload
from photolineage.models.loading import (
    LibraryModel,
    NothingToMeasureError,
    load_model,
    measure_model,
)
from photolineage.models.measuring import measure_ways
from photolineage.models.registry import ModelChangedError
from photolineage.models.timings import Machine, ModelTimings, list_timings, this_machine
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.models.ways import REFERENCE, WAYS, Backend, Timing, Way
from photolineage.settings import ModelSettings
from tests.library import Library

IN_BFLOAT16 = Way(Precision.BFLOAT16, Backend.TORCH)
IN_INT8 = Way(Precision.INT8, Backend.OPENVINO)
FLOAT32_WITH_OPENVINO = Way(Precision.FLOAT32, Backend.OPENVINO)
FASTER = pytest.mark.parametrize("faster", [IN_BFLOAT16, IN_INT8], ids=str)


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    unload()
    yield
    unload()


@pytest.fixture
def registered(any_library: Library) -> Library:
    any_library.scan()
    any_library.register_all()
    return any_library


@pytest.fixture
def small_library(library: Library) -> Library:
    library.scan()
    library.register_all()
    return library


class Fleet:
    """Machines that measure as this one does, but each is said to be fastest in one way, ten times as fast."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._measure = vars(model_loading)["measure_ways"]
        self.measured: list[str] = []

    def work_on(self, name: str, fastest: Way) -> None:
        """From now on, this process runs on the machine with this name."""
        unload()
        machine = Machine(hashlib.sha256(name.encode()).hexdigest()[:16], name, "cpu", 2)

        def measure(*arguments: Any) -> tuple[Timing, ...]:
            self.measured.append(name)
            return tuple(
                timing
                if timing.milliseconds is None
                else replace(timing, milliseconds=1.0 if timing.way == fastest else 10.0)
                for timing in self._measure(*arguments)
            )

        self._patch.setattr(model_loading, "this_machine", lambda: machine)
        self._patch.setattr(model_loading, "measure_ways", measure)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch)


def settings_of(library: Library, precision: str) -> ModelSettings:
    return ModelSettings.model_validate(
        {"architecture": library.settings.models["tiny-a"].architecture, "precision": precision}
    )


def load(library: Library, precision: str = "auto") -> LibraryModel:
    return load_model(library.engine, library.previews, "tiny-a", settings_of(library, precision))


def row_of(library: Library) -> ModelRow:
    with library.engine.connect() as connection:
        row = find_model(connection, "tiny-a")
    assert row is not None
    return row


def stored(library: Library) -> list[ModelTimings]:
    with library.engine.connect() as connection:
        return list_timings(connection)


def test_every_way_of_this_machine_is_measured_once_and_the_fastest_is_taken(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is imitated here: whichever way is the fastest on the machine of the test is taken."""
    monkeypatch.setattr(model_loading, "measure_ways", measure_ways)
    model = load(registered)
    (found,) = stored(registered)
    assert (found.model, found.machine, found.threads) == (
        "tiny-a", this_machine().name, torch.get_num_threads(),
    )  # fmt: skip
    assert [timing.way for timing in found.timings] == list(WAYS["cpu"])
    for timing in found.timings:
        assert timing.problem is None
        assert timing.milliseconds is not None
        assert timing.agreement is None or 0.99 < timing.agreement.cosine <= 1 + 1e-6
    assert model.embedder.way == found.way
    assert row_of(registered).precision == found.way.precision == model.embedder.facts.precision
    again = load(registered)
    assert (again.timings, again.embedder.way) == (found.timings, found.way)
    assert stored(registered) == [found]


@FASTER
def test_a_way_that_is_faster_and_agrees_is_used_and_its_agreement_is_told(
    small_library: Library, fleet: Fleet, faster: Way
) -> None:
    fleet.work_on("first", faster)
    model = load(small_library)
    assert model.embedder.way == faster
    assert row_of(small_library).precision == faster.precision
    (found,) = stored(small_library)
    measured = next(timing for timing in found.timings if timing.way == faster)
    assert measured.agreement is not None
    assert 0.995 < measured.agreement.cosine < 1
    assert measured.agreement.neighbors is not None
    assert 0.5 < measured.agreement.neighbors <= 1
    assert (
        model.precision == f"{faster.precision} (mean cosine with float32 {measured.agreement.cosine:.4f}, "
        f"{measured.agreement.neighbors:.0%} of the ten nearest neighbours in common)"
    )
    assert load(small_library).timings == model.timings
    assert fleet.measured == ["first"]


@FASTER
def test_a_machine_that_is_faster_in_float32_computes_in_float32(
    small_library: Library, fleet: Fleet, faster: Way
) -> None:
    fleet.work_on("first", faster)
    first = load(small_library)
    for name, way in (("second", REFERENCE), ("third", FLOAT32_WITH_OPENVINO)):
        fleet.work_on(name, way)
        other = load(small_library)
        assert (other.id, other.embedder.facts) == (first.id, first.embedder.facts)
        assert other.embedder.way == way
        expected = f"float32 instead of {faster.precision}, because it is faster on this machine"
        assert other.precision.startswith(expected)
    assert [(one.machine, one.way) for one in stored(small_library)] == [
        ("first", faster), ("second", REFERENCE), ("third", FLOAT32_WITH_OPENVINO),
    ]  # fmt: skip


def test_another_machine_may_use_another_backend_but_no_other_precision(
    small_library: Library, fleet: Fleet
) -> None:
    fleet.work_on("first", IN_BFLOAT16)
    load(small_library)
    with_openvino = Way(Precision.BFLOAT16, Backend.OPENVINO)
    fleet.work_on("second", with_openvino)
    assert load(small_library).embedder.way == with_openvino
    fleet.work_on("third", IN_INT8)
    model = load(small_library)
    assert model.embedder.way == IN_BFLOAT16
    assert (model.precision[:8], row_of(small_library).precision) == ("bfloat16", Precision.BFLOAT16)


@pytest.mark.parametrize("named", [True, False])
def test_a_model_that_was_loaded_before_there_was_a_picture_is_measured_on_the_first_ones(
    library: Library, fleet: Fleet, named: bool
) -> None:
    fleet.work_on("first", IN_INT8)
    precision = "int8" if named else "auto"
    first = load(library, precision)
    assert (first.precision, first.timings) == ("float32", ())
    library.scan()
    library.register_all()
    model = load(library, precision)
    assert model.id == first.id
    assert model.embedder.way == IN_INT8
    assert row_of(library).precision == Precision.INT8


def test_a_model_that_began_in_float32_stays_in_it(small_library: Library, fleet: Fleet) -> None:
    fleet.work_on("first", REFERENCE)
    load(small_library)
    small_library.embed(small_library.shard_keys()[0])
    fleet.work_on("second", IN_INT8)
    model = load(small_library)
    assert (model.precision, row_of(small_library).precision) == ("float32", Precision.FLOAT32)
    with pytest.raises(
        ModelChangedError,
        match=r"(?s)the precision differ.*FLOAT32.*INT8.*key of its own",
    ):
        load(small_library, "int8")


@FASTER
def test_below_the_bar_the_model_falls_back_and_says_so(
    small_library: Library,
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    faster: Way,
) -> None:
    monkeypatch.setattr("photolineage.models.ways.LEAST_COSINE", 1.1)
    fleet.work_on("first", faster)
    model = load(small_library)
    assert model.embedder.way == REFERENCE
    assert row_of(small_library).precision == Precision.FLOAT32
    assert model.precision == "float32"
    assert f"models.tiny-a: not computed in {faster}: the mean cosine with float32 is " in caplog.text
    assert load(small_library, faster.precision).embedder.facts == model.embedder.facts


@FASTER
def test_a_setting_goes_before_the_speed(small_library: Library, fleet: Fleet, faster: Way) -> None:
    fleet.work_on("first", faster)
    assert load(small_library, "float32").precision == "float32"
    assert row_of(small_library).precision == Precision.FLOAT32


def test_a_precision_that_was_asked_for_is_recorded_and_computed_where_it_is_no_slower(
    small_library: Library, fleet: Fleet
) -> None:
    fleet.work_on("first", REFERENCE)
    assert load(small_library, "bfloat16").precision.startswith(
        "float32 instead of bfloat16, because it is faster"
    )
    assert row_of(small_library).precision == Precision.BFLOAT16
    fleet.work_on("second", IN_INT8)
    assert load(small_library, "bfloat16").embedder.way == IN_BFLOAT16


def test_measuring_anew_replaces_what_was_measured_and_keeps_the_precision(
    small_library: Library, fleet: Fleet
) -> None:
    fleet.work_on("first", IN_BFLOAT16)
    load(small_library)
    fleet.work_on("first", FLOAT32_WITH_OPENVINO)
    model = measure_model(
        small_library.engine,
        small_library.previews,
        "tiny-a",
        settings_of(small_library, "auto"),
        lambda *_counts: None,
    )
    assert model.embedder.way == FLOAT32_WITH_OPENVINO
    assert row_of(small_library).precision == Precision.BFLOAT16
    assert [found.timings for found in stored(small_library)] == [model.timings]
    assert load(small_library).embedder.way == FLOAT32_WITH_OPENVINO
    assert fleet.measured == ["first", "first"]


def test_without_a_registered_photo_there_is_nothing_to_measure(library: Library) -> None:
    with pytest.raises(NothingToMeasureError, match="photolineage run"):
        measure_model(
            library.engine, library.previews, "tiny-a", settings_of(library, "auto"), lambda *_counts: None
        )


def test_a_slow_model_has_small_batches(
    small_library: Library, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 10 ms an image, five images take 50 ms."""
    monkeypatch.setattr("photolineage.models.timings.SLOWEST_BATCH_SECONDS", 0.05)
    fleet.work_on("first", IN_INT8)
    assert load(small_library, "float32").embedder.batch_images == 5


@pytest.fixture
def _only_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a step that OpenVINO has no operator for, and torch none in bfloat16."""
    monkeypatch.setattr(model_loading, "measure_ways", measure_ways)

    def encode_image(model: open_clip.CLIP, pixels: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = model.visual(pixels)
        return embeddings + torch.linalg.eigvals(embeddings[:, None, :1]).real

    monkeypatch.setattr(open_clip.CLIP, "encode_image", encode_image)


@pytest.mark.usefixtures("_only_in_float32")
def test_a_model_that_can_only_be_computed_in_float32_is_and_the_log_says_why(
    small_library: Library, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.work_on("first", IN_INT8)
    model = load(small_library)
    assert model.embedder.way == REFERENCE
    problems = [timing.problem for timing in stored(small_library)[0].timings]
    assert [problem is None for problem in problems] == [True, False, False, False, False]
    of_openvino, of_torch = (
        record.message for record in caplog.records if "cannot be computed" in record.message
    )
    assert of_openvino.startswith(
        "models.tiny-a: cannot be computed in float32 with OpenVINO, bfloat16 with OpenVINO, int8 with OpenVINO: "
    )
    assert of_torch.startswith(
        "models.tiny-a: cannot be computed in bfloat16 with torch: NotImplementedError: "
    )
    with pytest.raises(ModelUnavailableError, match=r"models.tiny-b.precision = 'int8'.*OpenVINO.*'auto'"):
        load_model(small_library.engine, small_library.previews, "tiny-b", settings_of(small_library, "int8"))


def test_machines_that_load_a_new_model_at_once_agree_on_its_precision(
    small_library: Library, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first embeddings of the other machine appear while this one still measures."""
    caplog.set_level(logging.INFO)
    fleet.work_on("first", IN_BFLOAT16)
    measure = vars(model_loading)["measure_ways"]

    def be_slow(*arguments: Any) -> tuple[Timing, ...]:
        small_library.embed(small_library.shard_keys()[0])  # in float32
        return measure(*arguments)

    monkeypatch.setattr(model_loading, "measure_ways", be_slow)
    assert load(small_library).precision == "float32"
    assert row_of(small_library).precision == Precision.FLOAT32
    assert fleet.measured == ["first"]
    assert "models.tiny-a: measuring how this machine computes it fastest" in caplog.text
