"""A method of the tests alone, as data: factors of its own, a named choice, three photos, slow small clips."""

from thgen.declare import Choice, Declaration, Factor, Slider, View

TINT, GLOW = "toy_tint", "toy_glow"

TOY = Declaration(
    name="toy",
    label="Toy",
    about="Colours a photo: a latent tint from a clip or a voice, a glow in percent.",
    method="tests.toy.method:Toy",
    factors=(
        Factor(
            TINT, "Tint", 3, sources=("audio", "clip"), blends=True, zero="no tint", info="a latent of three numbers"
        ),
        Factor(GLOW, "Glow", 1, "%", ("level",), ("clip",), limits=((0, 100),), info="how bright the photo is"),
    ),
    controls=(
        Choice("toy.mood", "Mood", TINT, ("plain", "warm", "cold"), "plain", "a colour by name"),
        Slider("toy.mood_strength", "Strength of the mood", TINT, "", 0, 1, 1, 0.05),
    ),
    weights=(),
    max_photos=3,
    clip_size=64,
    clip_fps=10,
    views=(View("negative", "Negatives", "Faces above their negatives.", photos=(0, 3), frames=2),),
)
