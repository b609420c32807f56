"""Where images were taken: distances (kilometres), usual places, and the names of places."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.timeline import Timeline

Degrees = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088  # the mean radius of WGS 84
_WEEK_US = 7 * 86_400_000_000

USUAL_CELL_DEGREES = 0.1
"""The grid on which usual places (home, work) are found: about 10 km."""
USUAL_LEAST_SHARE = 0.15
"""A usual place has images in at least this share of the weeks that have located images."""
USUAL_LEAST_DAYS = 28.0
"""The fewest days from the first to the last image of a usual place: longer than a stay."""


def distance_km(
    latitude: Degrees, longitude: Degrees, to_latitude: Degrees, to_longitude: Degrees
) -> Degrees:
    """Great-circle distance by the haversine formula; NaN if a coordinate is NaN."""
    phi, to_phi = np.radians(latitude), np.radians(to_latitude)
    half_dphi, half_dlambda = (to_phi - phi) / 2, np.radians(to_longitude - longitude) / 2
    haversine = np.sin(half_dphi) ** 2 + np.cos(phi) * np.cos(to_phi) * np.sin(half_dlambda) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))


def usual_places(timeline: Timeline) -> NDArray[np.float64]:
    """Centres (latitude, longitude) of the grid cells where many photos are taken (home, work), shape (n, 2).

    A cell is usual if it has images in enough of the weeks that have located images, over longer than a stay. These are
    the centres of the cells, not of their images, so a new image can add or remove a usual place but not move one.
    """
    located = np.flatnonzero(~np.isnan(timeline.latitude) & ~np.isnan(timeline.longitude))
    if len(located) == 0:
        return np.empty((0, 2))
    at = timeline.at[located]
    rows = np.floor(timeline.latitude[located] / USUAL_CELL_DEGREES).astype(np.int64)
    columns = np.floor(timeline.longitude[located] / USUAL_CELL_DEGREES).astype(np.int64)
    width = int(columns.max() - columns.min()) + 1
    cells, cell = np.unique(rows * width + columns - columns.min(), return_inverse=True)
    weeks, week = np.unique(at // _WEEK_US, return_inverse=True)
    cell_weeks = np.unique(cell * len(weeks) + week) // len(weeks)
    share = np.bincount(cell_weeks, minlength=len(cells)) / len(weeks)
    first, last = np.full(len(cells), at.max()), np.full(len(cells), at.min())
    np.minimum.at(first, cell, at)
    np.maximum.at(last, cell, at)
    span_days = (last - first) / 86_400e6
    usual = cells[(share >= USUAL_LEAST_SHARE) & (span_days >= USUAL_LEAST_DAYS)]
    centres = np.stack((usual // width, usual % width + columns.min()), axis=1)
    return np.asarray((centres + 0.5) * USUAL_CELL_DEGREES)


def is_away(timeline: Timeline, usual: NDArray[np.float64], away_km: float) -> NDArray[np.bool_]:
    """Whether each image has a place farther than `away_km` from every usual place. All False without a usual place."""
    if len(usual) == 0:
        return np.zeros(len(timeline), dtype=np.bool_)
    away = ~(np.isnan(timeline.latitude) | np.isnan(timeline.longitude))
    for latitude, longitude in usual:
        near = distance_km(timeline.latitude, timeline.longitude, latitude, longitude) < away_km
        away &= ~near
    return away


@dataclass(frozen=True, slots=True, eq=False)
class Whereabouts:
    """The centre of each group of images (degrees), and the radius around it (metres) with most of them; NaN if
    unknown."""

    latitude: Degrees
    longitude: Degrees
    radius_m: Degrees


def whereabouts(
    latitude: Degrees, longitude: Degrees, group: NDArray[np.int64], group_count: int, share: float = 0.9
) -> Whereabouts:
    """The whereabouts of each group of images. `group` is the group of each row, ascending.

    The centre is the place of the image nearest to the mean direction from the middle of the earth: somewhere a picture
    was taken, also across the date line. The radius covers `share` of the located images.
    """
    result = Whereabouts(*(np.full(group_count, np.nan) for _ in range(3)))
    known = np.flatnonzero(~(np.isnan(latitude) | np.isnan(longitude)))
    if len(known) == 0:
        return result
    latitude, longitude = latitude[known], longitude[known]
    groups, starts, member = np.unique(group[known], return_index=True, return_inverse=True)
    phi, lam = np.radians(latitude), np.radians(longitude)
    points = np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), axis=1)
    towards = np.add.reduceat(points, starts, axis=0)
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    aside = ((points - towards[member]) ** 2).sum(axis=1)
    centre = np.lexsort((aside, member))[starts]
    result.latitude[groups], result.longitude[groups] = latitude[centre], longitude[centre]
    distance = distance_km(latitude, longitude, latitude[centre][member], longitude[centre][member])
    counts = np.diff(np.append(starts, len(known)))
    rank = starts + np.ceil(np.round(share * counts, 6)).astype(np.int64) - 1
    result.radius_m[groups] = np.round(distance[np.lexsort((distance, member))[rank]] * 1000, 1)
    return result


def place_names(places: Sequence[tuple[float, float] | None]) -> list[str | None]:
    """The name of the populated place nearest to each (latitude, longitude), from GeoNames by `reverse_geocode`.

    Works offline. Raises ModuleNotFoundError if the optional package is not installed.
    """
    import reverse_geocode

    known = [place for place in places if place is not None]
    names = iter([found["city"] for found in reverse_geocode.search(known)] if known else [])
    return [None if place is None else next(names) for place in places]
