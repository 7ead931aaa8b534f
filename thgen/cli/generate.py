"""`python -m thgen generate`: flags and recipe -> Request -> mp4."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from thgen import recipe as recipes
from thgen.errors import ControlError, PhotoError, printable, shown
from thgen.io.files import check_output
from thgen.io.photo import write_png
from thgen.recipe import Recipe, SourceFile
from thgen.request import Request
from thgen.schema import CONTROLS, FACTORS, MOTIONS, OTHERS, Controls

if TYPE_CHECKING:
    from thgen.pipeline import Result

CLIP_FACTORS = tuple(name for name, factor in FACTORS.items() if "clip" in factor.drivers)
BLEND_FACTORS = tuple(name for name, factor in FACTORS.items() if factor.blends)
LIVE_FACTORS = tuple(name for name, factor in FACTORS.items() if factor.live)
T = TypeVar("T")


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `generate`; the flags of factors and controls come from the schema."""
    p = subparsers.add_parser(
        "generate",
        allow_abbrev=False,
        help="make a talking video from a photo and a voice",
        description="A photo and a voice become a talking video (H.264 + AAC, 25 fps).",
        epilog="Sliders for --set: " + ", ".join(f"{c.key} {c.low:g}..{c.high:g}" for c in CONTROLS.values()) + ".",
    )
    p.add_argument("--photo", metavar="P", help="photo of one or more people")
    p.add_argument("--audio", metavar="A", help="voice: wav, mp3, m4a, flac, ogg, ... or a video with sound")
    for name in CLIP_FACTORS:
        p.add_argument(f"--{name}", metavar="CLIP", help=f"video or picture that drives: {FACTORS[name].label.lower()}")
    for name in BLEND_FACTORS:
        p.add_argument(f"--{name}-to", metavar="CLIP", help=f"a second source for {name}, see --blend")
    p.add_argument("--method", help="how to animate (default: rig)")
    p.add_argument("--set", action="append", default=[], metavar="CONTROL=VALUE", help="e.g. --set pose.yaw=10")
    p.add_argument("--strength", action="append", default=[], metavar="FACTOR=GAIN", help="e.g. --strength lip=1.2")
    p.add_argument("--blend", action="append", default=[], metavar="FACTOR=T", help="how far between two sources, 0 to "
                   "1, or keyframes second:t, e.g. --blend expression=0:0,2:1 (default: 0.5)")  # fmt: skip
    p.add_argument("--no-live", action="append", default=[], choices=LIVE_FACTORS, metavar="FACTOR",
                   help=f"keep still when nothing drives it: {', '.join(LIVE_FACTORS)}")  # fmt: skip
    p.add_argument("--motion", choices=MOTIONS, help="a clip's motion is added to the photo's own, or replaces it")
    p.add_argument("--others", choices=OTHERS, help="what nothing drives stays the photo's own, or is zero: the "
                   "canonical position of methods with latents of their own")  # fmt: skip
    p.add_argument("--seed", type=int, metavar="N", help="of blinks, saccades and idle motion (default: 0)")
    p.add_argument("--face", type=int, metavar="N", help="which face of the photo, 0 = the largest (default)")
    p.add_argument("--size", type=int, metavar="PX", help="of the generated crop, a multiple of 32 (default: 512)")
    p.add_argument("--max-side", type=int, metavar="PX", help="longer side of the whole picture (default: 1080)")
    p.add_argument("--no-paste-back", action="store_true", help="give the square crop instead of the whole photo")
    p.add_argument(
        "--recipe", metavar="IN.json", help="settings and files of an earlier video; other flags override it"
    )
    p.add_argument("--save-recipe", metavar="OUT.json", help="write all that makes this video again")
    p.add_argument("--landmarks", choices=("analyser", "fan"), default="analyser", help="where landmarks come from")
    p.add_argument("--device", metavar="D", help="cpu, cuda, ... (default: the best there is)")
    p.add_argument("--still", metavar="OUT.png", help="write one still with the sliders applied")
    p.add_argument("--out", metavar="O.mp4", help="the video")
    return p


