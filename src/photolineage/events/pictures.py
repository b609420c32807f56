"""Pictures of events: a contact sheet of their covers, and a plot of their dates."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from PIL import Image as PillowImage
from PIL import ImageDraw
from sqlalchemy import Engine

from photolineage.catalog.listing import ListedEvent
from photolineage.stores.captions import draw_line
from photolineage.stores.pictures import BACKGROUND, INK, Picture, contact_sheet, read_previews
from photolineage.stores.previews import PreviewStore

PLOT_PIXELS = (960, 180)
AXIS_PIXELS, PADDING_PIXELS, LABEL_SIZE = 24, 12, 12
BAR_COLOURS = ((58, 110, 165), (214, 130, 60))
GRID = (222, 222, 216)
MOST_TICKS = 16
MONTHS_BETWEEN_TICKS = (1, 2, 3, 6, 12, 24, 60, 120, 240)


def cover_sheet(
    engine: Engine, previews: PreviewStore, events: Sequence[ListedEvent]
) -> PillowImage.Image | None:
    """A contact sheet of the events' covers, in the order of the events; None if no cover has a preview."""
    jpegs = read_previews(
        engine, previews, [event.cover_image_id for event in events if event.cover_image_id]
    )
    pictures = [
        Picture(jpegs[event.cover_image_id], f"{event.title} ({event.image_count})")
        for event in events
        if event.cover_image_id in jpegs
    ]
    return contact_sheet(pictures) if pictures else None


def timeline_plot(events: Sequence[ListedEvent]) -> PillowImage.Image:
    """A plot of one or more events: a bar from each start to its end, as high as the square root of its image count."""
    first, last = min(event.starts_at for event in events), max(event.ends_at for event in events)
    span = max(last - first, timedelta(days=1))
    most = max(event.image_count for event in events)
    width, height = PLOT_PIXELS
    base, across = height - AXIS_PIXELS, width - 2 * PADDING_PIXELS

    def left(moment: datetime) -> int:
        return PADDING_PIXELS + round((moment - first) / span * across)

    plot = PillowImage.new("RGB", PLOT_PIXELS, BACKGROUND)
    draw = ImageDraw.Draw(plot)
    for moment, label in _ticks(first, last):
        draw.line((left(moment), PADDING_PIXELS, left(moment), base + 4), GRID)
        draw_line(draw, (left(moment) + 3, base + 5), label, INK, LABEL_SIZE)
    for number, event in enumerate(sorted(events, key=lambda event: event.starts_at)):
        top = base - round((event.image_count / most) ** 0.5 * (base - PADDING_PIXELS))
        begin, end = left(event.starts_at), left(event.ends_at)
        draw.rectangle((begin, top, max(end, begin + 1), base), BAR_COLOURS[number % len(BAR_COLOURS)])
    draw.line((PADDING_PIXELS, base, width - PADDING_PIXELS, base), INK)
    return plot


def _ticks(first: datetime, last: datetime) -> Iterator[tuple[datetime, str]]:
    """Beginnings of months or years from `first` to `last`, at most `MOST_TICKS`, with their labels."""
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next(
        (step for step in MONTHS_BETWEEN_TICKS if months / step < MOST_TICKS), MONTHS_BETWEEN_TICKS[-1]
    )
    begin = first.year * 12 + first.month - 1
    for month in range(begin - begin % step, begin + months + 1, step):
        moment = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if first <= moment <= last:
            yield moment, f"{moment:%Y}" if step >= 12 else f"{moment:%b %Y}"
