"""`python -m thgen.synth.head.facekit_convert FaceXModel OUT.npz`: convert the OBJ files of ICT FaceKit.

FaceXModel is the folder of that name in https://github.com/ICT-VGL/ICT-FaceKit (MIT). It has generic_neutral_mesh.obj,
identity000.obj to identity099.obj, and one OBJ per expression shape, all with the same topology.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from thgen.errors import AssetError, ThgenError
from thgen.schema import COEFFICIENTS

NEUTRAL = "generic_neutral_mesh.obj"
IDENTITIES = 100


def _lines(path: Path) -> list[list[str]]:
    """Words of the lines of an OBJ that define vertices, texture positions and faces. Raises AssetError."""
    try:
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line[:1] in "vf"]
    except OSError as error:
        raise AssetError(
            f"{path} cannot be read ({error.strerror}): give the folder FaceXModel of ICT-FaceKit."
        ) from error


def read_vertices(path: Path) -> np.ndarray:
    """Vertices [N 3] of an OBJ. Raises AssetError."""
    return np.array([[float(x) for x in row[1:4]] for row in _lines(path) if row[0] == "v"], np.float32)


def read_topology(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texture positions [U 2], triangles [F 3] and their texture indices [F 3] of an OBJ. Polygons become fans."""
    rows = _lines(path)
    uv = np.array([[float(x) for x in row[1:3]] for row in rows if row[0] == "vt"], np.float32)
    triangles, corners = [], []
    for row in rows:
        if row[0] != "f":
            continue
        points = [[int(i) - 1 for i in corner.split("/")[:2]] for corner in row[1:]]
        for k in range(1, len(points) - 1):
            fan = (points[0], points[k], points[k + 1])
            triangles.append([p[0] for p in fan])
            corners.append([p[1] for p in fan])
    return uv, np.array(triangles, np.int32), np.array(corners, np.int32)


def convert(folder: Path, out: Path, identities: int = IDENTITIES) -> None:
    """Write the npz file: v, uv, tri, tri_uv, identity and expression offsets in float16, expression_names.

    identities: number of identity shapes. Raises AssetError if a file is missing or has another topology.
    """
    neutral = read_vertices(folder / NEUTRAL)
    uv, triangles, corners = read_topology(folder / NEUTRAL)

    def offsets(names: list[str]) -> np.ndarray:
        shapes = []
        for name in names:
            vertices = read_vertices(folder / f"{name}.obj")
            if vertices.shape != neutral.shape:
                raise AssetError(f"{name}.obj has another number of vertices than {NEUTRAL}: download the folder anew.")
            shapes.append((vertices - neutral).astype(np.float16))
        return np.stack(shapes)

    np.savez_compressed(
        out, v=neutral, uv=uv, tri=triangles, tri_uv=corners,
        identity=offsets([f"identity{k:03d}" for k in range(identities)]), expression=offsets(list(COEFFICIENTS)),
        expression_names=np.array(COEFFICIENTS),
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    try:
        convert(args.folder, args.out)
    except ThgenError as error:
        parser.exit(2, f"thgen: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
