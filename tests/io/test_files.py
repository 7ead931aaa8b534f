"""Paths from users: which may be read, and which may be written."""

import os

import pytest

from thgen.errors import OutputError, PhotoError
from thgen.io.files import check_output, part_file, regular_file


@pytest.mark.parametrize("link", ["same", "symbolic", "hard", "dots"])
def test_an_output_never_replaces_an_input(tmp_path, link):
    recording = tmp_path / "me.mp4"
    recording.write_bytes(b"my own recording")
    out = {"same": recording, "dots": tmp_path / "x" / ".." / "me.mp4"}.get(link, tmp_path / "out.mp4")
    (tmp_path / "x").mkdir()
    if link == "symbolic":
        out.symlink_to(recording)
    elif link == "hard":
        os.link(recording, out)
    with pytest.raises(OutputError, match="replace one of the inputs"):
        check_output(out, inputs=[tmp_path / "none.png", recording])
    assert recording.read_bytes() == b"my own recording"
    assert check_output(tmp_path / "other.mp4", inputs=[recording]) == tmp_path / "other.mp4"


@pytest.mark.parametrize("name", ["é" * 125 + ".mp4", "a" * 251 + ".mp4"])
def test_names_of_the_maximum_length_work(tmp_path, name):
    """The temporary file has a shorter name than the final one."""
    from contextlib import ExitStack

    assert check_output(tmp_path / name).name == name
    with ExitStack() as stack:
        part = part_file(tmp_path / name, stack)
        part.rename(tmp_path / name)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a" * 300 + ".mp4", "é" * 126 + ".mp4", "x" * 5000 + ".mp4"])
def test_longer_names_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match="longer than 255 bytes"):
        check_output(tmp_path / name)
    with pytest.raises(PhotoError) as caught:
        regular_file(tmp_path / name, PhotoError, "photo", 100)
    assert len(str(caught.value)) < 250


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(PhotoError, match="no photo file"):
            regular_file(path, PhotoError, "photo", 100)


def test_control_characters_of_a_name_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\x1b[31m\n\u202egpj.png"
    path.write_bytes(b"")
    with pytest.raises(PhotoError, match="is empty") as caught:
        regular_file(path, PhotoError, "photo", 100)
    assert str(caught.value).isprintable()
