"""Scenes in high and rocky country: snowy mountains, a waterfall, desert dunes."""

import numpy as np
from PIL import Image

from photolineage.demo.scenes.canvas import Canvas, Point, Sketch, curve
from photolineage.demo.scenes.colour import Colour, darker, even, lighter, mix, pick, varied
from photolineage.demo.scenes.noise import Field, ridge, smoothstep
from photolineage.demo.scenes.props import clouds, foliage, hills, pine, snowy_pine
from photolineage.demo.scenes.scene import Scene

MOUNTAIN_SKIES = (
    even("1f5fae", "7fb4e4", "dceefa"),
    even("2f4f8f", "9fb0d8", "f6d9c8"),
    even("8fa3b8", "c4d0da", "eceff2"),
    even("3a3f78", "b07aa0", "ffc9a0"),
    even("0f4a9a", "4f93d6", "b8dcf6"),
)


def _snow_range(
    canvas: Canvas, rng: np.random.Generator, base: float, height: float, haze: Colour, far: float
) -> None:
    """A range of overlapping peaks, lit from the left, with bare rock where the snow does not hold."""
    lit, shade = mix((250, 251, 254), haze, 0.6 * far), mix((134, 160, 204), haze, far)
    body, shadow = canvas.stencil(), canvas.stencil()
    peaks = int(rng.integers(4, 7))
    middles = (np.arange(peaks) + rng.uniform(0.1, 0.9, peaks)) / peaks * canvas.aspect
    tall = height * rng.uniform(0.55, 1.0, peaks)
    tall[rng.integers(peaks)] = height
    for peak in np.argsort(tall):
        x, top = float(middles[peak]), base - float(tall[peak])
        reach = float(tall[peak]) * rng.uniform(0.95, 1.5)
        left = _slope(rng, (x, top), (x - reach, base + 0.02), 0.16)
        right = _slope(rng, (x, top), (x + reach, base + 0.02), 0.16)
        spine = _slope(rng, (x, top), (x + reach * rng.uniform(-0.15, 0.35), base + 0.02), 0.5)
        body.polygon([*reversed(left), *right], 255)
        shadow.polygon([*reversed(left), *spine], 0)
        shadow.polygon([*reversed(spine), *right], 255)
        for start, way in ((4, -1), (8, -1), (7, 1), (12, 1)):
            foot = (
                spine[start][0] + way * reach * 0.3,
                min(base, spine[start][1] + float(tall[peak]) * 0.42),
            )
            spur = _slope(rng, spine[start], foot, 0.3)
            shadow.polygon(
                [spine[start], *spur, (foot[0] + reach * 0.1, foot[1]), (spine[start][0], foot[1])],
                255 if way < 0 else 0,
            )
    canvas.fill(body, lit)
    canvas.fill(shadow, shade)
    grain = canvas.noise(rng, (12, 16), octaves=5, persistence=0.75, detail=3)
    relief = np.gradient(grain, axis=1) * 8
    canvas.veil(mix(lit, (255, 255, 255), 0.5), np.clip(relief, 0, 1) * 0.5 * _inside(body, grain))
    canvas.veil(darker(shade, 0.25), np.clip(-relief, 0, 1) * 0.5 * _inside(body, grain))
    rock = smoothstep(grain + 0.35 * np.abs(relief), 0.68, 0.78) * _inside(body, grain)
    canvas.veil(mix((78, 80, 94), haze, far), rock * (0.9 - 0.5 * far))


def _slope(rng: np.random.Generator, start: Point, end: Point, roughness: float) -> list[Point]:
    """A jagged line from a peak downwards, of 17 points."""
    share = np.linspace(0, 1, 17)
    offset = (ridge(rng, 17, roughness=0.7) - 0.5) * np.sin(np.pi * share) * roughness * (end[1] - start[1])
    across = start[0] + (end[0] - start[0]) * share + offset
    down = start[1] + (end[1] - start[1]) * share**0.92
    return list(zip(across.tolist(), down.tolist(), strict=True))


def _inside(stencil: Sketch, like: Field) -> Field:
    """The stencil as a field of the same shape as another."""
    small = stencil.image.resize((like.shape[1], like.shape[0]), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float32) / np.float32(255)


