"""A scene of a party: a birthday table."""

import itertools

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import Colour, darker, lighter, mix, pick, rgb
from photolineage.demo.scenes.props import PARTY_COLOURS, gift
from photolineage.demo.scenes.scene import Scene


def birthday_table(canvas: Canvas, rng: np.random.Generator) -> None:
    """A cake with burning candles on a laid table, with balloons and bunting."""
    wall = rgb(pick(rng, ["f2dcc0", "d8e4ea", "f4c9c0", "c9d8c0", "e6d4ee", "7a5a5a", "f6e6b8", "48506a"]))
    table = rng.uniform(0.56, 0.68)
    canvas.gradient([(0, darker(wall, 0.12)), (1, lighter(wall, 0.15))], bottom=table)
    _lights_out_of_focus(canvas, rng)
    _bunting(canvas, rng)
    for _ in range(int(rng.integers(3, 9))):
        side = 1 if rng.random() < 0.5 else -1
        _party_balloon(
            canvas,
            rng,
            canvas.aspect * (0.5 + side * rng.uniform(0.18, 0.48)),
            rng.uniform(0.16, 0.42),
            rng.uniform(0.055, 0.1),
        )
    _tablecloth(canvas, rng, table)
    for x in (0.16, 0.84):
        gift(
            canvas,
            rng,
            canvas.aspect * (x + rng.normal(0, 0.04)),
            table + rng.uniform(0.02, 0.1),
            rng.uniform(0.07, 0.11),
        )
    _cake(
        canvas,
        rng,
        canvas.aspect * rng.uniform(0.4, 0.6),
        table + rng.uniform(0.14, 0.24),
        rng.uniform(0.17, 0.27),
    )
    for x in (0.14, 0.86):
        _plate(
            canvas,
            rng,
            canvas.aspect * (x + rng.normal(0, 0.05)),
            rng.uniform(0.86, 0.95),
            rng.uniform(0.09, 0.13),
        )
    for _ in range(60):
        y = rng.uniform(table + 0.03, 1)
        canvas.ellipse_at(
            canvas.aspect * rng.random(), y, 0.006, 0.003, rng.uniform(0, 3), pick(rng, PARTY_COLOURS)
        )


def _tablecloth(canvas: Canvas, rng: np.random.Generator, table: float) -> None:
    cloth = pick(
        rng,
        [(250, 248, 244), (214, 70, 80), (120, 170, 210), (246, 226, 190), (240, 190, 200), (120, 80, 50)],
    )
    canvas.gradient([(0, lighter(cloth, 0.1)), (1, darker(cloth, 0.22))], top=table)
    if rng.random() < 0.5:
        for x in np.arange(0, canvas.aspect, 0.09):
            canvas.polygon(
                [
                    (float(x), table),
                    (float(x) + 0.03, table),
                    (float(x) * 1.3 - canvas.aspect * 0.15 + 0.04, 1.0),
                    (float(x) * 1.3 - canvas.aspect * 0.15, 1.0),
                ],
                mix(cloth, pick(rng, PARTY_COLOURS), 0.25),
            )


def _lights_out_of_focus(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(0, 14))):
        canvas.glow(
            canvas.aspect * rng.random(),
            rng.uniform(0.05, 0.5),
            rng.uniform(0.03, 0.07),
            pick(rng, PARTY_COLOURS),
            strength=0.35,
            falloff=0.4,
        )


def _bunting(canvas: Canvas, rng: np.random.Generator) -> None:
    string = curve(
        [
            (-0.02, rng.uniform(0.02, 0.1)),
            (canvas.aspect / 2, rng.uniform(0.12, 0.24)),
            (canvas.aspect + 0.02, rng.uniform(0.02, 0.1)),
        ],
        22,
    )
    canvas.line(string, (120, 110, 104), 0.003)
    for (x0, y0), (x1, y1) in itertools.pairwise(string):
        canvas.polygon([(x0, y0), (x1, y1), ((x0 + x1) / 2, (y0 + y1) / 2 + 0.06)], pick(rng, PARTY_COLOURS))


