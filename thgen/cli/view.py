"""`python -m thgen view METHOD NAME`: a picture of its own that a method declares, such as a sheet of faces."""

from __future__ import annotations

import argparse

from thgen.io.files import check_output
from thgen.io.photo import write_png
from thgen.methods import METHODS, declaration_of
from thgen.request import ViewRequest


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `view`."""
    known = "; ".join(
        f"{method.name} {view.name}: {view.about} It takes {view.takes}."
        for method in METHODS.values()
        for view in method.views
    )
    p = subparsers.add_parser("view", allow_abbrev=False, help="make a picture that a method declares",
                              description="A sheet of pictures from photos and a clip.",
                              epilog=known or "No method declares a view.")  # fmt: skip
    p.add_argument("method", metavar="METHOD", help=", ".join(m.name for m in METHODS.values() if m.views) or None)
    p.add_argument("name", metavar="NAME", help="name of the view")
    p.add_argument("--photo", metavar="P", action="append", default=[], help="a photo; repeat it for further people")
    p.add_argument("--clip", metavar="C", help="a video, of which frames are shown")
    p.add_argument("--size", type=int, metavar="N", help="px of each picture, a multiple of 32 (default: 256)")
    p.add_argument("--device", metavar="D", help="cpu, cuda, ... (default: the best there is)")
    p.add_argument("--out", metavar="OUT.png", required=True, help="the sheet")
    return p


def run(args: argparse.Namespace) -> int:
    """Exit status. Raises ThgenError."""
    declaration_of(args.method).view(args.name)
    inputs = (*args.photo, *([args.clip] if args.clip else []))
    check_output(args.out, ".png", inputs=inputs)
    size = {} if args.size is None else {"size": args.size}
    request = ViewRequest(method=args.method, view=args.name, photos=tuple(args.photo), clip=args.clip, **size)
    from thgen.pipeline import Session  # late, because it imports torch, which takes seconds
    from thgen.views import make_view

    session = Session.load(request.method, args.device)
    print(write_png(args.out, make_view(request, session), inputs))
    return 0
