"""Checkpoints with the released names of LIA, small and made here: those that fit convert, all others are refused."""

import argparse
from pathlib import Path

import pytest
import torch

from thgen.__main__ import main
from thgen.errors import WeightsError
from thgen.nn.lia import LIA
from thgen.weights import convert_lia as module
from thgen.weights import hub
from thgen.weights.convert_lia import convert_lia
from thgen.weights.manifest import read_manifest

LOST = "dec.to_flows.1.conv.weight"


def small():
    return LIA(16, 8, 3)


class Runs:
    """A pickle that creates a file when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return small().state_dict()


@pytest.fixture
def file(tmp_path, state):
    path = tmp_path / "vox.pt"
    torch.save({"gen": state}, path)
    return path


def test_a_converted_file_computes_the_same(file, tmp_path, state):
    entries = convert_lia(file, tmp_path / "w", small())
    entry = read_manifest(tmp_path / "w")["lia"]
    assert list(entries) == ["lia"] and "authors" in entry.licence and "vox.pt" in entry.data
    net, own = hub.load_network("lia", "cpu", tmp_path / "w"), small().eval()
    own.load_state_dict(state)
    assert net.config == {"class": "lia", "size": 16, "code": 8, "motion": 3}
    source, driving = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(net(source, driving), own(source, driving), atol=1e-5)


def test_what_a_training_saves_beside_the_generator_is_dropped(file, tmp_path, state):
    extra = {"dis": {"w": torch.ones(2)}, "g_optim": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]}}
    torch.save({"gen": state, **extra, "args": argparse.Namespace(size=256, ckpt=None)}, file)
    convert_lia(file, tmp_path / "w", small())
    assert sorted(hub.load_network("lia", "cpu", tmp_path / "w").state_dict()) == sorted(state)


FAULTS = {
    "absent": "is missing; give",
    "text": "bare tensors",
    "cut": "bare tensors",
    "pickle": "bare tensors",
    "bare": "no tensors under 'gen'",
    "list": "no tensors under 'gen'",
    "numbers": "no tensors under 'gen'",
    "short": f"{LOST} is missing",
    "shape": r"dec.direction.weight is \[8, 4\] instead of \[8, 3\]",
    "strange": "dec.other is unexpected",
    "nan": "not finite in enc.fc.0.weight",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_any_other_file_is_refused_in_one_sentence_and_nothing_is_written(file, tmp_path, state, fault):
    ran = tmp_path / "ran"
    contents = {
        "pickle": {"gen": state, "args": Runs(ran)},
        "bare": dict(state),
        "list": [state],
        "numbers": {"gen": {"a": 3}},
        "short": {"gen": {k: v for k, v in state.items() if k != LOST}},
        "shape": {"gen": {**state, "dec.direction.weight": torch.zeros(8, 4)}},
        "strange": {"gen": {**state, "dec.other": torch.zeros(1)}},
        "nan": {"gen": {**state, "enc.fc.0.weight": torch.full((8, 8), float("nan"))}},
    }
    if fault == "absent":
        file.unlink()
    elif fault == "text":
        file.write_text("no weights")
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        torch.save(contents[fault], file)
    with pytest.raises(WeightsError, match=FAULTS[fault]) as error:
        convert_lia(file, tmp_path / "w", small())
    assert "\n" not in str(error.value)
    assert not (tmp_path / "w").exists() and not ran.exists()


def test_the_command_converts_and_says_what_it_needs(file, tmp_path, capsys, monkeypatch):
    weights = ["--weights", str(tmp_path / "w")]
    assert main(["weights", "convert", "lia", str(file), *weights]) == 2, "the small file is not the released one"
    assert "instead of" in capsys.readouterr().err and not (tmp_path / "w").exists()
    monkeypatch.setattr(module, "LIA", small)
    assert main(["weights", "convert", "lia", str(file), *weights]) == 0
    assert "lia: " in capsys.readouterr().out and (tmp_path / "w/lia/model.safetensors").is_file()
    assert main(["weights", "convert", "lia"]) == 2
    assert "lia FILE" in capsys.readouterr().err
    assert main(["weights", "convert", "lla", str(file)]) == 2
    assert "wav2lip, lia" in capsys.readouterr().err
