"""Filters on the images that a search may return: typed values, checked when they are created."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lancedb.expr import Expr

EARTH_RADIUS_KM: Final = 6371.0088
"""The mean radius of the Earth (IUGG)."""


@dataclass(frozen=True, slots=True)
class Box:
    """An area in degrees, edges included. If `west` is east of `east`, the area spans the 180th meridian."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        _require_position(self.south, self.west)
        _require_position(self.north, self.east)
        if self.south > self.north:
            raise ValueError(f"box: south {self.south} is north of north {self.north}")


@dataclass(frozen=True, slots=True)
class Circle:
    """The area within `radius_km` of a point in degrees, by great-circle distance."""

    latitude: float
    longitude: float
    radius_km: float

    def __post_init__(self) -> None:
        _require_position(self.latitude, self.longitude)
        if not 0 < self.radius_km < math.inf:
            raise ValueError(f"radius_km {self.radius_km}: expected a positive number of kilometres")

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether the point is within the radius (haversine formula)."""
        south, north = math.radians(self.latitude), math.radians(latitude)
        half_turn = math.sin(math.radians(longitude - self.longitude) / 2) ** 2
        haversine = math.sin((north - south) / 2) ** 2 + math.cos(south) * math.cos(north) * half_turn
        return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(haversine))) <= self.radius_km

    def bounding_box(self) -> Box:
        """The smallest box that contains the circle. If the circle contains a pole, the box has all longitudes."""
        angle = self.radius_km / EARTH_RADIUS_KM
        reach = math.degrees(angle) * (1 + 1e-9) + 1e-9
        south, north = max(-90.0, self.latitude - reach), min(90.0, self.latitude + reach)
        if south <= -90.0 or north >= 90.0:
            return Box(south=south, west=-180.0, north=north, east=180.0)
        width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(self.latitude)))))
        width = width * (1 + 1e-9) + 1e-9
        return Box(
            south=south,
            west=_wrapped(self.longitude - width),
            north=north,
            east=_wrapped(self.longitude + width),
        )


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Conditions that every hit must satisfy; None means no condition.

    `copied_to_sources`: ids of images in other sources that have a copy in one of `sources`; they count as images of
    `sources`. `taken_from` is inclusive and `taken_to` exclusive; both are aware. Images without a time never match a
    filter by time, and images without a place never match one by place. `image_ids`: only these images may be returned,
    for example those of an event. `fold_stacks`: return only the first image of each stack.
    """

    sources: tuple[str, ...] | None = None
    copied_to_sources: tuple[int, ...] = ()
    taken_from: datetime | None = None
    taken_to: datetime | None = None
    place: Box | Circle | None = None
    image_ids: tuple[int, ...] | None = None
    fold_stacks: bool = True

    def __post_init__(self) -> None:
        for name, value in (("taken_from", self.taken_from), ("taken_to", self.taken_to)):
            if value is not None and value.tzinfo is None:
                raise ValueError(f"{name} {value}: the time zone is missing; give an aware time")
        if self.taken_from and self.taken_to and self.taken_from >= self.taken_to:
            raise ValueError(f"taken_from {self.taken_from} is not before taken_to {self.taken_to}")

    @property
    def admits_nothing(self) -> bool:
        """Whether no image can match, because the list of sources or of images is empty."""
        no_source = self.sources == () and not self.copied_to_sources
        return no_source or self.image_ids == ()

    def only(self, image_id: int) -> "SearchFilters":
        """These filters for this image alone: at most it is a hit."""
        is_left_out = self.image_ids is not None and image_id not in self.image_ids
        return replace(self, image_ids=() if is_left_out else (image_id,))

    def expression(self) -> "Expr | None":
        """The filters as a LanceDB expression, evaluated before ranking. A circle becomes its bounding box."""
        from lancedb.expr import col

        conditions: list[Expr] = []
        if self.sources is not None:
            in_source = col("source").isin(self.sources)
            has_copy = col("image_id").isin(self.copied_to_sources)
            conditions.append(in_source | has_copy if self.copied_to_sources else in_source)
        if self.taken_from is not None:
            conditions.append(col("taken_at") >= self.taken_from.astimezone(UTC))
        if self.taken_to is not None:
            conditions.append(col("taken_at") < self.taken_to.astimezone(UTC))
        if self.place is not None:
            conditions.extend(
                _within(self.place if isinstance(self.place, Box) else self.place.bounding_box())
            )
        if self.image_ids is not None:
            conditions.append(col("image_id").isin(self.image_ids))
        if not conditions:
            return None
        combined = conditions[0]
        for condition in conditions[1:]:
            combined = combined & condition
        return combined


def _within(box: Box) -> "list[Expr]":
    from lancedb.expr import col

    latitude, longitude = col("latitude"), col("longitude")
    eastward, westward = longitude >= box.west, longitude <= box.east
    return [
        latitude >= box.south,
        latitude <= box.north,
        eastward & westward if box.west <= box.east else eastward | westward,
    ]


def _wrapped(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def _require_position(latitude: float, longitude: float) -> None:
    if not -90.0 <= latitude <= 90.0:
        raise ValueError(f"latitude {latitude}: expected -90 to 90 degrees")
    if not -180.0 <= longitude <= 180.0:
        raise ValueError(f"longitude {longitude}: expected -180 to 180 degrees")