def snowy_mountains(canvas: Canvas, rng: np.random.Generator) -> None:
    """Snow-covered peaks behind a snowfield with conifers."""
    sky = pick(rng, MOUNTAIN_SKIES)
    canvas.gradient(sky, bottom=0.75)
    clouds(canvas, rng, 0.6, cover=rng.uniform(0.2, 0.5), flat=2)
    haze = sky[-1][1]
    base = rng.uniform(0.6, 0.75)
    _snow_range(canvas, rng, base - 0.06, rng.uniform(0.2, 0.35), haze, 0.5)
    _snow_range(canvas, rng, base + 0.06, rng.uniform(0.36, 0.56), haze, 0.06)
    lake = rng.random() < 0.3
    hills(canvas, rng, canvas.aspect, base + 0.06, 0.05, mix((40, 62, 70), haze, 0.25), roughness=0.62)
    if lake:
        canvas.mirror(rng, base + 0.08, tint=(40, 80, 120), ripple=0.006, opacity=0.3)
    else:
        _snowfield(canvas, rng, base + 0.08)
    colour = varied(rng, (34, 62, 56), 6)
    for base_y in np.sort(rng.uniform(base + 0.1, 1.08, int(rng.integers(0, 16)))):
        place = rng.beta(0.5, 0.5) * canvas.aspect
        tree = snowy_pine if not lake and rng.random() < 0.7 else pine
        tree(
            canvas,
            rng,
            float(place),
            float(base_y),
            0.1 + 0.5 * float(base_y - base) * rng.uniform(0.6, 1.3),
            colour,
        )
    if rng.random() < 0.3:
        _cabin(
            canvas,
            canvas.aspect * rng.uniform(0.2, 0.8),
            base + rng.uniform(0.14, 0.2),
            rng.uniform(0.08, 0.13),
        )


def _snowfield(canvas: Canvas, rng: np.random.Generator, top: float) -> None:
    drifts = canvas.stencil()
    hills(drifts, rng, canvas.aspect, top + 0.02, 0.05, 255, roughness=0.35)
    field = canvas.noise(rng, (7, 3), octaves=4)
    canvas.texture(drifts, field, [(0.2, (176, 196, 226)), (0.6, (236, 242, 250)), (1, (252, 253, 255))])
    if rng.random() < 0.4:
        x = canvas.aspect * rng.uniform(0.3, 0.7)
        track = curve([(x, top + 0.04), (x + rng.normal(0, 0.3), 0.85), (x + rng.normal(0, 0.4), 1.02)])
        for offset in (0, 0.022):
            canvas.line([(px + offset, py) for px, py in track], (166, 186, 218), 0.006)


def _cabin(canvas: Canvas, x: float, base: float, size: float) -> None:
    canvas.rectangle(x - size, base - size * 0.8, x + size, base, (104, 68, 44))
    for plank in range(5):
        canvas.line(
            [(x - size, base - size * 0.16 * plank), (x + size, base - size * 0.16 * plank)],
            (78, 50, 34),
            0.002,
        )
    canvas.polygon(
        [
            (x - size * 1.25, base - size * 0.72),
            (x, base - size * 1.6),
            (x + size * 1.25, base - size * 0.72),
        ],
        (246, 249, 253),
    )
    for side in (-0.5, 0.45):
        canvas.rectangle(
            x + size * side - 0.014,
            base - size * 0.6,
            x + size * side + 0.018,
            base - size * 0.25,
            (255, 214, 120),
        )
        canvas.glow(x + size * side, base - size * 0.4, size * 0.5, (255, 190, 90), strength=0.4)


