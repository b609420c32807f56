"""Things that appear in several scenes: clouds, stars, trees, gulls, people, presents."""

import itertools

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, Sketch, curve
from photolineage.demo.scenes.colour import WHITE, Colour, darker, lighter, mix, pick, varied
from photolineage.demo.scenes.noise import ridge, smoothstep

PARTY_COLOURS = (
    (236, 72, 96),
    (255, 190, 60),
    (70, 160, 220),
    (120, 200, 110),
    (180, 110, 210),
    (255, 130, 80),
    (250, 150, 190),
)


def clouds(
    canvas: Canvas,
    rng: np.random.Generator,
    bottom: float,
    *,
    colour: Colour = WHITE,
    cover: float = 0.45,
    opacity: float = 0.9,
    flat: float = 2.5,
) -> None:
    """Clouds from the top down to `bottom`; `flat` stretches them sideways."""
    field = canvas.noise(rng, (2.0 * flat, 2.0), octaves=5)
    shade = np.linspace(1.0, 0.25, field.shape[0], dtype=np.float32)[:, None]
    canvas.veil(colour, smoothstep(field, 1 - cover, 1.25 - cover) * shade * opacity, bottom=bottom)


def stars(canvas: Canvas, rng: np.random.Generator, bottom: float, count: int) -> None:
    """Small stars of several magnitudes above `bottom`."""
    for _ in range(count):
        brightness = rng.random() ** 2
        ink = mix((90, 100, 140), pick(rng, [(255, 255, 255), (255, 236, 200), (200, 220, 255)]), brightness)
        canvas.disc(rng.uniform(0, canvas.aspect), rng.uniform(0, bottom), 0.0008 + 0.0018 * brightness, ink)


def hills(
    sketch: Sketch,
    rng: np.random.Generator,
    aspect: float,
    base: float,
    height: float,
    ink: Colour | int,
    *,
    roughness: float = 0.42,
    bottom: float = 1.0,
) -> list[tuple[float, float]]:
    """A range whose crest lies between `base - height` and `base`, filled down to `bottom`; its crest."""
    heights = ridge(rng, 129, roughness=roughness)
    across = np.linspace(-0.01, aspect + 0.01, len(heights))
    crest = list(zip(across.tolist(), (base - height * heights).tolist(), strict=True))
    sketch.polygon([*crest, (aspect + 0.01, bottom), (-0.01, bottom)], ink)
    return crest


def pine(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, height: float, colour: Colour
) -> None:
    """A conifer with a lit left side."""
    canvas.rectangle(x - height * 0.02, base - height * 0.12, x + height * 0.02, base, (58, 42, 32))
    tiers = 7
    for tier in range(tiers):
        low = base - height * (0.08 + 0.8 * tier / tiers)
        top = low - height * 0.3
        half = height * 0.21 * (1 - tier / (tiers + 0.6)) * rng.uniform(0.85, 1.15)
        droop = height * 0.035
        canvas.polygon(
            [(x, max(top, base - height)), (x - half, low + droop), (x, low), (x + half, low + droop)], colour
        )
        canvas.polygon(
            [(x, max(top, base - height)), (x - half, low + droop), (x - half * 0.3, low)],
            lighter(colour, 0.13),
        )


def snowy_pine(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, height: float, colour: Colour
) -> None:
    """A conifer with snow on its branches."""
    pine(canvas, rng, x, base, height, colour)
    for tier in range(6):
        low = base - height * (0.1 + 0.8 * tier / 7)
        half = height * 0.19 * (1 - tier / 7.6)
        side = -1 if rng.random() < 0.7 else 1
        canvas.polygon(
            [
                (x, low - height * 0.15),
                (x + side * half, low + height * 0.02),
                (x + side * half * 0.35, low - height * 0.03),
            ],
            (236, 242, 250),
        )


def foliage(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    y: float,
    across: float,
    down: float,
    colour: Colour,
    *,
    leaves: int = 220,
    leaf: float = 0.012,
) -> None:
    """A round crown of leaves, lit from the upper left and dark below."""
    angles, radii = rng.uniform(0, 2 * np.pi, leaves), np.sqrt(rng.random(leaves))
    u, v = radii * np.cos(angles), radii * np.sin(angles)
    for i in np.argsort(-v - 0.3 * rng.random(leaves)):
        light = float(np.clip(0.5 - 0.32 * u[i] - 0.42 * v[i] + rng.normal(0, 0.12), 0, 1))
        tone = mix(darker(colour, 0.6), lighter(colour, 0.28), light)
        size = leaf * rng.uniform(0.6, 1.4)
        canvas.ellipse(x + u[i] * across, y + v[i] * down, size, size * 0.8, varied(rng, tone, 5))