def _party_balloon(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.line(
        curve(
            [
                (x, y + size * 1.2),
                (x + rng.normal(0, 0.06), y + size * 2.2),
                (x + rng.normal(0, 0.05), y + size * 3.4),
            ]
        ),
        (150, 140, 140),
        0.002,
    )
    colour = pick(rng, PARTY_COLOURS)
    canvas.polygon(
        [(x, y + size * 1.1), (x - size * 0.12, y + size * 1.32), (x + size * 0.12, y + size * 1.32)],
        darker(colour, 0.2),
    )
    canvas.ball(x, y, size, size * 1.18, colour)


def _cake(canvas: Canvas, rng: np.random.Generator, x: float, base: float, half: float) -> None:
    shadow = canvas.stencil()
    shadow.ellipse(x, base + half * 0.1, half * 1.35, half * 0.36, 255)
    canvas.fill(shadow, (60, 40, 40), opacity=0.4, blur=0.015)
    canvas.ellipse(x, base + half * 0.06, half * 1.22, half * 0.3, (238, 240, 244))
    icing = pick(
        rng,
        [(255, 236, 226), (250, 170, 190), (110, 66, 44), (255, 250, 246), (180, 220, 236), (255, 224, 140)],
    )
    sponge = pick(rng, [(232, 190, 130), (120, 70, 46), (246, 214, 160), (220, 120, 130)])
    drip = pick(rng, [(96, 52, 34), (240, 90, 130), (255, 255, 255), (250, 190, 60)])
    tiers = int(rng.integers(1, 4))
    width, y = half, base
    for _ in range(tiers):
        height = half * rng.uniform(0.48, 0.62) / (0.72 + 0.28 * tiers)
        _tier(
            canvas,
            rng,
            x,
            y,
            width,
            height,
            icing if tiers > 1 or rng.random() < 0.6 else sponge,
            icing,
            drip,
        )
        y -= height
        width *= 0.7
    _candles(canvas, rng, x, y, width / 0.7)


def _tier(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    base: float,
    half: float,
    height: float,
    side: Colour,
    icing: Colour,
    drip: Colour,
) -> None:
    flat = half * 0.24
    canvas.ellipse(x, base, half, flat, darker(side, 0.18))
    canvas.rectangle(x - half, base - height, x + half, base, side)
    shade = canvas.stencil()
    shade.rectangle(x + half * 0.35, base - height, x + half, base + flat * 0.3, 255)
    canvas.fill(shade, darker(side, 0.45), opacity=0.4, blur=half * 0.12)
    canvas.rectangle(x - half, base - height * 0.5, x + half, base - height * 0.4, mix(side, drip, 0.7))
    canvas.ellipse(x, base - height, half, flat, lighter(icing, 0.25))
    for dx in np.linspace(-0.92, 0.92, 11):
        length = height * rng.uniform(0.15, 0.42)
        y = base - height + flat * float(np.sqrt(1 - dx * dx))
        canvas.rounded(
            x + dx * half - half * 0.075,
            y - flat * 0.3,
            x + dx * half + half * 0.075,
            y + length * 0.7,
            half * 0.07,
            drip,
        )
    for dx in np.linspace(-0.95, 0.95, 10):
        canvas.ball(
            x + dx * half,
            base + flat * float(np.sqrt(1 - dx * dx)) * 0.9,
            half * 0.085,
            half * 0.085,
            lighter(icing, 0.2),
            shine=0.3,
        )


def _candles(canvas: Canvas, rng: np.random.Generator, x: float, top: float, half: float) -> None:
    count = int(rng.integers(3, 9))
    tall = rng.uniform(0.07, 0.11)
    for index, dx in enumerate(np.linspace(-0.75, 0.75, count)):
        foot_x, foot_y = x + dx * half, top + half * 0.12 * (1 if index % 2 else -0.6)
        colour = pick(rng, PARTY_COLOURS)
        canvas.rectangle(foot_x - 0.007, foot_y - tall, foot_x + 0.007, foot_y, colour)
        for stripe in range(3):
            y = foot_y - tall * (0.25 + 0.25 * stripe)
            canvas.line([(foot_x - 0.007, y + 0.008), (foot_x + 0.007, y)], (255, 255, 255), 0.004)
        canvas.glow(foot_x, foot_y - tall - 0.02, 0.1, (255, 190, 90), strength=0.6)
        canvas.ellipse(foot_x, foot_y - tall - 0.018, 0.008, 0.018, (255, 170, 50))
        canvas.ellipse(foot_x, foot_y - tall - 0.013, 0.004, 0.01, (255, 250, 210))


def _plate(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    for scale, ink in ((1.0, (216, 218, 222)), (0.95, (248, 249, 250)), (0.66, (230, 232, 236))):
        canvas.ellipse(x, y, size * scale, size * scale * 0.42, ink)
    if rng.random() < 0.6:
        filling = pick(rng, [(246, 214, 160), (120, 70, 46), (250, 180, 196)])
        canvas.polygon(
            [
                (x - size * 0.4, y),
                (x + size * 0.4, y - size * 0.15),
                (x + size * 0.4, y - size * 0.42),
                (x - size * 0.4, y - size * 0.26),
            ],
            filling,
        )
        canvas.polygon(
            [
                (x - size * 0.4, y - size * 0.26),
                (x + size * 0.4, y - size * 0.42),
                (x + size * 0.1, y - size * 0.55),
            ],
            lighter(filling, 0.5),
        )


SCENES = (
    Scene(
        "birthday_table",
        (
            "birthday cake",
            "birthday table",
            "cake with burning candles",
            "a birthday party with balloons",
            "presents and cake on the table",
            "children's party",
        ),
        birthday_table,
    ),
)
