"""Files with the released names of ArcFace and Wav2Lip, made here, convert, and the results compute the same.

pSp's IR-SE-50 is written down once more with the names of its code, because ours has other names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.__main__ import main
from thgen.errors import WeightsError
from thgen.nn.ir_se import UNITS, ArcFace
from thgen.nn.wav2lip import AudioEncoder, SyncExpert
from thgen.weights import hub, released
from thgen.weights.convert import convert_file
from thgen.weights.manifest import read_manifest
from thgen.weights.released import SINGLE_FILES, arcface_name

SMALL = {"base": 4, "units": (1, 2, 1, 1), "features": 8}


class TheirSE(nn.Module):
    def __init__(self, depth: int):
        super().__init__()
        hidden = max(1, depth // 16)
        self.fc1 = nn.Conv2d(depth, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, depth, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class TheirUnit(nn.Module):
    """bottleneck_IR_SE."""

    def __init__(self, inputs: int, depth: int, stride: int):
        super().__init__()
        self.shortcut_layer = nn.MaxPool2d(1, stride) if inputs == depth else nn.Sequential(
            nn.Conv2d(inputs, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))  # fmt: skip
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, depth, 3, 1, 1, bias=False), nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False), nn.BatchNorm2d(depth), TheirSE(depth),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


class TheirBackbone(nn.Module):
    """Backbone(112, 50, 'ir_se'), in any size."""

    def __init__(self, base: int = 64, units: tuple[int, ...] = UNITS, features: int = 512):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, base, 3, 1, 1, bias=False), nn.BatchNorm2d(base), nn.PReLU(base))
        body, inputs = [], base
        for stage, count in enumerate(units):
            for unit in range(count):
                body.append(TheirUnit(inputs, base * 2**stage, 1 if unit else 2))
                inputs = base * 2**stage
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(nn.BatchNorm2d(inputs), nn.Dropout(), nn.Flatten(),
                                          nn.Linear(inputs * 49, features), nn.BatchNorm1d(features))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.output_layer(self.body(self.input_layer(x))), dim=1)


class Wav2Lip(nn.Module):
    """The names of its generator: the audio encoder is ours, of the rest one layer each stands for all."""

    def __init__(self, base: int):
        super().__init__()
        self.audio_encoder = AudioEncoder(base).audio_encoder
        self.face_encoder_blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(6, 4, 7))])
        self.face_decoder_blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(4, 4, 1))])
        self.output_block = nn.Sequential(nn.Conv2d(4, 3, 1))


def random(net: nn.Module) -> nn.Module:
    """The network with other values in all of its tensors, batch norm included."""
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                value.copy_(
                    torch.rand_like(value) + 0.5 if "running_var" in name else value + 0.1 * torch.randn_like(value)
                )
    return net.eval()


def parts(title: str):
    """The converter's parts, for networks of a small size."""
    small = {"arcface": partial(ArcFace, **SMALL), "wav2lip_sync": partial(SyncExpert, 4),
             "wav2lip_audio": partial(AudioEncoder, 4)}  # fmt: skip
    return {name: replace(part, build=small[name]) for name, part in SINGLE_FILES[title][1].items()}


@pytest.fixture
def arcface(tmp_path) -> tuple[Path, nn.Module]:
    torch.manual_seed(0)
    net = random(TheirBackbone(**SMALL))
    torch.save(net.state_dict(), tmp_path / "model_ir_se50.pth")
    return tmp_path / "model_ir_se50.pth", net


def test_names_and_shapes_of_the_whole_arcface_are_ours():
    with torch.device("meta"):
        theirs, ours = TheirBackbone().state_dict(), ArcFace().state_dict()
    assert {arcface_name(k): v.numel() for k, v in theirs.items()} == {k: v.numel() for k, v in ours.items()}
    assert arcface_name("body.3.res_layer.5.fc1.weight") == "body.stages.1.0.body.5.fc.0.weight"
    assert arcface_name("body.23.res_layer.1.weight") == "body.stages.3.2.body.1.weight"
    assert arcface_name("body.24.res_layer.1.weight") == "body.24.res_layer.1.weight", "there are 24 units"


