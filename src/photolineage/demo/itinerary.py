"""Two years of a family's occasions: when and where they are, and which scenes are photographed."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Session:
    """Photos of one scene. `day` counts from the first day of the event; `start` is local time (HH:MM)."""

    scene: str
    day: int
    start: str
    minutes: int
    photos: int


@dataclass(frozen=True, slots=True)
class Place:
    """A named place in degrees, with its IANA time zone."""

    name: str
    latitude: float
    longitude: float
    time_zone: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event at one place, with its sessions of photos."""

    title: str
    place: Place
    first_day: date
    sessions: tuple[Session, ...]


FLORENCE = Place("Florence", 43.7696, 11.2558, "Europe/Rome")
ZERMATT = Place("Zermatt", 46.0207, 7.7491, "Europe/Zurich")
COLMAR = Place("Colmar", 48.0740, 7.3590, "Europe/Paris")
TRIBERG = Place("Triberg", 48.1303, 8.2313, "Europe/Berlin")
LIVORNO = Place("Livorno", 43.5485, 10.3106, "Europe/Rome")
VALENSOLE = Place("Valensole", 43.8372, 5.9839, "Europe/Paris")
LUCCA = Place("Lucca", 43.8430, 10.5027, "Europe/Rome")
MUNICH = Place("Munich", 48.1642, 11.6056, "Europe/Berlin")
LISBON = Place("Lisbon", 38.7076, -9.1366, "Europe/Lisbon")
MERZOUGA = Place("Merzouga", 31.0802, -4.0133, "Africa/Casablanca")
PLITVICE = Place("Plitvice", 44.8654, 15.5820, "Europe/Zagreb")
KIEL = Place("Kiel", 54.4200, 10.1700, "Europe/Berlin")
ZANZIBAR = Place("Nungwi", -5.7260, 39.2960, "Africa/Dar_es_Salaam")
GOREME = Place("Göreme", 38.6431, 34.8289, "Europe/Istanbul")
NEW_YORK = Place("New York", 40.7061, -73.9969, "America/New_York")

ITINERARY: tuple[Occasion, ...] = (
    Occasion("Skiing in Zermatt", ZERMATT, date(2023, 2, 10), (
        Session("snowy_mountains", 0, "10:20", 260, 9),
        Session("snowy_mountains", 1, "09:40", 300, 9),
    )),
    Occasion("Sunday with the cat", FLORENCE, date(2023, 3, 5), (Session("cat", 0, "15:10", 70, 8),)),
    Occasion("Weekend in Colmar", COLMAR, date(2023, 4, 22), (
        Session("old_town", 0, "11:00", 280, 11),
        Session("old_town", 1, "10:15", 150, 5),
    )),
    Occasion("Walk in the Black Forest", TRIBERG, date(2023, 5, 18), (
        Session("forest", 0, "10:40", 170, 10),
        Session("waterfall", 0, "14:00", 50, 4),
    )),
    Occasion("Emma's sixth birthday", FLORENCE, date(2023, 6, 10), (
        Session("birthday_table", 0, "15:30", 110, 12),
        Session("cat", 0, "18:00", 20, 2),
    )),
    Occasion("Livorno", LIVORNO, date(2023, 7, 14), (
        Session("sailing_boats", 0, "16:10", 90, 7),
        Session("beach_at_sunset", 0, "19:50", 65, 11),
    )),
    Occasion("Sunflowers in Provence", VALENSOLE, date(2023, 7, 29), (
        Session("sunflower_field", 0, "09:30", 140, 12),
    )),
    Occasion("Open air in Lucca", LUCCA, date(2023, 8, 12), (Session("concert", 0, "20:45", 130, 11),)),
    Occasion("Autumn in the English Garden", MUNICH, date(2023, 10, 22), (
        Session("autumn_park", 0, "13:15", 150, 14),
    )),
    Occasion("Christmas Eve", FLORENCE, date(2023, 12, 24), (Session("christmas_tree", 0, "17:30", 160, 10),)),
    Occasion("New Year's Eve in Lisbon", LISBON, date(2023, 12, 31), (
        Session("city_at_night", 0, "19:00", 110, 7),
        Session("fireworks", 0, "23:52", 26, 11),
    )),
    Occasion("Nights in the Sahara", MERZOUGA, date(2024, 2, 17), (
        Session("desert_dunes", 0, "09:00", 300, 12),
        Session("campsite", 0, "20:30", 90, 6),
    )),
    Occasion("The cat in spring", FLORENCE, date(2024, 3, 30), (Session("cat", 0, "10:30", 60, 7),)),
    Occasion("Plitvice Lakes", PLITVICE, date(2024, 5, 9), (
        Session("waterfall", 0, "09:20", 190, 12),
        Session("forest", 0, "13:40", 60, 5),
    )),
    Occasion("Emma's seventh birthday", FLORENCE, date(2024, 6, 8), (Session("birthday_table", 0, "16:00", 120, 10),)),
    Occasion("Kiel Week", KIEL, date(2024, 6, 22), (Session("sailing_boats", 0, "11:20", 230, 14),)),
    Occasion("Holiday on Zanzibar", ZANZIBAR, date(2024, 7, 20), (
        Session("tropical_beach", 0, "10:00", 240, 8),
        Session("beach_at_sunset", 0, "18:00", 40, 5),
        Session("tropical_beach", 1, "09:20", 290, 9),
    )),
    Occasion("Balloons over Cappadocia", GOREME, date(2024, 9, 14), (
        Session("hot_air_balloons", 0, "06:05", 110, 16),
    )),
    Occasion("New York", NEW_YORK, date(2024, 10, 19), (
        Session("autumn_park", 0, "14:00", 100, 6),
        Session("city_at_night", 0, "19:10", 140, 12),
    )),
    Occasion("Camping by the lake", TRIBERG, date(2024, 8, 10), (Session("campsite", 0, "21:40", 100, 9),)),
    Occasion("Christmas Eve again", FLORENCE, date(2024, 12, 24), (Session("christmas_tree", 0, "17:10", 150, 9),)),
)  # fmt: skip
