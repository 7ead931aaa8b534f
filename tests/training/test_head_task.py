"""Stages on rendered clips of a head know before they start whether the head is there."""

import pytest

from thgen.analyser.stage import AnalyserStage
from thgen.compact.generator_stage import GeneratorStage
from thgen.encoder.stage import EncoderStage
from thgen.errors import AssetError
from thgen.training.config import load_stage


@pytest.mark.parametrize(
    ("stage", "task"), [("analyser", AnalyserStage), ("face_encoder", EncoderStage), ("generator", GeneratorStage)]
)
def test_a_head_that_is_missing_is_named(stage, task, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("THGEN_FACEKIT", str(tmp_path / "none.npz"))
    with pytest.raises(AssetError):
        task.check(load_stage("rig", stage))