def waterfall(canvas: Canvas, rng: np.random.Generator) -> None:
    """White water falling down a mossy cliff into a pool."""
    rock = pick(
        rng,
        [
            even("20262a", "4a5454", "7d8680"),
            even("2a241f", "5c5146", "8e8070"),
            even("1c2620", "46584a", "788c70"),
        ],
    )
    face = canvas.noise(rng, (5, 16), octaves=6, persistence=0.65)
    canvas.texture(None, face, rock)
    moss = canvas.noise(rng, (6, 7), octaves=5)
    canvas.veil(varied(rng, (58, 112, 48), 10), smoothstep(moss, 0.5, 0.7) * 0.8)
    top, pool = rng.uniform(0.08, 0.22), rng.uniform(0.72, 0.84)
    canvas.gradient(pick(rng, [even("9fc4e0", "e4f0f6"), even("d5dde0", "f0f2f2")]), bottom=top * 0.5)
    for _ in range(26):
        foliage(
            canvas,
            rng,
            rng.uniform(0, canvas.aspect),
            rng.uniform(0, top),
            0.1,
            0.07,
            varied(rng, (62, 118, 50), 14),
            leaves=60,
        )
    middle = canvas.aspect * rng.uniform(0.35, 0.65)
    canvas.gradient(even("4a8a8c", "1f5a62", "143c44"), top=pool)
    for fall in range(int(rng.integers(1, 4))):
        x = middle + (rng.normal(0, 0.28) if fall else 0.0)
        _fall(canvas, rng, float(x), top + rng.uniform(-0.02, 0.06), pool, rng.uniform(0.1, 0.2) / (1 + fall))
    _pool(canvas, rng, pool)
    for side in (0.0, canvas.aspect):
        for _ in range(int(rng.integers(2, 6))):
            foliage(
                canvas,
                rng,
                side + rng.normal(0, 0.08),
                rng.uniform(0.3, 1.0),
                0.13,
                0.1,
                varied(rng, (70, 130, 54), 16),
                leaves=120,
            )


def _pool(canvas: Canvas, rng: np.random.Generator, pool: float) -> None:
    """Glints on the water, and boulders in it."""
    for _ in range(70):
        x, y = rng.uniform(0, canvas.aspect), pool + (1 - pool) * rng.random()
        canvas.line(
            [(x, y), (x + rng.uniform(0.02, 0.12), y)],
            mix((180, 220, 220), (40, 100, 104), rng.random()),
            0.003,
        )
    for _ in range(int(rng.integers(5, 12))):
        x, size = rng.beta(0.5, 0.5) * canvas.aspect, rng.uniform(0.03, 0.1)
        canvas.ball(x, rng.uniform(pool, 1.0), size * 1.4, size, varied(rng, (92, 96, 90), 5), shine=0.1)


def _fall(canvas: Canvas, rng: np.random.Generator, x: float, top: float, pool: float, width: float) -> None:
    body = canvas.stencil()
    body.polygon(
        [
            (x - width * 0.35, top),
            (x + width * 0.35, top),
            (x + width * 0.62, pool + 0.02),
            (x - width * 0.62, pool + 0.02),
        ],
        255,
    )
    canvas.fill(body, (206, 224, 232), opacity=0.85, blur=0.01)
    for _ in range(90):
        share = rng.uniform(-0.5, 0.5)
        start = top + (pool - top) * rng.random() * 0.7
        end = min(pool, start + rng.uniform(0.08, 0.35))
        spread = [0.7 + 0.55 * (y - top) / (pool - top) for y in (start, end)]
        ink = mix((150, 182, 196), (255, 255, 255), rng.random())
        canvas.line(
            [(x + share * width * spread[0], start), (x + share * width * spread[1], end)],
            ink,
            rng.uniform(0.001, 0.006),
        )
    canvas.glow(x, pool, 0.16, (235, 245, 250), strength=0.85, stretch=1.0 + width * 4, falloff=1.4)


def desert_dunes(canvas: Canvas, rng: np.random.Generator) -> None:
    """Sand dunes with sharp crests, sometimes with a caravan."""
    canvas.gradient(
        pick(
            rng,
            [
                even("2f78c4", "8fc0e6", "f0e2c4"),
                even("6a4a7a", "e08a5a", "ffd68a"),
                even("4a90d0", "b0d4ea", "f6ead0"),
            ],
        ),
        bottom=0.62,
    )
    if rng.random() < 0.6:
        sun_x, sun_y = canvas.aspect * rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.34)
        canvas.glow(sun_x, sun_y, 0.35, (255, 236, 180), strength=0.8)
        canvas.disc(sun_x, sun_y, 0.034, (255, 252, 230))
    sand = pick(rng, [(226, 164, 92), (214, 136, 72), (234, 190, 128), (204, 116, 66)])
    layers = int(rng.integers(3, 6))
    first = rng.uniform(0.4, 0.52)
    caravan_layer = int(rng.integers(1, layers)) if rng.random() < 0.6 else -1
    for layer in range(layers):
        near = layer / (layers - 1)
        crest = _dune(canvas, rng, first + 0.42 * near**1.3, 0.06 + 0.17 * near, sand, 1 - near)
        if layer == caravan_layer:
            _caravan(canvas, rng, crest, 0.03 + 0.05 * near)


