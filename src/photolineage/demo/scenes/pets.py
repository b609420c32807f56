"""A scene with a pet: a cat on a sofa, a window sill or a rug."""

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import Colour, darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.props import clouds
from photolineage.demo.scenes.scene import Scene

COATS = (
    ((226, 140, 60), (176, 92, 34)),
    ((128, 124, 122), (78, 76, 78)),
    ((44, 42, 46), (28, 26, 30)),
    ((236, 230, 220), (206, 196, 184)),
    ((166, 128, 92), (104, 76, 54)),
    ((236, 190, 130), (200, 140, 80)),
)


def cat(canvas: Canvas, rng: np.random.Generator) -> None:
    """A cat that looks at the camera, in a room."""
    (_sofa_room, _window_room)[int(rng.integers(2))](canvas, rng)
    fur, stripe = pick(rng, COATS)
    fur, stripe = varied(rng, fur, 8), varied(rng, stripe, 6)
    size = rng.uniform(0.26, 0.38)
    x, base = canvas.aspect * rng.uniform(0.32, 0.68), rng.uniform(0.86, 0.95)
    shadow = canvas.stencil()
    shadow.ellipse(x, base, size * 1.05, size * 0.14, 255)
    canvas.fill(shadow, (30, 22, 20), opacity=0.5, blur=0.02)
    if rng.random() < 0.6:
        _sitting_body(canvas, rng, x, base, size, fur, stripe)
        head = (x + rng.normal(0, size * 0.06), base - size * 1.32)
    else:
        side = 1 if rng.random() < 0.5 else -1
        _lying_body(canvas, rng, x, base, size, side, fur, stripe)
        head = (x - side * size * 0.75, base - size * 0.72)
    _head(canvas, rng, head[0], head[1], size * 0.5, fur, stripe)


def _sofa_room(canvas: Canvas, rng: np.random.Generator) -> None:
    wall = rgb(pick(rng, ["d8cdbc", "b8c4c0", "e6dccb", "9aa6b4", "cbb8a8"]))
    canvas.gradient([(0, darker(wall, 0.1)), (1, lighter(wall, 0.1))])
    if rng.random() < 0.6:
        left = canvas.aspect * rng.uniform(0.1, 0.7)
        canvas.rectangle(left, 0.06, left + 0.3, 0.28, (70, 56, 46))
        canvas.rectangle(left + 0.015, 0.075, left + 0.285, 0.265, varied(rng, (150, 170, 160), 30))
        canvas.ellipse(left + 0.15, 0.19, 0.08, 0.05, varied(rng, (200, 140, 100), 30))
    sofa = rgb(pick(rng, ["4a6a7a", "7a4a44", "5a6a4a", "8a7a68", "3f4660", "b08a5a", "6a5a78"]))
    back = rng.uniform(0.34, 0.46)
    canvas.rounded(0.02, back, canvas.aspect - 0.02, 1.1, 0.07, sofa)
    canvas.rounded(0.1, back + 0.04, canvas.aspect / 2 - 0.006, 0.82, 0.04, lighter(sofa, 0.1))
    canvas.rounded(
        canvas.aspect / 2 + 0.006, back + 0.04, canvas.aspect - 0.1, 0.82, 0.04, lighter(sofa, 0.08)
    )
    canvas.rounded(0.0, 0.76, canvas.aspect, 1.1, 0.05, lighter(sofa, 0.16))
    canvas.line([(0, 0.775), (canvas.aspect, 0.775)], darker(sofa, 0.25), 0.008)
    for side in (0.16, 0.84):
        if rng.random() < 0.7:
            x, cushion = (
                canvas.aspect * side,
                rgb(pick(rng, ["d9a441", "c8564a", "e8e0d0", "4a8a8a", "8a5a9a"])),
            )
            canvas.polygon(
                [(x - 0.13, 0.56), (x, 0.53), (x + 0.13, 0.58), (x + 0.12, 0.8), (x, 0.78), (x - 0.14, 0.81)],
                cushion,
            )
            canvas.line([(x - 0.1, 0.6), (x + 0.1, 0.76)], darker(cushion, 0.2), 0.006)
    weave = canvas.noise(rng, (60, 80), octaves=2, persistence=0.9)
    canvas.veil((30, 24, 24), weave * 0.14, top=back)