@pytest.fixture
def small(monkeypatch):
    """Names of a small ArcFace: the command's converter counts the units of the whole one."""
    monkeypatch.setattr(released, "SINGLE_FILES", {t: (n, parts(t)) for t, (n, _) in SINGLE_FILES.items()})
    renamed = partial(arcface_name, units=SMALL["units"])
    for name, part in released.SINGLE_FILES["arcface"][1].items():
        released.SINGLE_FILES["arcface"][1][name] = replace(part, names=renamed)
    return released.SINGLE_FILES


def loaded(name: str, folder: Path) -> nn.Module:
    return hub.load_network(name, "cpu", folder)


@pytest.mark.parametrize("counters", [True, False], ids=["counters", "old file without counters"])
def test_arcface_computes_what_the_file_computes(arcface, small, tmp_path, counters, capsys):
    path, theirs = arcface
    if not counters:
        torch.save({k: v for k, v in theirs.state_dict().items() if "num_batches" not in k}, path)
    assert main(["weights", "convert", "arcface", str(path), "--weights", str(tmp_path / "w")]) == 0
    assert capsys.readouterr().out.startswith("arcface: ")
    x = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        torch.testing.assert_close(loaded("arcface", tmp_path / "w")(x), theirs(x), atol=1e-5, rtol=1e-5)
    entry = read_manifest(tmp_path / "w")["arcface"]
    assert "authors" in entry.licence and "model_ir_se50.pth" in entry.data


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_expert_and_the_audio_encoder_are_told_apart(small, tmp_path, prefix):
    torch.manual_seed(0)
    expert, generator = random(SyncExpert(4)), random(Wav2Lip(4))
    for name, net in (("expert.pth", expert), ("wav2lip.pth", generator)):
        state = {prefix + k: v for k, v in net.state_dict().items()}
        torch.save({"state_dict": state, "optimizer": {"state": {}}, "global_step": 7}, tmp_path / name)
        assert main(["weights", "convert", "wav2lip", str(tmp_path / name), "--weights", str(tmp_path / "w")]) == 0
    assert set(read_manifest(tmp_path / "w")) == {"wav2lip_sync", "wav2lip_audio"}
    window, lips = torch.randn(2, 1, 80, 16), torch.rand(2, 15, 48, 96)
    with torch.inference_mode():
        torch.testing.assert_close(loaded("wav2lip_sync", tmp_path / "w")(lips, window), expert(lips, window))
        torch.testing.assert_close(loaded("wav2lip_audio", tmp_path / "w")(window),
                                   generator.audio_encoder(window).flatten(1))  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "says"),
    [("absent", "is missing"), ("pickle", "bare tensors"), ("list", "mapping"), ("short", "is missing"),
     ("shape", "instead of"), ("strange", "is unexpected"), ("other", "is no file of ArcFace"),
     ("text", "bare tensors")],
)  # fmt: skip
def test_a_file_that_does_not_fit_writes_nothing(arcface, small, tmp_path, fault, says):
    path, net = arcface
    state, ran = dict(net.state_dict()), tmp_path / "ran"
    changed = {
        "pickle": {"state": Runs(ran)},
        "list": [state],
        "short": {k: v for k, v in state.items() if k != "body.1.res_layer.1.weight"},
        "shape": {**state, "output_layer.3.bias": torch.zeros(3)},
        "strange": {**state, "body.0.res_layer.9.weight": torch.zeros(3)},
        "other": SyncExpert(4).state_dict(),
    }
    if fault == "absent":
        path.unlink()
    elif fault == "text":
        path.write_text("no weights")
    else:
        torch.save(changed[fault], path)
    with pytest.raises(WeightsError, match=says):
        convert_file(*small["arcface"], path, tmp_path / "w")
    assert not (tmp_path / "w").exists() and not ran.exists()


class Runs:
    """A pickle that creates a file when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_wrong_words_are_told(tmp_path, capsys):
    assert main(["weights", "convert", "arcface"]) == 2
    assert "arcface FILE" in capsys.readouterr().err
    assert main(["weights", "convert", "arcfaces", str(tmp_path)]) == 2
    assert "choose one of: pd_fgc.paper, pd_fgc, arcface, wav2lip" in capsys.readouterr().err
    assert main(["weights", "convert", "wav2lip", str(tmp_path), "--weights", str(tmp_path / "w")]) == 2
    assert "is missing" in capsys.readouterr().err and not (tmp_path / "w").exists()
