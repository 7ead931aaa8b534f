"""Path of the head file, the error if it is missing, and conversion of its OBJ files."""

import numpy as np
import pytest

from thgen.errors import AssetError
from thgen.schema import COEFFICIENTS
from thgen.synth.head.facekit import FILE_NAME, facekit_path, load_facekit
from thgen.synth.head.facekit_convert import NEUTRAL, convert, main

QUAD = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]


def write_obj(path, vertices):
    lines = [f"v {x} {y} {z}" for x, y, z in vertices] + ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1", "vn 0 0 1"]
    path.write_text("\n".join([*lines, "f 1/1/1 2/2/1 3/3/1 4/4/1"]) + "\n")


@pytest.fixture
def folder(tmp_path):
    write_obj(tmp_path / NEUTRAL, QUAD)
    for k, name in enumerate(["identity000", "identity001", *COEFFICIENTS]):
        write_obj(tmp_path / f"{name}.obj", [(x + k, y, z) for x, y, z in QUAD])
    return tmp_path


def test_objs_become_offsets_and_quads_become_triangles(folder, tmp_path):
    convert(folder, tmp_path / "out.npz", identities=2)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["v"].tolist() == [list(map(float, p)) for p in QUAD]
        assert file["tri"].tolist() == file["tri_uv"].tolist() == [[0, 1, 2], [0, 2, 3]]
        assert file["identity"].shape == (2, 4, 3) and (file["identity"][1, :, 0] == 1).all()
        assert tuple(file["expression_names"]) == COEFFICIENTS
        assert (file["expression"][3, :, 0] == 5).all() and not file["expression"][..., 1:].any()


def test_missing_and_different_objs_are_errors(folder, tmp_path, capsys):
    write_obj(folder / "jawOpen.obj", QUAD[:3])
    with pytest.raises(AssetError, match=r"jawOpen\.obj has another number"):
        convert(folder, tmp_path / "out.npz", identities=2)
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "nowhere"), str(tmp_path / "out.npz")])
    assert stop.value.code == 2
    assert "give the folder FaceXModel" in capsys.readouterr().err


def test_the_error_of_a_missing_head_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("THGEN_FACEKIT", str(tmp_path))
    with pytest.raises(AssetError, match="ICT-FaceKit"):
        facekit_path()


def test_the_variable_names_a_file_or_its_folder(tmp_path, monkeypatch):
    (tmp_path / FILE_NAME).write_bytes(b"x")
    for place in (tmp_path, tmp_path / FILE_NAME):
        monkeypatch.setenv("THGEN_FACEKIT", str(place))
        assert facekit_path() == tmp_path / FILE_NAME


@pytest.mark.facekit
def test_facekit_has_the_geometry_that_the_renderer_expects():
    try:
        head = load_facekit()
    except AssetError as error:
        pytest.skip(str(error))
    left, right = head.eye_centre
    assert left[0] > 2 and right[0] < -2 and abs(left[1] - right[1]) < 0.01
    assert head.vertices[head.landmarks[36], 0] < 0 < head.vertices[head.landmarks[45], 0]
    uv = head.landmark_uv
    assert (uv >= 0).all() and (uv <= 1).all() and uv[8, 1] > uv[27, 1], "the chin lies below the nose in the texture"