def palm(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    base: float,
    height: float,
    lean: float,
    trunk: Colour,
    leaf: Colour,
) -> None:
    """A palm tree whose crown stands `lean` to the side of its foot."""
    spine = curve([(x, base), (x + lean * 0.15, base - height * 0.55), (x + lean, base - height)], 14)
    for step, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(spine)):
        canvas.line(
            [(x0, y0), (x1, y1)],
            mix(trunk, lighter(trunk, 0.25), (step % 2) * 0.6),
            height * (0.05 - 0.0015 * step),
        )
    crown_x, crown_y = spine[-1]
    for direction in np.linspace(-0.35, np.pi + 0.35, 11) + rng.normal(0, 0.1, 11):
        length = height * rng.uniform(0.36, 0.5)
        reach_x, reach_y = np.cos(direction) * length, -np.sin(direction) * length * 0.6
        rib = curve(
            [
                (crown_x, crown_y),
                (crown_x + reach_x * 0.6, crown_y + reach_y - length * 0.18),
                (crown_x + reach_x, crown_y + reach_y * 0.3 + length * 0.32),
            ],
            12,
        )
        tone = varied(rng, leaf, 7)
        for index, (rib_x, rib_y) in enumerate(rib[1:], start=1):
            half = length * 0.2 * np.sin(np.pi * min(0.97, index / 12 + 0.12))
            canvas.polygon(
                [
                    (rib_x - height * 0.012, rib_y),
                    (rib_x + height * 0.014, rib_y),
                    (rib_x + reach_x * 0.08, rib_y + half),
                ],
                darker(tone, 0.3) if index % 2 else tone,
            )
        canvas.line(rib, tone, height * 0.012)
    for _ in range(3):
        canvas.disc(
            crown_x + rng.normal(0, height * 0.014),
            crown_y + height * 0.018,
            height * 0.02,
            darker(trunk, 0.3),
        )


def gulls(canvas: Canvas, rng: np.random.Generator, bottom: float, ink: Colour, count: int) -> None:
    """Distant birds as two wing strokes each."""
    for _ in range(count):
        x, y = rng.uniform(0.05, canvas.aspect - 0.05), rng.uniform(0.08, bottom)
        span = rng.uniform(0.008, 0.02)
        canvas.line(
            curve([(x - span, y - span * 0.3), (x - span * 0.4, y - span * 0.7), (x, y)], 5), ink, 0.003
        )
        canvas.line(
            curve([(x, y), (x + span * 0.4, y - span * 0.7), (x + span, y - span * 0.3)], 5), ink, 0.003
        )


def person(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    base: float,
    height: float,
    ink: Colour,
    *,
    clothes: Colour | None = None,
) -> None:
    """A standing person; without `clothes` a plain silhouette."""
    garment = clothes or ink
    legs = darker(garment, 0.45) if clothes else ink
    stride = height * rng.uniform(0.02, 0.07)
    for side in (-1, 1):
        canvas.line(
            [(x + side * height * 0.03, base - height * 0.48), (x + side * stride, base)], legs, height * 0.07
        )
        swing = rng.uniform(0.06, 0.14)
        canvas.line(
            [
                (x + side * height * 0.07, base - height * 0.78),
                (x + side * height * swing, base - height * 0.45),
            ],
            garment,
            height * 0.05,
        )
    canvas.rounded(
        x - height * 0.09,
        base - height * 0.82,
        x + height * 0.09,
        base - height * 0.44,
        height * 0.05,
        garment,
    )
    canvas.disc(x, base - height * 0.9, height * 0.075, ink)


def gift(canvas: Canvas, rng: np.random.Generator, x: float, base: float, size: float) -> None:
    """A wrapped present with a ribbon."""
    colour, ribbon = pick(rng, PARTY_COLOURS), pick(rng, [(255, 250, 240), (255, 214, 90), (200, 40, 60)])
    canvas.polygon(
        [
            (x + size, base - size * 1.3),
            (x + size * 1.35, base - size * 1.45),
            (x + size * 1.35, base - size * 0.2),
            (x + size, base),
        ],
        darker(colour, 0.35),
    )
    canvas.rectangle(x - size, base - size * 1.3, x + size, base, colour)
    canvas.polygon(
        [
            (x - size, base - size * 1.3),
            (x - size * 0.65, base - size * 1.45),
            (x + size * 1.35, base - size * 1.45),
            (x + size, base - size * 1.3),
        ],
        lighter(colour, 0.25),
    )
    canvas.rectangle(x - size * 0.14, base - size * 1.3, x + size * 0.14, base, ribbon)
    for side in (-1, 1):
        canvas.ellipse_at(
            x + side * size * 0.28, base - size * 1.55, size * 0.32, size * 0.16, side * -0.5, ribbon
        )
