"""Declaration of SPEAK's preset "paper"."""

from dataclasses import replace

from thgen.declare import AUDIO, CLIP, Choice, Declaration, Factor, Slider
from thgen.schema import EMOTIONS, FACTORS

CODE = 512  # entries of each code (deviation 2)
CLIP_FPS = 30  # section 4.1
OWN = "own"  # the emotion of the photo, or of the clip
NAME, STRENGTH = "emotion.name", "emotion.strength"
STRONGEST = 1.0  # strength of an emotion that is used at most: 1 is the mean of its class


def mix_key(emotion: str) -> str:
    """Key of the slider of an emotion in a mix."""
    return f"emotion.{emotion}"


def _latent(name: str, source: str, info: str) -> Factor:
    """A common factor as a latent: no unit, no relative motion, no idle motion."""
    return replace(
        FACTORS[name], size=CODE, unit=None, dims=(), limits=(), sources=(source,), relative=False, rest=None,
        idle=False, info=info,
    )  # fmt: skip


def _controls() -> tuple[Choice | Slider, ...]:
    """An emotion by name and strength, and a mix."""
    place = "expression"
    mix = (Slider(mix_key(name), name.capitalize(), place, "", 0, 1, 0, 0.05, f"share of {name} in a mix")
           for name in EMOTIONS)  # fmt: skip
    return (
        Choice(NAME, "Emotion", place, (OWN, *EMOTIONS), OWN, "by name; a clip's emotion is changed by as much"),
        Slider(STRENGTH, "Strength of the emotion", place, "", 0, 2, STRONGEST, 0.05,
               "0: the photo's own, 1: the mean of the class; more than 1 counts as 1"),
        *mix,
    )  # fmt: skip


# Its generator has no input besides the latents, so common sliders and idle motion are impossible.
SPEAK_PAPER = Declaration(
    name="speak.paper",
    label="SPEAK (paper)",
    about="Listen, Disentangle, and Control: Controllable Speech-Driven Talking Head Generation (Cai et al., 2024), "
    "with the networks of the paper, at 256 px.",
    method="thgen.methods.speak.paper:PaperSpeak",
    factors=(
        _latent("lip", AUDIO, "from a voice; without one, the lips of silence"),
        _latent("pose", CLIP, "of the head"),
        replace(_latent("expression", CLIP, "of the whole face, by clip or by name"), label="Emotion"),
    ),
    controls=_controls(),
    weights=tuple(f"speak_paper_{name}" for name in (
        "identity", "emotion", "pose", "voice", "editing", "generator")),
    weights_from="train it: python -m thgen train speak --preset paper",
    clip_fps=CLIP_FPS,
)  # fmt: skip
