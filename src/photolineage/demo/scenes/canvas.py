"""The surface that scenes are drawn on: supersampled shapes, soft fields, light, and a lens at the end."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from photolineage.demo.scenes.colour import BLACK, Colour, Stops
from photolineage.demo.scenes.noise import Field, enlarged, fractal

Point: TypeAlias = tuple[float, float]
Ink: TypeAlias = Colour | int

SUPERSAMPLING = 2


def _to_mask(field: Field, size: tuple[int, int]) -> Image.Image:
    """A field in [0, 1] as an 8-bit mask of `size` (width, height)."""
    levels = np.clip(field * 255.0, 0, 255).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR)


def _bell(pixels: int, falloff: float) -> Field:
    """A round bell of `pixels` squared: 1 in the middle, 0 from the inscribed circle on."""
    axis = np.linspace(-1, 1, pixels, dtype=np.float32)
    distance = np.hypot(axis[:, None], axis[None, :])
    return np.power(np.clip(1.0 - distance, 0.0, 1.0), falloff).astype(np.float32)


class Sketch:
    """Shapes on an image. Points are in units of the picture's height: y runs from 0 (top) to 1."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.unit = image.height
        self._draw = ImageDraw.Draw(image)

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        return [(x * self.unit, y * self.unit) for x, y in points]

    def polygon(self, points: Iterable[Point], ink: Ink) -> None:
        """A filled polygon."""
        self._draw.polygon(self._pixels(points), fill=ink)

    def rectangle(self, left: float, top: float, right: float, bottom: float, ink: Ink) -> None:
        """A filled rectangle."""
        self._draw.rectangle(self._pixels([(left, top), (right, bottom)]), fill=ink)

    def rounded(self, left: float, top: float, right: float, bottom: float, radius: float, ink: Ink) -> None:
        """A filled rectangle with round corners."""
        corners = self._pixels([(left, top), (right, bottom)])
        self._draw.rounded_rectangle([*corners[0], *corners[1]], radius * self.unit, fill=ink)

    def ellipse(self, x: float, y: float, across: float, down: float, ink: Ink) -> None:
        """A filled ellipse by its centre and its two radii."""
        self._draw.ellipse(self._pixels([(x - across, y - down), (x + across, y + down)]), fill=ink)

    def disc(self, x: float, y: float, radius: float, ink: Ink) -> None:
        """A filled circle."""
        self.ellipse(x, y, radius, radius, ink)

    def line(self, points: Iterable[Point], ink: Ink, width: float) -> None:
        """A line with round joints; never thinner than one pixel of the supersampled surface."""
        pixels = max(1, round(width * self.unit))
        self._draw.line(self._pixels(points), fill=ink, width=pixels, joint="curve" if pixels > 2 else None)

    def ellipse_at(self, x: float, y: float, along: float, across: float, angle: float, ink: Ink) -> None:
        """A filled ellipse turned by `angle` (radians), as a polygon."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        u, v = along * np.cos(turn), across * np.sin(turn)
        cosine, sine = np.cos(angle), np.sin(angle)
        self.polygon(
            zip((x + u * cosine - v * sine).tolist(), (y + u * sine + v * cosine).tolist(), strict=True), ink
        )


class Canvas(Sketch):
    """A picture of `size` (width, height) under construction, drawn at twice its size."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.aspect = size[0] / size[1]
        super().__init__(Image.new("RGB", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)))

    def stencil(self) -> Sketch:
        """An empty mask of the same size and units; shapes drawn with ink 255 let paint through."""
        return Sketch(Image.new("L", self.image.size))

    def noise(
        self,
        rng: np.random.Generator,
        cells: tuple[float, float],
        *,
        octaves: int = 5,
        persistence: float = 0.5,
        detail: int = 2,
    ) -> Field:
        """Fractal noise over the whole picture, at 1/`detail` of its final resolution."""
        shape = (max(8, self.size[1] // detail), max(8, self.size[0] // detail))
        return fractal(rng, shape, cells=cells, octaves=octaves, persistence=persistence)

    def gradient(
        self, stops: Stops, *, top: float = 0.0, bottom: float = 1.0, through: Sketch | None = None
    ) -> None:
        """A vertical gradient over the full width from `top` to `bottom`."""
        first, last = round(top * self.unit), round(bottom * self.unit)
        if last <= first:
            return
        share = np.linspace(0, 1, last - first)
        positions = [position for position, _ in stops]
        channels = [np.interp(share, positions, [colour[i] for _, colour in stops]) for i in range(3)]
        column = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)[:, None, :])
        strip = column.resize((self.image.width, last - first), Image.Resampling.NEAREST)
        mask = through.image.crop((0, first, self.image.width, last)) if through else None
        self.image.paste(strip, (0, first), mask)

    def veil(self, colour: Colour, field: Field, *, top: float = 0.0, bottom: float = 1.0) -> None:
        """Lay a colour over the band from `top` to `bottom`, as opaque as the field (0 to 1) says."""
        first, last = round(top * self.unit), round(bottom * self.unit)
        if last > first:
            mask = _to_mask(field, (self.image.width, last - first))
            self.image.paste(colour, (0, first, self.image.width, last), mask)

    def fill(self, stencil: Sketch, colour: Colour, *, opacity: float = 1.0, blur: float = 0.0) -> None:
        """Paint a colour through a stencil; `blur` is a radius in units of the height."""
        box = stencil.image.getbbox()
        if box is None:
            return
        margin = round(3 * blur * self.unit)
        left, top = max(0, box[0] - margin), max(0, box[1] - margin)
        right = min(self.image.width, box[2] + margin)
        bottom = min(self.image.height, box[3] + margin)
        mask = stencil.image.crop((left, top, right, bottom))
        if blur:
            mask = mask.filter(ImageFilter.BoxBlur(blur * self.unit))
        if opacity < 1.0:
            mask = mask.point([round(level * opacity) for level in range(256)])
        self.image.paste(colour, (left, top, right, bottom), mask)

    def texture(self, stencil: Sketch | None, field: Field, stops: Stops, *, opacity: float = 1.0) -> None:
        """Paint the field's values, coloured by the stops, through a stencil or over everything."""
        positions = [position for position, _ in stops]
        channels = [np.interp(field, positions, [colour[i] for _, colour in stops]) for i in range(3)]
        small = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
        picture = small.resize(self.image.size, Image.Resampling.BILINEAR)
        mask = stencil.image if stencil else Image.new("L", self.image.size, 255)
        if opacity < 1.0:
            mask = mask.point([round(level * opacity) for level in range(256)])
        self.image.paste(picture, (0, 0), mask)

    def glow(
        self,
        x: float,
        y: float,
        radius: float,
        colour: Colour,
        *,
        strength: float = 1.0,
        falloff: float = 2.0,
        stretch: float = 1.0,
    ) -> None:
        """Screen a round light over the picture; `stretch` widens it into an ellipse."""
        half_width, half_height = (
            max(1, round(radius * stretch * self.unit)),
            max(1, round(radius * self.unit)),
        )
        centre_x, centre_y = round(x * self.unit), round(y * self.unit)
        box = (
            max(0, centre_x - half_width),
            max(0, centre_y - half_height),
            min(self.image.width, centre_x + half_width),
            min(self.image.height, centre_y + half_height),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        bell = _to_mask(_bell(64, falloff) * strength, (2 * half_width, 2 * half_height))
        offset = (centre_x - half_width, centre_y - half_height)
        bell = bell.crop((box[0] - offset[0], box[1] - offset[1], box[2] - offset[0], box[3] - offset[1]))
        light = Image.new("RGB", bell.size)
        light.paste(colour, (0, 0), bell)
        self.image.paste(ImageChops.screen(self.image.crop(box), light), box[:2])

    def ball(
        self, x: float, y: float, across: float, down: float, colour: Colour, *, shine: float = 0.7
    ) -> None:
        """A shaded ellipsoid, lit from the upper left."""
        pixels = (max(2, round(2 * across * self.unit)), max(2, round(2 * down * self.unit)))
        axis = np.linspace(-1, 1, 48, dtype=np.float32)
        u, v = axis[None, :], axis[:, None]
        depth = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        light = np.clip(0.62 * depth - 0.45 * u - 0.55 * v, 0, 1)
        gloss = shine * np.clip(1 - np.hypot(u + 0.36, v + 0.42) / 0.32, 0, 1) ** 1.5
        base = np.array(colour, dtype=np.float32) * (0.4 + 0.65 * light[..., None])
        picture = np.clip(base + (255 - base) * gloss[..., None], 0, 255).astype(np.uint8)
        mask = Image.new("L", pixels)
        ImageDraw.Draw(mask).ellipse((0, 0, pixels[0] - 1, pixels[1] - 1), fill=255)
        shaded = Image.fromarray(picture).resize(pixels, Image.Resampling.BICUBIC)
        self.image.paste(shaded, (round((x - across) * self.unit), round((y - down) * self.unit)), mask)

    def mirror(
        self,
        rng: np.random.Generator,
        horizon: float,
        *,
        ripple: float = 0.01,
        tint: Colour = BLACK,
        opacity: float = 0.25,
        squeeze: float = 1.0,
    ) -> None:
        """Fill everything below the horizon with the rippled reflection of what stands above it."""
        top = round(horizon * self.unit)
        height = self.image.height - top
        source = min(top, round(height * squeeze))
        above = self.image.crop((0, top - source, self.image.width, top))
        flipped = above.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        water = np.asarray(flipped.resize((self.size[0], max(1, height // SUPERSAMPLING))))
        rows = np.arange(water.shape[0])
        depth = rows / max(1, water.shape[0])
        swell = enlarged(
            rng.standard_normal((max(2, water.shape[0] // 4), 1)).astype(np.float32), (len(rows), 1)
        )
        shift = (swell[:, 0] * ripple * self.unit / SUPERSAMPLING * (0.3 + 2.0 * depth)).astype(int)
        columns = np.clip(np.arange(water.shape[1])[None, :] + shift[:, None], 0, water.shape[1] - 1)
        rippled = Image.fromarray(water[rows[:, None], columns])
        mirrored = rippled.resize((self.image.width, height), Image.Resampling.BILINEAR)
        self.image.paste(Image.blend(mirrored, Image.new("RGB", mirrored.size, tint), opacity), (0, top))

    def photograph(
        self, rng: np.random.Generator, *, grain: float = 1.6, vignette: float = 0.18
    ) -> Image.Image:
        """The finished picture at its final size: exposure, white balance, vignette and side vary a little."""
        pixels = np.array(self.image.reduce(SUPERSAMPLING), dtype=np.float32)
        exposure = rng.normal(1.0, 0.06)
        gains = (exposure * rng.normal(1, 0.025), exposure, exposure * rng.normal(1, 0.025))
        across = np.linspace(-1, 1, pixels.shape[1], dtype=np.float32) ** 2
        down = np.linspace(-1, 1, pixels.shape[0], dtype=np.float32) ** 2
        corner = 1 - np.float32(vignette * rng.random() / 2) * (across[None, :] + down[:, None])
        speckle = rng.standard_normal(pixels.shape[:2], dtype=np.float32)
        speckle *= np.float32(grain)
        for channel, gain in enumerate(gains):
            plane = pixels[..., channel]
            plane *= corner * np.float32(gain)
            plane += speckle
        np.clip(pixels, 0, 255, out=pixels)
        picture = Image.fromarray(pixels.astype(np.uint8))
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture


def curve(points: Sequence[Point], steps: int = 16) -> list[Point]:
    """A quadratic Bézier curve through its control points' ends: (start, control, end)."""
    (x0, y0), (x1, y1), (x2, y2) = points
    shares = [step / steps for step in range(steps + 1)]
    return [
        (
            (1 - t) ** 2 * x0 + 2 * t * (1 - t) * x1 + t * t * x2,
            (1 - t) ** 2 * y0 + 2 * t * (1 - t) * y1 + t * t * y2,
        )
        for t in shares
    ]
