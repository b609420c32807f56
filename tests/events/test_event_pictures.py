"""The plot of events over time: the place and the height of each bar."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from photolineage.catalog.listing import ListedEvent
from photolineage.events.pictures import BAR_COLOURS, PADDING_PIXELS, PLOT_PIXELS, cover_sheet, timeline_plot
from tests.library import Library

START = datetime(2023, 7, 14, 12, tzinfo=UTC)


def event(day: float, images: int, *, days: float = 0.2) -> ListedEvent:
    begin = START + timedelta(days=day)
    end = begin + timedelta(days=days)
    return ListedEvent(1, "Party", begin, end, 0, images, None, None, None, None, 1.0, None)


def bar(events: list[ListedEvent], number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows and the columns of the plot that have the colour of the bar of this number, in time order."""
    pixels = np.asarray(timeline_plot(events))
    rows, columns = np.nonzero((pixels == BAR_COLOURS[number]).all(axis=2))
    return rows, columns


def test_bars_lie_in_time_order_whatever_the_order_of_the_events() -> None:
    events = [event(100, 25), event(0, 100)]
    (first_rows, first), (second_rows, second) = bar(events, 0), bar(events, 1)
    assert first.min() == PADDING_PIXELS
    assert second.max() == PLOT_PIXELS[0] - PADDING_PIXELS
    assert first.max() < second.min()
    assert np.ptp(second_rows) == pytest.approx(np.ptp(first_rows) / 2, abs=1)


def test_the_width_of_a_bar_is_the_length_of_its_event() -> None:
    _, columns = bar([event(0, 10, days=50), event(100, 10, days=0)], 0)
    assert np.ptp(columns) == pytest.approx((PLOT_PIXELS[0] - 2 * PADDING_PIXELS) / 2, abs=1)


def test_a_single_event_has_a_bar() -> None:
    assert len(bar([event(0, 1, days=0)], 0)[0]) > 0


@pytest.mark.parametrize("years", [1, 3, 30, 150])
def test_any_span_can_be_drawn(years: int) -> None:
    plot = timeline_plot([event(0, 5), event(365 * years, 5)])
    assert plot.size == PLOT_PIXELS


def test_covers_without_a_preview_make_no_sheet(library: Library) -> None:
    assert cover_sheet(library.engine, library.previews, [event(0, 5)]) is None
