"""File information from ffmpeg, counted lengths, and the check of its features."""

import doctest

import numpy as np
import pytest
import soundfile

from tests.io.media_files import FFMPEG, ffmpeg, make_video, tone
from thgen.errors import AssetError, AudioError, ClipError
from thgen.io import ffmpeg as ffmpeg_module
from thgen.io.ffmpeg import check_machine, failure_reason, measure, probe
from thgen.schema import SAMPLE_RATE


@pytest.mark.parametrize(
    "name,options",
    [
        ("a.mp3", ["-write_xing", "0", "-q:a", "9"]),  # its header states several times the length
        ("a.webm", ["-c:a", "libopus", "-live", "1"]),  # as browsers record it: the header has no length
        ("a.m4a", []),
        ("a.aac", []),
        ("a.wav", []),
    ],
)
def test_lengths_are_counted(tmp_path, name, options):
    """60 s, loud at the start and then silent, so that an estimate from the first bytes is far off."""
    samples = np.concatenate([np.random.default_rng(0).normal(0, 0.2, SAMPLE_RATE), np.zeros(59 * SAMPLE_RATE)])
    soundfile.write(tmp_path / "in.wav", samples, SAMPLE_RATE)
    ffmpeg("-i", tmp_path / "in.wav", *options, tmp_path / name)
    assert measure(tmp_path / name, AudioError) == pytest.approx(60, abs=0.2)


def test_the_picture_of_a_clip_is_measured(tmp_path):
    assert measure(make_video(tmp_path / "v.mp4", 75), ClipError) == pytest.approx(3, abs=0.1)
    with pytest.raises(AudioError):
        measure(tmp_path / "v.mp4", AudioError)


def test_probe_reads_the_header(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(1), tone(1)], 1), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.wav", tone(1), SAMPLE_RATE)
    assert not probe(tmp_path / "a.wav").mono and probe(tmp_path / "b.wav").mono
    info = probe(make_video(tmp_path / "v.mp4", 25, tone(1)))
    assert (info.width, info.height, info.has_audio, info.hdr, info.pixel_aspect) == (64, 48, True, False, 1.0)


def test_failure_reason_has_no_addresses_and_no_paths():
    log = (
        b"[mov,mp4 @ 0x55e9cae121c0] moov atom not found\n[in#0 @ 0x55e9] Error opening input file:/tmp/x/y.mp4.\n"
        b"[vist#0:0 @ 0x1234ab] Terminating thread with return code -1\n    Last message repeated 1 times\n\n"
    )
    assert failure_reason(log) == "Error opening input the file"
    assert failure_reason(b"") == "ffmpeg stopped" and len(failure_reason(b"x" * 9999)) <= 200


@pytest.mark.parametrize("there", ["nothing", "an old ffmpeg", "ours"])
def test_check_machine_names_what_is_missing(tmp_path, monkeypatch, there):
    script = tmp_path / "ffmpeg"
    if there == "an old ffmpeg":
        script.write_text(f'#!/bin/sh\n{FFMPEG} "$@" | grep -v -e libx264 -e zscale\n')
        script.chmod(0o755)
    check_machine.cache_clear()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", FFMPEG if there == "ours" else str(script))
    if there == "ours":
        check_machine()
    else:
        with pytest.raises(AssetError, match="cannot be started" if there == "nothing" else "has no libx264, zscale"):
            check_machine()
    check_machine.cache_clear()


def test_examples_in_the_docstrings():
    result = doctest.testmod(ffmpeg_module)
    assert result.attempted and not result.failed