def _dune(
    canvas: Canvas, rng: np.random.Generator, base: float, height: float, sand: Colour, far: float
) -> Field:
    """One dune: a smooth crest, sunlit windward slope, shaded slip face, ripples; the crest's heights."""
    columns = 160
    across = np.linspace(0, canvas.aspect, columns)
    phase, length = rng.uniform(0, 6.28), rng.uniform(2.4, 4.5)
    wave = (across * length + phase) / (2 * np.pi) % 1.0
    rise = np.where(wave < 0.68, wave / 0.68, (1 - wave) / 0.32) ** 1.25
    crest = base - height * rise * (0.75 + 0.25 * np.sin(across * 1.7 + phase))
    haze = mix(sand, (244, 226, 196), 0.6 * far)
    stencil = canvas.stencil()
    stencil.polygon(
        [*zip(across.tolist(), crest.tolist(), strict=True), (canvas.aspect, 1.01), (0, 1.01)], 255
    )
    ripples = canvas.noise(rng, (46, 9), octaves=3, persistence=0.6)
    canvas.texture(stencil, ripples, [(0, darker(haze, 0.14)), (0.5, haze), (1, lighter(haze, 0.18))])
    for peak in np.flatnonzero((wave[:-1] < 0.68) & (wave[1:] >= 0.68)).tolist():
        reach = height * rng.uniform(1.2, 2.4)
        end = min(columns - 1, peak + int(columns * 0.32 * 2 * np.pi / length / canvas.aspect))
        slip = canvas.stencil()
        edge = list(zip(across[peak : end + 1].tolist(), crest[peak : end + 1].tolist(), strict=True))
        inner = curve(
            [
                (across[peak], crest[peak]),
                (across[peak] - reach * 0.05, crest[peak] + reach * 0.5),
                (across[end] + reach * 0.2, crest[end] + reach),
            ]
        )
        slip.polygon([*edge, *reversed(inner)], 255)
        canvas.fill(slip, darker(mix(haze, (110, 60, 60), 0.3), 0.3), opacity=0.75, blur=0.002)
    return crest.astype(np.float32)


def _caravan(canvas: Canvas, rng: np.random.Generator, crest: Field, size: float) -> None:
    start, ink = rng.uniform(0.15, 0.5) * canvas.aspect, (58, 34, 30)
    for camel in range(int(rng.integers(2, 6))):
        x = start + camel * size * 2.3
        y = float(np.interp(x, np.linspace(0, canvas.aspect, len(crest)), crest)) + size * 0.12
        for leg in (-0.5, -0.35, 0.4, 0.55):
            canvas.line(
                [(x + leg * size, y - size * 0.7), (x + (leg + rng.normal(0, 0.07)) * size, y)],
                ink,
                size * 0.1,
            )
        canvas.ellipse(x, y - size * 0.85, size * 0.75, size * 0.3, ink)
        canvas.ellipse(x - size * 0.1, y - size * 1.15, size * 0.3, size * 0.28, ink)
        canvas.line(
            curve(
                [
                    (x + size * 0.6, y - size * 0.85),
                    (x + size * 1.0, y - size * 0.7),
                    (x + size * 0.98, y - size * 1.4),
                ],
                6,
            ),
            ink,
            size * 0.15,
        )
        canvas.ellipse(x + size * 1.1, y - size * 1.42, size * 0.22, size * 0.11, ink)


SCENES = (
    Scene(
        "snowy_mountains",
        (
            "snowy mountains",
            "mountains covered in snow",
            "alpine peaks in winter",
            "a ski trip in the mountains",
            "snow on the summit",
            "winter landscape with pine trees",
        ),
        snowy_mountains,
    ),
    Scene(
        "waterfall",
        (
            "waterfall",
            "a waterfall in the rocks",
            "water falling down a mossy cliff",
            "cascade into a pool",
            "waterfall in the gorge",
        ),
        waterfall,
    ),
    Scene(
        "desert_dunes",
        (
            "desert dunes",
            "sand dunes",
            "camels in the desert",
            "a caravan crossing the Sahara",
            "desert sand under the sun",
        ),
        desert_dunes,
    ),
)
