"""`python -m thgen.training METHOD ...`: the same as `python -m thgen train METHOD ...`."""

import argparse
import sys

from thgen.errors import ThgenError
from thgen.training.cli import add_parser


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m thgen.training")
    add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["train", *sys.argv[1:]])
    try:
        return args.run(args)
    except ThgenError as error:
        print(f"thgen: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
