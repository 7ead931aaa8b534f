"""`python -m thgen COMMAND`: finds the command, runs it, and turns typed errors into one line and exit status 2."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

from thgen import logs
from thgen.errors import ThgenError, typed

LOG = logging.getLogger("thgen")
VERBOSE = "--verbose"

# command -> (module with add_parser(subparsers) and run(args), one line of help, extra that it may need)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "generate": ("thgen.cli.generate", "make a talking video from a photo and a voice", ""),
    "view": ("thgen.cli.view", "make a picture that a method declares, such as a sheet of faces", ""),
    "train": ("thgen.cli.train", "train the networks of a method, stage by stage", "train"),
    "render": ("thgen.cli.render", "render clips of synthetic people with their true factors", "train"),
    "weights": ("thgen.cli.weights", "list, fetch, verify or push the weights", ""),
    "evaluate": ("thgen.cli.evaluate", "measure a method", "eval"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 after a typed error, 1 after a fault of thgen, 130 when
    interrupted."""
    words, verbose = _without_verbose(list(sys.argv[1:] if argv is None else argv))
    try:
        level = logging.INFO if verbose else logs.level_of()
    except ThgenError as error:
        print(f"thgen: {error}", file=sys.stderr)
        return 2
    with logs.showing(level):
        return _run(words)


def _without_verbose(argv: list[str]) -> tuple[list[str], bool]:
    """The words without --verbose, and whether it was there. It may stand before the command or after it, which
    argparse cannot express; behind a lone "--" all words are values."""
    end = argv.index("--") if "--" in argv else len(argv)
    kept = [word for word in argv[:end] if word != VERBOSE]
    return kept + argv[end:], len(kept) < end


def _run(argv: list[str]) -> int:
    """The exit status of one command, whose words are free of --verbose."""
    parser = argparse.ArgumentParser(prog="python -m thgen", description="A photo that talks.", allow_abbrev=False)
    about_verbose = "say on stderr what is loaded, from where, and how long it takes"
    parser.add_argument(VERBOSE, action="store_true", help=f"{about_verbose}; also after the command")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    try:
        for name, (module, about, _) in COMMANDS.items():
            if name == chosen:  # the others' modules are not imported: some need packages that a Space lacks
                import_module(module).add_parser(subparsers)
                subparsers.choices[name].add_argument(VERBOSE, action="store_true", help=about_verbose)  # for --help
            else:
                subparsers.add_parser(name, help=about)
        args = parser.parse_args(argv)
        begin = time.monotonic()
        status = import_module(COMMANDS[args.command][0]).run(args) or 0
        LOG.info("%s took %.1f s", args.command, time.monotonic() - begin)
        return status
    except ThgenError as error:
        print(f"thgen: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = COMMANDS[chosen][2] if chosen else ""
        if not extra or not error.name or error.name.partition(".")[0] == "thgen":
            raise
        print(f"thgen: {chosen} needs the package {error.name!r}; run: pip install -e '.[{extra}]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("thgen: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # the traceback goes to the log, which is stderr here
        print(f"thgen: {typed(error)}", file=sys.stderr)
        return 1


def _stop(number: int, frame: FrameType | None) -> None:
    """`kill` must clear up like Ctrl-C does: without this Python would die with the temporary files in place."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
