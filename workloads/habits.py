"""Collections of people with different habits."""

from collections.abc import Callable

import numpy as np

from workloads.collections import DAY, HOME, HOUR, Album, Camera, Collection

PHONE = Camera("phone")


def phone_all_day(rng: np.random.Generator) -> Collection:
    """Twelve weeks with a phone always at hand: several errands, meals and walks a day in one town, and strays."""
    album = Album(rng)
    for day in range(84):
        weekend = day % 7 >= 5
        clock = day * DAY + rng.uniform(7.5, 10) * HOUR
        for _ in range(rng.poisson(2.2 if weekend else 1.1)):
            place = album.near(HOME, rng.choice([0.05, 2.0, 6.0]))
            scenes = int(rng.integers(1, 4))
            clock = album.outing(
                clock, place, [PHONE], scenes=scenes, pictures=(3, 10), pause_minutes=(3, 25)
            )
            clock += HOUR * rng.uniform(0.8, 5.0)
            if clock > (day + 1) * DAY - 3 * HOUR:
                break
        if rng.random() < 0.3:
            album.stray(
                max(clock, day * DAY + 14 * HOUR) + HOUR * rng.uniform(0, 2), album.near(HOME, 3), PHONE
            )
    return album.collection("phone_all_day")


def two_cameras(rng: np.random.Generator) -> Collection:
    """A couple with a phone and a camera. The camera has no GPS, and its clock was not reset after a journey."""
    fast_by = float(rng.choice([-1, 1]) * rng.uniform(0.5, 9) * HOUR)
    cameras = [PHONE, Camera("dslr", 1.4, located=False, fast_by=fast_by)]
    album = Album(rng)
    day = 0.0
    for _ in range(34):
        day += float(rng.choice([1, 1, 2, 4, 7, 12]))
        place = album.near(HOME, rng.choice([3.0, 20.0]))
        start = day * DAY + rng.uniform(9, 15) * HOUR
        end = album.outing(start, place, cameras, scenes=int(rng.integers(2, 7)))
        if rng.random() < 0.3:
            album.outing(
                end + HOUR * rng.uniform(3, 6), album.near(HOME, 2.0), cameras, scenes=int(rng.integers(1, 3))
            )
    return album.collection("two_cameras")


def wedding(rng: np.random.Generator) -> Collection:
    """A wedding with five photographers, two with wrong clocks; supper the evening before, breakfast after."""
    names = ("groom's brother", "aunt", "hired", "second", "friend")
    wrong = rng.permutation([0.0, 0.0, 0.0, -HOUR, float(rng.uniform(0.3, 3) * HOUR)])
    shares = (0.5, 0.3, 3.0, 1.5, 0.6)
    cameras = [
        Camera(n, s, located=n in ("aunt", "friend"), fast_by=w)
        for n, s, w in zip(names, shares, wrong, strict=True)
    ]
    album = Album(rng)
    guests = [cameras[0], cameras[1], cameras[4]]
    day = 5 * DAY
    album.outing(day - DAY + 19 * HOUR, album.near(HOME, 5), guests, scenes=3, pictures=(6, 20))
    event = album.event()
    clock, church, inn = day + 9.5 * HOUR, album.near(HOME, 4), album.near(HOME, 9)
    for place, scenes, pause in ((HOME, 4, 0.8), (church, 5, 1.2), (inn, 8, 0.6)):
        clock = HOUR * pause + album.outing(
            clock,
            place,
            cameras,
            scenes=scenes,
            pictures=(20, 80),
            pause_minutes=(5, 40),
            event=event,
            burst=0.35,
        )
    album.outing(day + DAY + 10 * HOUR, album.near(HOME, 7), guests, scenes=2, pictures=(6, 20))
    for later in (9, 15, 16, 30):
        album.outing((5 + later) * DAY + 14 * HOUR, album.near(HOME, 6), [cameras[1]], scenes=3)
    return album.collection("wedding")


def year_of_travel(rng: np.random.Generator) -> Collection:
    """Journeys of three to sixteen days, moving on every other day; between them, outings around home."""
    album = Album(rng)
    day = 3.0
    while day < 365:
        for _ in range(int(rng.integers(2, 6))):
            album.outing(
                day * DAY + rng.uniform(9, 17) * HOUR,
                album.near(HOME, 6),
                [PHONE],
                scenes=int(rng.integers(1, 4)),
            )
            day += float(rng.integers(2, 8))
        event, length = album.event(), int(rng.integers(3, 17))
        place = (float(rng.uniform(-40, 60)), float(rng.uniform(-170, 170)))
        for number in range(length):
            if number % 2 == 0:
                place = album.near(place, 80)
            if 0 < number < length - 1 and rng.random() < 0.12:
                continue
            clock = (day + number) * DAY + rng.uniform(8, 11) * HOUR - place[1] / 15 * HOUR
            for _ in range(int(rng.integers(1, 4))):
                spot, scenes = album.near(place, 4), int(rng.integers(1, 4))
                clock = album.outing(clock, spot, [PHONE], scenes=scenes, event=event) + HOUR * rng.uniform(
                    0.5, 2.5
                )
        day += length + float(rng.integers(3, 9))
    return album.collection("year_of_travel", offset_minutes=None)


