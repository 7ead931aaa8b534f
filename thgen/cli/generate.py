"""`python -m thgen generate`: flags and recipe -> Request -> mp4. Flags follow from the settings and the methods."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thgen import recipe as recipes
from thgen.declare import CLIP
from thgen.errors import ControlError, PhotoError, printable, shown
from thgen.io.files import check_output
from thgen.io.photo import write_png
from thgen.methods import METHODS
from thgen.recipe import SECOND, Recipe, SourceFile
from thgen.request import Request
from thgen.settings import (
    Controls,
    Flag,
    Keyframes,
    MethodName,
    OneOf,
    PerFactor,
    Settings,
    Whole,
    all_factors,
    default,
    per_factor,
    plain,
)

if TYPE_CHECKING:
    from thgen.pipeline import Result

OLD_FLAGS = {"--no-idle": "--no-live", "--undriven": "--others"}  # today's flag -> its old name, which still works


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `generate`."""
    p = subparsers.add_parser(
        "generate",
        allow_abbrev=False,
        help="make a talking video from a photo and a voice",
        description="A photo and a voice become a talking video (H.264 + AAC, 25 fps).",
        epilog=" ".join(_controls_of(name) for name in METHODS),
    )
    most = max(method.max_photos for method in METHODS.values())
    more = "" if most == 1 else f"; repeat it for up to {most} photos of the same person"
    p.add_argument("--photo", metavar="P", action="append", default=[], help=f"photo of one or more people{more}")
    p.add_argument("--audio", metavar="A", help="voice: wav, mp3, m4a, flac, ogg, ... or a video with sound")
    p.add_argument("--clip", metavar="CLIP", help="video or picture that drives all that has no clip of its own; "
                   "what a voice drives is left to the voice")  # fmt: skip
    for name, factor in all_factors().items():
        if CLIP in factor.sources:
            p.add_argument(f"--{name}", metavar="CLIP", help=f"video or picture that drives: {factor.label.lower()}")
    for name, factor in all_factors().items():
        if factor.blends:
            p.add_argument(f"--{name}-to", metavar="CLIP", help=f"a second source for {name}, see --blend")
    p.add_argument("--set", action="append", default=[], metavar="CONTROL=VALUE", help="e.g. --set pose.yaw=10")
    for name, each in per_factor().items():
        _add_per_factor(p, name, each)
    for name, (model, spec) in plain().items():
        _add_plain(p, name, spec, default(model, name))
    p.add_argument(
        "--recipe", metavar="IN.json", help="settings and files of an earlier video; other flags override it"
    )
    p.add_argument("--save-recipe", metavar="OUT.json", help="write all that makes this video again")
    p.add_argument("--landmarks", choices=("analyser", "fan"), default="analyser", help="where landmarks come from")
    p.add_argument("--device", metavar="D", help="cpu, cuda, ... (default: the best there is)")
    p.add_argument("--still", metavar="OUT.png", help="write one still with the sliders applied")
    p.add_argument("--out", metavar="O.mp4", help="the video")
    return p


def _controls_of(name: str) -> str:
    """Help on the controls of a method for --set. It refers to the first method if the controls are the same."""
    method, first = METHODS[name], next(iter(METHODS.values()))
    if method.controls == first.controls and method is not first:
        return f"With {name}: the same."
    known = ", ".join(f"{c.key} {c.range}" for c in method.controls if method is first or c not in first.controls)
    beside = " the same, and" if method is not first and set(first.controls) < set(method.controls) else ""
    return f"--set with {name}:{beside} {known or 'nothing'}."


def _names(flag: str) -> list[str]:
    return [flag, *([OLD_FLAGS[flag]] if flag in OLD_FLAGS else [])]


def _add_per_factor(parser: argparse.ArgumentParser, name: str, each: PerFactor) -> None:
    """--strength FACTOR=VALUE, --blend FACTOR=T, --no-idle FACTOR."""
    able = [factor.name for factor in all_factors().values() if each.applies(factor)]
    if isinstance(each.value, Flag):
        parser.add_argument(*_names(f"--no-{name}"), dest=name, action="append", default=[], choices=able,
                            metavar="FACTOR", help=f"keep still when nothing drives it: {', '.join(able)}")  # fmt: skip
    elif isinstance(each.value, Keyframes):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="FACTOR=T", help="how far between two "
                            "sources, 0 to 1, or keyframes second:t, e.g. --blend expression=0:0,2:1 (default: "
                            f"{each.neutral[0][1]:g})")  # fmt: skip
    else:
        parser.add_argument(f"--{name}", action="append", default=[], metavar="FACTOR=VALUE",
                            help=f"{each.value.low:g} to {each.value.high:g}, e.g. --{name} lip=1.2 "
                            f"(default: {each.neutral:g})")  # fmt: skip