def _window_room(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient(
        pick(
            rng,
            [
                even("6fb0e0", "dcecf4", "8fb070"),
                even("b8c4cc", "e0e4e4", "9aa890"),
                even("f0b080", "fbe0b0", "9a8a60"),
            ],
        )
    )
    clouds(canvas, rng, 0.4, cover=0.4)
    for _ in range(18):
        canvas.glow(
            canvas.aspect * rng.random(),
            rng.uniform(0.3, 0.8),
            rng.uniform(0.05, 0.12),
            varied(rng, (120, 170, 80), 25),
            strength=0.4,
            falloff=0.5,
        )
    frame = pick(rng, [(244, 240, 232), (120, 84, 56), (220, 214, 204)])
    for x in (0.0, canvas.aspect * rng.uniform(0.3, 0.7), canvas.aspect):
        canvas.rectangle(x - 0.03, 0, x + 0.03, 0.84, frame)
    canvas.rectangle(0, 0, canvas.aspect, 0.04, frame)
    canvas.gradient([(0, lighter(frame, 0.2)), (0.3, frame), (1, darker(frame, 0.25))], top=0.82)
    _curtains(canvas, rng)
    if rng.random() < 0.5:
        pot = canvas.aspect * (0.16 if rng.random() < 0.5 else 0.84)
        canvas.polygon(
            [(pot - 0.06, 0.74), (pot + 0.06, 0.74), (pot + 0.045, 0.88), (pot - 0.045, 0.88)], (176, 96, 64)
        )
        for angle in np.linspace(0.5, 2.6, 7):
            canvas.ellipse_at(
                pot + np.cos(angle) * 0.07,
                0.72 - np.sin(angle) * 0.09,
                0.07,
                0.018,
                -angle,
                varied(rng, (74, 130, 70), 10),
            )


def _curtains(canvas: Canvas, rng: np.random.Generator) -> None:
    curtain = rgb(pick(rng, ["c8564a", "e8d8b8", "7a8aa8", "a8b890", "d8a0a0"]))
    width = rng.uniform(0.14, 0.24)
    for edge, side in ((0.0, 1), (canvas.aspect, -1)):
        for fold in range(5):
            start = edge + side * width * fold / 5
            canvas.rectangle(
                min(start, start + side * width / 5),
                0,
                max(start, start + side * width / 5),
                0.84,
                darker(curtain, 0.18 * (fold % 2)),
            )


def _stripes(
    canvas: Canvas, rng: np.random.Generator, x: float, top: float, bottom: float, half: float, stripe: Colour
) -> None:
    for y in np.arange(top, bottom, (bottom - top) / 6):
        for side in (-1, 1):
            reach = half * rng.uniform(0.75, 1.0)
            canvas.polygon(
                [
                    (x + side * reach, float(y)),
                    (x + side * half * 0.35, float(y) + half * 0.12),
                    (x + side * reach, float(y) + half * 0.16),
                ],
                stripe,
            )


def _fluff(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, across: float, down: float, fur: Colour
) -> None:
    """A furry ellipse: a shaded ball with hair along and inside its edge."""
    canvas.ball(x, y, across, down, lighter(fur, 0.08), shine=0.0)
    for angle in rng.uniform(0, 2 * np.pi, 150):
        depth = rng.uniform(0.75, 1.0)
        start = (x + np.cos(angle) * across * depth, y + np.sin(angle) * down * depth)
        length = 1 + rng.uniform(0.03, 0.09)
        light = 0.5 - 0.35 * np.sin(angle + 0.6) * -1
        ink = mix(lighter(fur, 0.25), darker(fur, 0.45), float(np.clip(light + rng.normal(0, 0.1), 0, 1)))
        canvas.line([start, (x + (start[0] - x) * length, y + (start[1] - y) * length + 0.004)], ink, 0.003)


def _sitting_body(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, size: float, fur: Colour, stripe: Colour
) -> None:
    side = 1 if rng.random() < 0.5 else -1
    canvas.line(
        curve(
            [
                (x + side * size * 0.4, base - size * 0.1),
                (x + side * size * 1.3, base + size * 0.02),
                (x + side * size * 0.95, base - size * 0.5),
            ]
        ),
        darker(fur, 0.12),
        size * 0.15,
    )
    _fluff(canvas, rng, x, base - size * 0.42, size * 0.62, size * 0.46, fur)
    _fluff(canvas, rng, x, base - size * 0.72, size * 0.44, size * 0.58, fur)
    if stripe != fur:
        _stripes(canvas, rng, x, base - size * 0.85, base - size * 0.2, size * 0.52, stripe)
    chest = mix(fur, (250, 246, 240), 0.55)
    _fluff(canvas, rng, x, base - size * 0.72, size * 0.2, size * 0.34, chest)
    for paw in (-1, 1):
        canvas.rounded(
            x + paw * size * 0.17 - size * 0.1,
            base - size * 0.5,
            x + paw * size * 0.17 + size * 0.1,
            base,
            size * 0.09,
            fur,
        )
        canvas.ball(x + paw * size * 0.17, base - size * 0.05, size * 0.13, size * 0.09, chest, shine=0.0)


def _lying_body(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    base: float,
    size: float,
    side: int,
    fur: Colour,
    stripe: Colour,
) -> None:
    canvas.line(
        curve(
            [
                (x + side * size * 0.9, base - size * 0.2),
                (x + side * size * 1.7, base - size * 0.05),
                (x + side * size * 0.5, base - size * 0.03),
            ]
        ),
        darker(fur, 0.12),
        size * 0.15,
    )
    _fluff(canvas, rng, x + side * size * 0.55, base - size * 0.4, size * 0.55, size * 0.4, fur)
    _fluff(canvas, rng, x, base - size * 0.36, size * 1.0, size * 0.36, fur)
    for dx in np.linspace(-0.3, 0.8, 7):
        centre = x + side * dx * size
        canvas.polygon(
            [
                (centre - size * 0.03, base - size * 0.68),
                (centre + size * 0.05, base - size * 0.68),
                (centre + size * 0.05, base - size * 0.36),
            ],
            stripe,
        )
    for paw in (0.55, 0.85):
        canvas.ball(
            x - side * size * paw,
            base - size * 0.07,
            size * 0.2,
            size * 0.09,
            mix(fur, (250, 246, 240), 0.5),
            shine=0.0,
        )


def _head(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, fur: Colour, stripe: Colour
) -> None:
    for side in (-1, 1):
        canvas.polygon(
            [
                (x + side * size * 0.92, y - size * 0.1),
                (x + side * size * 0.85, y - size * 1.12),
                (x + side * size * 0.15, y - size * 0.62),
            ],
            fur,
        )
        canvas.polygon(
            [
                (x + side * size * 0.8, y - size * 0.32),
                (x + side * size * 0.77, y - size * 0.92),
                (x + side * size * 0.34, y - size * 0.6),
            ],
            (224, 160, 150),
        )
    _fluff(canvas, rng, x, y, size, size * 0.82, fur)
    for dx in (-0.26, 0.0, 0.26):
        canvas.polygon(
            [
                (x + dx * size - size * 0.05, y - size * 0.76),
                (x + dx * size + size * 0.05, y - size * 0.76),
                (x + dx * size * 0.7, y - size * 0.42),
            ],
            stripe,
        )
    for side in (-1, 1):
        canvas.ball(
            x + side * size * 0.2,
            y + size * 0.36,
            size * 0.26,
            size * 0.2,
            mix(fur, (250, 246, 240), 0.6),
            shine=0.0,
        )
    _eyes(canvas, rng, x, y, size)
    _muzzle(canvas, x, y, size, fur)


def _eyes(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    iris = pick(rng, [(160, 190, 70), (230, 180, 50), (110, 170, 200), (200, 140, 50)])
    for side in (-1, 1):
        eye_x, eye_y = x + side * size * 0.42, y - size * 0.04
        canvas.ellipse(eye_x, eye_y, size * 0.21, size * 0.17, (24, 20, 20))
        canvas.ellipse(eye_x, eye_y, size * 0.185, size * 0.145, iris)
        canvas.ellipse(eye_x, eye_y, size * rng.uniform(0.045, 0.1), size * 0.135, (10, 10, 12))
        canvas.disc(eye_x - size * 0.06, eye_y - size * 0.06, size * 0.035, (255, 255, 255))


def _muzzle(canvas: Canvas, x: float, y: float, size: float, fur: Colour) -> None:
    """Nose, mouth and whiskers."""
    canvas.polygon(
        [(x - size * 0.1, y + size * 0.2), (x + size * 0.1, y + size * 0.2), (x, y + size * 0.31)],
        (212, 120, 120),
    )
    for side in (-1, 1):
        canvas.line(
            curve(
                [
                    (x, y + size * 0.31),
                    (x + side * size * 0.06, y + size * 0.46),
                    (x + side * size * 0.2, y + size * 0.42),
                ],
                6,
            ),
            darker(fur, 0.7),
            size * 0.022,
        )
        for whisker in (-0.12, 0.02, 0.16):
            canvas.line(
                [
                    (x + side * size * 0.28, y + size * 0.34),
                    (x + side * size * 1.25, y + size * (0.34 + whisker * 1.6)),
                ],
                (246, 244, 240),
                size * 0.012,
            )


SCENES = (
    Scene(
        "cat",
        (
            "cat",
            "a cat on the sofa",
            "our cat looking at the camera",
            "a kitten by the window",
            "tabby cat resting at home",
            "pet cat portrait",
        ),
        cat,
    ),
)