def scans(rng: np.random.Generator) -> Collection:
    """Events in folders, each with digital pictures and with prints that were scanned later, without capture times."""
    album = Album(rng)
    scanner = Camera("scanner", located=False, keeps_time=False)
    day = 2.0
    for number in range(30):
        folder = f"albums/{number:02d}"
        event = album.event()
        start = day * DAY + rng.uniform(9, 15) * HOUR
        kinds = rng.choice(album.kinds, 3, replace=False).tolist()
        compact = [Camera("compact", located=False)]
        end = album.outing(start, HOME, compact, scenes=4, kinds=kinds, event=event, folder=folder)
        if rng.random() < 0.3:  # a folder with two events
            album.outing(end + rng.uniform(20, 60) * HOUR, HOME, compact, scenes=3, folder=folder)
        for kind in kinds[: int(rng.integers(1, 4))]:
            album.scene(
                event,
                kind,
                500 * DAY + number * HOUR,
                5,
                int(rng.integers(2, 8)),
                HOME,
                [scanner],
                folder,
                burst=0,
            )
        if rng.random() < 0.4:
            album.stray(500 * DAY + number * HOUR + 1800, HOME, scanner, folder)
        day += float(rng.choice([2, 3, 5, 9, 20]))
    return album.collection("scans")


def compact_camera(rng: np.random.Generator) -> Collection:
    """A compact camera of 2003, without zone or GPS: Sundays, birthdays, and holidays with pictures on most days."""
    album = Album(rng)
    cameras = [Camera("compact", located=False)]
    day = 6.0
    while day < 700:
        if rng.random() < 0.2:
            event, kinds = album.event(), rng.choice(album.kinds, 4, replace=False).tolist()
            for number in range(int(rng.integers(3, 10))):
                if number > 0 and rng.random() < 0.1:
                    continue
                clock = (day + number) * DAY + rng.uniform(8.5, 10.5) * HOUR
                for _ in range(int(rng.integers(2, 4))):
                    clock = album.outing(
                        clock,
                        HOME,
                        cameras,
                        scenes=2,
                        kinds=rng.permutation(kinds).tolist(),
                        event=event,
                        pictures=(3, 8),
                    )
                    clock += HOUR * rng.uniform(0.5, 3)
            day += number + 6
        else:
            album.outing(
                day * DAY + rng.uniform(10, 17) * HOUR,
                HOME,
                cameras,
                scenes=int(rng.integers(1, 5)),
                pictures=(3, 9),
            )
        day += float(rng.choice([1, 2, 7, 7, 14, 21]))
    return album.collection("compact_camera", offset_minutes=None)


def newborn(rng: np.random.Generator) -> Collection:
    """A child's first ten weeks, at home: few kinds of scenes, many bursts, two to four occasions a day."""
    album = Album(rng, kinds=8)
    cameras = [PHONE, Camera("second phone", 0.5)]
    for day in range(70):
        clock = day * DAY + rng.uniform(7, 9) * HOUR
        for _ in range(int(rng.integers(1, 4))):
            clock = album.outing(
                clock,
                HOME,
                cameras,
                scenes=int(rng.integers(1, 3)),
                pictures=(4, 20),
                pause_minutes=(3, 20),
                spread_km=0.02,
                burst=0.5,
            )
            clock += HOUR * rng.uniform(1.2, 5)
    return album.collection("newborn")


def sports_club(rng: np.random.Generator) -> Collection:
    """Matches of one team, on the same two fields, by two photographers in bursts; a tournament lasts a day."""
    album = Album(rng, kinds=6)
    cameras = [Camera("sports", 2.0, located=False), PHONE]
    fields = [album.near(HOME, 2), album.near(HOME, 12)]
    for week in range(40):
        for day, start in ((5, 14.0), (6, 10.0)):
            if rng.random() < 0.6:
                begin = (week * 7 + day) * DAY + (start + rng.uniform(0, 2)) * HOUR
                place = fields[int(rng.integers(2))]
                matches = 4 if rng.random() < 0.1 else 1
                event = album.event()
                for _ in range(matches):
                    begin = album.outing(
                        begin,
                        place,
                        cameras,
                        scenes=3,
                        kinds=[0, 1, 2],
                        pictures=(15, 50),
                        pause_minutes=(8, 20),
                        event=event,
                        burst=0.6,
                    )
                    begin += HOUR * rng.uniform(0.4, 1.2)
    return album.collection("sports_club")


HABITS: dict[str, Callable[[np.random.Generator], Collection]] = {
    make.__name__: make
    for make in (
        phone_all_day,
        two_cameras,
        wedding,
        year_of_travel,
        scans,
        compact_camera,
        newborn,
        sports_club,
    )
}
