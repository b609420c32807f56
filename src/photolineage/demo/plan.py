"""The plan of the library's photos: the camera, scene, time, place and file name of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from photolineage.demo.itinerary import ITINERARY, Occasion, Session
from photolineage.demo.scenes import SCENES
from photolineage.demo.scenes.colour import pick
from photolineage.demo.truth import EventTruth, ImageKind, ImageTruth

LIBRARY_SEED = 20230210
BURST_AT = "Livorno"
BURST_FRAMES = 6
_PORTRAIT_ORIENTATIONS = (6, 6, 8)
_UPSIDE_DOWN = 3


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera, and what it writes to EXIF. `size` is the width and height of its landscape pictures in pixels."""

    make: str
    model: str
    size: tuple[int, int]
    writes_offset: bool
    writes_place: bool

    @property
    def name(self) -> str:
        """Make and model."""
        return f"{self.make} {self.model}"


PHONE = Camera("Google", "Pixel 7", (1024, 768), writes_offset=True, writes_place=True)
COMPACT = Camera("SONY", "ILCE-6400", (960, 640), writes_offset=False, writes_place=False)

COMPACT_CLOCK = timedelta(hours=1, minutes=6, seconds=12)
"""How far the compact camera's clock is ahead of UTC, all year: it was set once in winter, and inaccurately."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to draw. `clock` is the time that the camera writes, aware if the camera knows the offset.

    The shots of a burst have the same seed and different frames. `frame` is None outside of bursts.
    """

    truth: ImageTruth
    camera: Camera
    clock: datetime
    orientation: int
    seed: int
    frame: int | None

    @property
    def is_portrait(self) -> bool:
        """Whether the upright picture is taller than it is wide."""
        return self.orientation >= 5


@dataclass(frozen=True, slots=True)
class Plan:
    """All events and shots. The shots of each event are in order of time."""

    events: tuple[EventTruth, ...]
    shots: tuple[Shot, ...]


def plan_library() -> Plan:
    """Plan the library. Every call gives the same plan."""
    rng = np.random.default_rng(LIBRARY_SEED)
    events: list[EventTruth] = []
    shots: list[Shot] = []
    for number, occasion in enumerate(sorted(ITINERARY, key=lambda occasion: occasion.first_day), start=1):
        taken = list(_shots_of(rng, occasion, f"event-{number:02d}", first_number=len(shots) + 1))
        shots += taken
        times = [shot.truth.taken_at for shot in taken]
        events.append(
            EventTruth(
                id=f"event-{number:02d}",
                title=occasion.title,
                place=occasion.place.name,
                start=min(times),
                end=max(times),
            )
        )
    return Plan(tuple(events), tuple(shots))


def _shots_of(
    rng: np.random.Generator, occasion: Occasion, event: str, *, first_number: int
) -> Iterator[Shot]:
    number = first_number
    for session in occasion.sessions:
        for taken_at in _instants(rng, occasion, session):
            camera = PHONE if rng.random() < 0.6 else COMPACT
            yield _shot(rng, occasion, session, event, camera, taken_at, number)
            number += 1
    if occasion.title == BURST_AT:
        last = occasion.sessions[-1]
        begin = _local(occasion, last) + timedelta(minutes=last.minutes, seconds=40)
        yield from _burst(rng, occasion, last, event, begin.astimezone(UTC), number)


def _local(occasion: Occasion, session: Session) -> datetime:
    day = occasion.first_day + timedelta(days=session.day)
    return datetime.combine(day, time.fromisoformat(session.start), ZoneInfo(occasion.place.time_zone))


def _instants(rng: np.random.Generator, occasion: Occasion, session: Session) -> list[datetime]:
    """Increasing times within the session, at least eight seconds apart, rounded to milliseconds."""
    start = _local(occasion, session).astimezone(UTC)
    spare = session.minutes * 60 - 8 * session.photos
    offsets = np.sort(rng.uniform(0, spare, session.photos)) + 8 * np.arange(session.photos)
    return [start + timedelta(milliseconds=round(1000 * float(offset))) for offset in offsets]


def _shot(
    rng: np.random.Generator,
    occasion: Occasion,
    session: Session,
    event: str,
    camera: Camera,
    taken_at: datetime,
    number: int,
) -> Shot:
    turn = rng.random()
    orientation = pick(rng, _PORTRAIT_ORIENTATIONS) if turn < 0.16 else _UPSIDE_DOWN if turn < 0.19 else 1
    clock = _clock(camera, occasion, taken_at)
    if camera is PHONE:
        path = f"Phone/IMG_{clock:%Y%m%d_%H%M%S}.jpg"
    else:
        path = (
            f"{occasion.first_day:%Y}/{occasion.first_day} {occasion.place.name}/DSC{1000 + number:05d}.jpg"
        )
    truth = ImageTruth(
        path=path,
        kind=ImageKind.PHOTO,
        event=event,
        scene=session.scene,
        caption=pick(rng, SCENES[session.scene].captions),
        taken_at=taken_at,
        latitude=round(occasion.place.latitude + float(rng.normal(0, 0.002)), 6),
        longitude=round(occasion.place.longitude + float(rng.normal(0, 0.002)), 6),
        camera=camera.name,
    )
    return Shot(truth, camera, clock, orientation, number, None)


def _clock(camera: Camera, occasion: Occasion, taken_at: datetime) -> datetime:
    if camera is PHONE:
        return taken_at.astimezone(ZoneInfo(occasion.place.time_zone))
    return (taken_at + COMPACT_CLOCK).replace(tzinfo=None)


def _burst(
    rng: np.random.Generator, occasion: Occasion, session: Session, event: str, begin: datetime, number: int
) -> Iterator[Shot]:
    """Shots of one motif by the compact camera, 140 ms apart."""
    first = _shot(rng, occasion, session, event, COMPACT, begin, number)
    for frame in range(BURST_FRAMES):
        elapsed = timedelta(milliseconds=140 * frame)
        truth = first.truth.model_copy(
            update={
                "kind": ImageKind.BURST,
                "taken_at": begin + elapsed,
                "path": first.truth.path.replace(
                    f"DSC{1000 + number:05d}", f"DSC{1000 + number + frame:05d}"
                ),
            }
        )
        yield Shot(truth, COMPACT, first.clock + elapsed, 1, number, frame)