def run(args: argparse.Namespace) -> int:
    """Exit status. Raises ThgenError."""
    recipe, files = merged(args)
    if "photo" not in files:
        raise PhotoError("There is no photo: give one with --photo.")
    if not args.out and not args.still:
        raise ControlError("There is nothing to write: give --out O.mp4, or --still OUT.png.")
    for path, suffix in ((args.out, ".mp4"), (args.still, ".png"), (args.save_recipe, ".json")):
        if path:
            check_output(path, suffix, inputs=files.values())
    from thgen import pipeline  # seconds: torch comes with it

    request = _request(recipe, files)
    session = pipeline.Session.load(request.method, args.device, args.landmarks)
    if args.still:
        write_png(args.still, pipeline.preview(request, session))
        print(args.still)
    if args.out:
        _say(_render(request, session, args.out))
    if args.save_recipe:
        sources = {role: SourceFile.of(path) for role, path in files.items()}
        recipes.save(replace(recipe, files=sources), args.save_recipe)
    return 0


def merged(args: argparse.Namespace) -> tuple[Recipe, dict[str, str]]:
    """Recipe and flags, flags winning: the settings, and role -> path of every file. Raises ControlError."""
    base = recipes.load(args.recipe) if args.recipe else Recipe()
    old = base.controls
    controls = Controls(
        values={**old.values, **_pairs("--set", args.set)},
        strength={**old.strength, **_pairs("--strength", args.strength)},
        live={**old.live, **dict.fromkeys(args.no_live, False)},
        motion=args.motion or old.motion,
        others=args.others or old.others,
        blend={**old.blend, **_texts("--blend", args.blend)},
    )
    settings = Recipe(
        method=args.method or base.method,
        seed=_given(args.seed, base.seed),
        face=_given(args.face, base.face),
        size=_given(args.size, base.size),
        paste_back=base.paste_back and not args.no_paste_back,
        max_side=_given(args.max_side, base.max_side),
        controls=controls,
    )
    files = {role: path for role in recipes.ROLES if (path := getattr(args, role, None))}
    for role, source in base.files.items():
        if role not in files:
            files[role] = source.path
            if source.there() and not source.unchanged():
                print(printable(f"thgen: {source.path} is not the file that the recipe was made with"), file=sys.stderr)
    return settings, files


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value


def _pairs(flag: str, items: Sequence[str]) -> dict[str, float]:
    """["pose.yaw=10", ...] -> {"pose.yaw": 10.0}; names and ranges are checked by Controls. Raises ControlError."""
    result = {}
    for item in items:
        key, _, value = item.partition("=")
        try:
            result[key.strip()] = float(value)
        except ValueError:
            raise ControlError(f"{flag} takes NAME=NUMBER, for example pose.yaw=10, not {shown(item)}.") from None
    return result


def _texts(flag: str, items: Sequence[str]) -> dict[str, str]:
    """["expression=0:0,2:1", ...] -> {"expression": "0:0,2:1"}, which Controls checks. Raises ControlError."""
    if wrong := [item for item in items if "=" not in item]:
        raise ControlError(f"{flag} takes FACTOR=T, for example expression=0.5, not {shown(wrong[0])}.")
    return {key.strip(): value for key, _, value in (item.partition("=") for item in items)}


def _request(recipe: Recipe, files: dict[str, str]) -> Request:
    drivers = {role: path for role, path in files.items() if role in FACTORS}
    toward = {role.removesuffix(recipes.TOWARD): path for role, path in files.items() if role.endswith(recipes.TOWARD)}
    return Request(files["photo"], files.get("audio"), drivers, recipe.controls, recipe.method, recipe.seed,
                   recipe.face, recipe.size, recipe.paste_back, recipe.max_side, toward)  # fmt: skip


def _render(request: Request, session: object, out: str) -> Result:
    from tqdm import tqdm

    from thgen import pipeline

    bar_format = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, bar_format=bar_format, disable=None, leave=False) as bar:  # None: only on a terminal

        def report(fraction: float, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(max(fraction - bar.n, 0.0))

        return pipeline.render_video(request, out, report, session)  # type: ignore[arg-type]


def _say(result: Result) -> None:
    speed = result.elapsed / result.seconds
    print(f"{result.path}: {result.seconds:.2f} s, {result.frames} frames; {result.elapsed:.1f} s of work, "
          f"{speed:.2f} s per second of video; method {result.method}, seed {result.seed}")  # fmt: skip
    for weights in result.weights:
        print(f"  {weights.get('text', weights.get('name'))}")
    for warning in result.warnings:
        print(f"thgen: {warning}", file=sys.stderr)