def _add_plain(parser: argparse.ArgumentParser, name: str, spec: Any, value: Any) -> None:
    """--seed N, --motion NAME, --no-paste-back."""
    flag = "--" + name.replace("_", "-")
    if isinstance(spec, Flag):
        on = f"--no-{flag[2:]}" if value else flag
        parser.add_argument(on, dest=name, action="store_const", const=not value, help=spec.info)
    elif isinstance(spec, Whole):
        parser.add_argument(flag, type=int, metavar="N", help=f"{spec.label.lower()}: {spec.info} (default: {value})")
    elif isinstance(spec, OneOf):
        parser.add_argument(*_names(flag), dest=name, choices=spec.options, help=f"{spec.info} (default: {value})")
    elif isinstance(spec, MethodName):
        parser.add_argument(flag, metavar="M", help=f"{', '.join(METHODS)} (default: {value})")
    else:
        raise TypeError(f"no flag for {name}: {spec}")


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
    request = _request(recipe, files)
    from thgen import pipeline  # late, because it imports torch, which takes seconds

    session = pipeline.Session.load(request.method, args.device, args.landmarks)
    if args.still:
        write_png(args.still, pipeline.preview(request, session))
        print(args.still)
    if args.out:
        _say(_render(request, session, args.out))
    if args.save_recipe:
        sources = {role: SourceFile.of(path) for role, path in files.items()}
        recipes.save(recipe.but(files=sources), args.save_recipe)
    return 0


def merged(args: argparse.Namespace) -> tuple[Recipe, dict[str, str]]:
    """Settings, and role -> path of every file. Flags override the recipe. Raises ControlError."""
    base = recipes.load(args.recipe) if args.recipe else Recipe()
    given = {name: value for name in plain() if (value := getattr(args, name)) is not None}
    controls: dict[str, Any] = {
        "values": {**base.controls.values, **_pairs("--set", args.set, "NAME=VALUE, for example pose.yaw=10")},
        **{name: {**getattr(base.controls, name), **_flags(name, each, getattr(args, name))}
           for name, each in per_factor().items()},
        **{name: given.pop(name, getattr(base.controls, name))
           for name, (model, _) in plain().items() if model is Controls},
    }  # fmt: skip
    settings = {name: getattr(base, name) for name in Settings.model_fields if name != "controls"}
    photos = {"photo" if n == 1 else f"photo_{n}": path for n, path in enumerate(args.photo, 1)}
    files = {role: path for role in recipes.roles() if role != "photo" and (path := getattr(args, role, None))} | photos
    for role, source in base.files.items():
        if role not in files and not (photos and role.startswith("photo")):
            files[role] = source.path
            if source.there() and not source.unchanged():
                print(printable(f"thgen: {source.path} is not the file that the recipe was made with"), file=sys.stderr)
    return Recipe(**{**settings, **given, "controls": controls}), files


def _flags(name: str, each: PerFactor, items: Sequence[str]) -> dict[str, Any]:
    if isinstance(each.value, Flag):
        return dict.fromkeys(items, not each.neutral)
    return _pairs(f"--{name}", items, f"FACTOR=VALUE, for example {'expression=0.5' if name == 'blend' else 'lip=1.2'}")


def _pairs(flag: str, items: Sequence[str], example: str) -> dict[str, str]:
    """["pose.yaw=10", ...] -> {"pose.yaw": "10"}; names and values are checked by Settings. Raises ControlError."""
    if wrong := [item for item in items if "=" not in item]:
        raise ControlError(f"{flag} takes {example}, not {shown(wrong[0])}.")
    return {key.strip(): value for key, _, value in (item.partition("=") for item in items)}


def _request(recipe: Recipe, files: dict[str, str]) -> Request:
    factors = all_factors()
    photos = [path for role, path in sorted(files.items()) if role == "photo" or role.startswith("photo_")]
    return Request(
        photo=photos[0],
        more_photos=tuple(photos[1:]),
        audio=files.get("audio"),
        clip=files.get("clip"),
        drivers={role: path for role, path in files.items() if role in factors},
        second_sources={role.removesuffix(SECOND): p for role, p in files.items() if role.removesuffix(SECOND) != role},
        **{name: getattr(recipe, name) for name in Settings.model_fields},
    )


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
