"""What a model makes of a pin: found, lost, not found, and what cannot be checked."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from photolineage.catalog.engine import run_in_transaction
from photolineage.models.registry import record_serving_model
from photolineage.pins.judging import Verdict, judge_pins
from photolineage.pins.wording import losses, summary, unchecked
from photolineage.search.query import Query, QueryError, Weighted
from photolineage.search.scope import Scope
from tests.command_line import environment
from tests.library import draw_photo, touch
from tests.lineage import change_model, open_lineage
from tests.pinned import TEXT, Pinned


def test_a_photo_that_both_models_find(pinned: Pinned) -> None:
    photo = pinned.found_by_both(within=8)
    pinned.pin(photo, within=8)
    judged = pinned.judged("tiny-b")
    assert judged.verdict is Verdict.FOUND
    assert judged.answer.rank == pinned.ranking("tiny-b").index(photo) + 1
    assert judged.serving is not None
    assert judged.serving.rank == pinned.ranking("tiny-a").index(photo) + 1
    report = pinned.judge("tiny-b")
    assert summary(report) == "tiny-b finds the photo of the pinned search."
    assert (losses(report), unchecked(report)) == ([], [])


def test_a_photo_that_the_candidate_loses(pinned: Pinned) -> None:
    photo = pinned.lost(within=3)
    pinned.pin(photo, within=3)
    ranks = {model: pinned.ranking(model).index(photo) + 1 for model in ("tiny-a", "tiny-b")}
    assert ranks["tiny-a"] <= 3 < ranks["tiny-b"]
    judged = pinned.judged("tiny-b")
    assert judged.verdict is Verdict.LOST
    assert (judged.image_id, judged.answer.rank) == (photo, ranks["tiny-b"])
    assert [hit.image_id for hit in judged.answer.hits] == pinned.ranking("tiny-b")[:3]
    report = pinned.judge("tiny-b")
    assert summary(report) == f"tiny-b loses the pinned search that tiny-a finds: “{TEXT}”."
    path = pinned.library.root / pinned.path_of(photo)
    reason = (
        f"it loses the pinned search 1, “{TEXT}”: {path} has rank {ranks['tiny-a']} with tiny-a and rank "
        f"{ranks['tiny-b']} with tiny-b, and is expected within 3"
    )
    assert losses(report) == [reason]


def test_a_photo_that_neither_model_finds_is_not_lost(pinned: Pinned) -> None:
    photo = pinned.found_by_none(within=3)
    pinned.pin(photo, within=3)
    report = pinned.judge("tiny-b")
    assert report.pins[0].verdict is Verdict.NOT_FOUND
    assert summary(report) == (
        f"tiny-b does not find the photo of the pinned search, and neither does tiny-a: “{TEXT}”."
    )
    assert losses(report) == []
    of_serving = pinned.judge("tiny-a")
    assert (of_serving.serving_key, of_serving.pins[0].serving) == (None, None)
    assert summary(of_serving) == f"tiny-a does not find the photo of the pinned search: “{TEXT}”."


def test_before_a_model_serves_nothing_is_lost(pinned: Pinned) -> None:
    pinned.pin(pinned.lost(within=3), within=3)
    pinned.lineage.execute("UPDATE ml_model SET serving = false")
    assert pinned.judged("tiny-b").verdict is Verdict.NOT_FOUND


def test_a_pin_of_a_picture_of_the_library(pinned: Pinned) -> None:
    picture = pinned.library.images()["2023/07.jpg"].id
    query = Query(image_ids=(Weighted(picture),))
    photo = pinned.ranking("tiny-b", query)[4]
    pinned.pin(photo, within=26, query=query)
    judged = pinned.judged("tiny-b")
    assert (judged.verdict, judged.answer.rank) == (Verdict.FOUND, 5)


def rescan(pinned: Pinned) -> None:
    pinned.library.scan()
    pinned.library.register_all()


def test_a_moved_photo_still_counts(pinned: Pinned) -> None:
    photo = pinned.found_by_both()
    pinned.pin(photo, within=8)
    path = pinned.library.root / pinned.path_of(photo)
    path.rename(pinned.library.root / "elsewhere.jpg")
    rescan(pinned)
    judged = pinned.judged("tiny-a")
    assert (judged.verdict, judged.path.name) == (Verdict.FOUND, "elsewhere.jpg")


def test_a_photo_under_another_id_still_counts(pinned: Pinned) -> None:
    """A copy takes the place of the photo: its embedding has to be made, and then it is found."""
    pinned.pin("2023/03.jpg", within=26)
    original, copy = (pinned.library.images()[name].id for name in ("2023/03.jpg", "2023/copy.jpg"))
    assert pinned.judged("tiny-a").image_id == original != copy
    (pinned.library.root / "2023/03.jpg").unlink()
    rescan(pinned)
    pinned.library.embed_all()
    pinned.library.index()
    judged = pinned.judged("tiny-a")
    assert (judged.verdict, judged.image_id, judged.path.name) == (Verdict.FOUND, copy, "copy.jpg")


def test_a_photo_whose_file_is_gone_is_not_checked(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    path = pinned.library.root / pinned.path_of(photo)
    path.unlink()
    rescan(pinned)
    report = pinned.judge("tiny-b")
    (judged,) = report.pins
    assert (judged.verdict, judged.image_id, judged.path) == (Verdict.UNCHECKED, None, path)
    assert judged.reason == f"the photo is not in the library now: {path} is missing"
    assert losses(report) == []
    assert summary(report) == (
        f"tiny-b could not be checked with the pinned search: “{TEXT}”: {judged.reason}."
    )


def test_a_photo_whose_content_has_changed_is_not_checked(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    path = pinned.library.root / pinned.path_of(photo)
    draw_photo(path, 900)
    touch(path)
    rescan(pinned)
    judged = pinned.judged("tiny-b")
    assert judged.verdict is Verdict.UNCHECKED
    assert judged.reason == f"no photo has this content any more: {path} has changed"


def test_a_photo_that_the_candidate_has_not_embedded_is_not_checked(pinned: Pinned) -> None:
    draw_photo(pinned.library.root / "2025/00.jpg", 500)
    rescan(pinned)
    pinned.library.embed_all("tiny-a")
    pinned.library.index("tiny-a")
    pinned.pin("2025/00.jpg", within=30)
    judged = pinned.judged("tiny-b")
    assert judged.verdict is Verdict.UNCHECKED
    assert judged.reason == "the photo is not embedded by tiny-b yet: materialize image_embeddings for it"
    assert judged.serving is not None
    assert judged.serving.is_found

    pinned.library.embed_all("tiny-b")
    assert pinned.judged("tiny-b").reason == (
        "the photo is not in the index of tiny-b yet: materialize vector_index for tiny-b"
    )
    pinned.library.index("tiny-b")
    assert pinned.judged("tiny-b").verdict is Verdict.FOUND


def test_a_model_that_is_not_there_yet_is_not_checked(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    shutil.rmtree(pinned.library.settings.home / "index/tiny-b.lance")
    assert pinned.judged("tiny-b").reason.startswith("model 'tiny-b' has no vector index in ")
    pinned.lineage.execute("DELETE FROM shard_file WHERE model_id = 2", "DELETE FROM ml_model WHERE id = 2")
    judged = pinned.judged("tiny-b")
    assert judged.verdict is Verdict.UNCHECKED
    assert judged.reason.startswith("model 'tiny-b' has no embeddings yet")


def test_a_photo_that_the_filters_leave_out_is_not_found(pinned: Pinned) -> None:
    scope = Scope(taken_from=datetime(2030, 1, 1, tzinfo=UTC))
    pinned.pin(pinned.found_by_both(), within=26, scope=scope)
    judged = pinned.judged("tiny-b")
    assert (judged.verdict, judged.answer.rank) == (Verdict.NOT_FOUND, None)
    assert judged.reason == "the filters of the search leave the photo out"


def test_a_filter_that_names_nothing_any_more_spoils_one_pin_only(pinned: Pinned) -> None:
    pinned.pin(pinned.found_by_both(), within=8, scope=Scope(sources=("phone",)))
    pinned.pin(pinned.found_by_both(), within=8)
    first, second = pinned.judge("tiny-b").pins
    assert (first.verdict, second.verdict) == (Verdict.UNCHECKED, Verdict.FOUND)
    assert first.reason.startswith("source 'phone' is not in the library")


def test_a_pin_that_cannot_be_searched_for_is_refused_before_it_is_stored(pinned: Pinned) -> None:
    new = pinned.pins(pinned.found_by_both(), scope=Scope(sources=("phone",)))
    with pytest.raises(QueryError, match="source 'phone' is not in the library"):
        judge_pins(pinned.library.settings, pinned.library.engine, "tiny-a", new)


def test_a_serving_model_that_cannot_be_loaded_loses_nothing_to_the_candidate(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    shutil.rmtree(pinned.library.settings.home / "text_encoders", ignore_errors=True)
    change_model(pinned.lineage, "tiny-a", None)
    with open_lineage(pinned.lineage.config_file) as reopened:
        report = Pinned(reopened).judge("tiny-b")
    (judged,) = report.pins
    assert (judged.verdict, losses(report)) == (Verdict.NOT_FOUND, [])
    assert judged.reason.startswith(
        "not compared with the serving model: model 'tiny-a' is in the catalog but not"
    )
    assert unchecked(report)[0].startswith(
        f"1 pinned search could not be compared with the serving model before: “{TEXT}”: not compared"
    )
    assert "neither does" not in summary(report)


def test_a_model_is_not_loaded_again_for_each_pin(pinned: Pinned, caplog: pytest.LogCaptureFixture) -> None:
    """The text half is damaged: each attempt to open it logs a warning."""
    (export,) = (pinned.library.settings.home / "text_encoders").glob("tiny-a-*")
    (export / "tokenizer.json").write_text("no tokenizer")
    pinned.pin("2023/03.jpg", "2023/04.jpg", "2023/05.jpg", within=26)
    assert {judged.verdict for judged in pinned.judge("tiny-a").pins} == {Verdict.FOUND}
    assert len([one for one in caplog.records if "cannot be opened" in one.message]) == 1


def test_without_pins_nothing_is_loaded(pinned: Pinned) -> None:
    code = (
        "import sys; from pathlib import Path; from photolineage.settings import load_settings; "
        "from photolineage.pins.judging import judge_pins; "
        f"settings = load_settings(Path({str(pinned.lineage.config_file)!r})); "
        "report = judge_pins(settings, settings.catalog.open_engine(), 'tiny-b'); "
        "print(len(report.pins), {'torch', 'open_clip', 'onnxruntime', 'lancedb'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(pinned.lineage.config_file),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 set()\n"
    assert summary(pinned.judge("tiny-b")).startswith("No searches are pinned. To pin one, run ")


def test_what_is_wrong_comes_first_and_long_lists_are_cut(pinned: Pinned) -> None:
    ranks = pinned.ranking("tiny-a")[:8]
    lost = [one for one in ranks if one not in pinned.ranking("tiny-b")[:8]]
    pinned.pin(*ranks, within=8)
    report = pinned.judge("tiny-b")
    assert len(lost) > 5
    assert len(losses(report)) == 6
    assert losses(report)[-1] == f"and {len(lost) - 5} more pinned searches"
    verdicts = [judged.verdict for judged in report.having(*Verdict)]
    assert verdicts == [Verdict.LOST] * len(lost) + [Verdict.FOUND] * (8 - len(lost))
    assert summary(report).endswith(f" and {len(lost) - 5} more.")
    run_in_transaction(pinned.library.engine, lambda connection: record_serving_model(connection, "tiny-b"))
    assert losses(replace(report, pins=())) == []
