"""Released checkpoints: random tensors with the released names and shapes convert, load and run."""

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import torch

from thgen.__main__ import main
from thgen.errors import WeightsError
from thgen.methods.pd_fgc.released import FILES
from thgen.pipeline import available_methods
from thgen.weights import hub
from thgen.weights.convert import convert
from thgen.weights.manifest import BUNDLED, read_manifest

# SHA-256 over the sorted names and shapes of every tensor in the released files, buffers and all.
OFFICIAL = {
    "appearance_model.pth": "bc96f4995a911fc4a7f6bc6a9cff706000e5edf6127edea6eeeafbf168fa6a2f",
    "motion_model.pth": "27224b0b4e07a8f48a1110a7023338254a975761233172b7a8f605071e959183",
    "audio_model.pth": "444b91edaf9a599c18dfa779705c89c49018a66e3a1d9412542478ab5566d8f4",
    "generator_model.pth": "972114841117f22c79849901e0777f0606c976ee8dbee655de81fc75abb0c0a6",
}
# Unused tensors in the files: classifiers, the mapping network, the learned constant.
UNCALLED = {
    "appearance_model.pth": {
        "model.fc.weight": (1000, 2048), "model.fc.bias": (1000,), "fc.weight": (5995, 2048), "fc.bias": (5995,),
    },
    "generator_model.pth": {
        **{f"style.{n}.weight": (2590, 2590) for n in range(1, 9)}, **{f"style.{n}.bias": (2590,) for n in range(1, 9)},
        "input.input": (1, 512, 7, 7),
    },
}  # fmt: skip
EXTRAS = {
    "appearance_model.pth": {"fc.other": (3,)},
    "audio_model.pth": {
        "fc.weight": (5, 512),
        "model.layer4_exp.0.conv1.weight": (4, 4),
        "exp_embed.1.weight": (30, 512),
    },
    "motion_model.pth": {"classifier.weight": (2, 2), "to_feature.0.weight": (3, 3), "unheard_of": (1,)},
    "generator_model.pth": {"style.9.weight": (2, 2)},
}


def shapes_of(part):
    """Names and shapes of all tensors of a released file, used or not."""
    own = {name: tuple(value.shape) for name, value in part.build().state_dict().items()}
    return own | UNCALLED.get(part.file, {})


def random_state(shapes):
    """Tensors that keep activations in range, so that the networks run."""
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            fan = max(1, torch.Size(shape[1:]).numel()) if len(shape) > 1 else 4
            state[name] = torch.randn(shape, generator=generator) / (1 if "modulation" in name else fan**0.5)
    return state


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "checkpoints"
    folder.mkdir()
    for part in FILES.values():
        shapes = {k: v for k, v in shapes_of(part).items() if not k.startswith("style.")}  # 200 MB of nothing
        torch.save(random_state({**shapes, **EXTRAS[part.file]}), folder / part.file)
    return folder.parent


@pytest.fixture(scope="module")
def converted(released, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    convert("pd_fgc", FILES, released, folder)
    return folder


@pytest.mark.parametrize("part", FILES.values(), ids=lambda part: part.file)
def test_every_name_and_shape_is_that_of_the_released_file(part):
    listed = json.dumps(sorted((name, list(shape)) for name, shape in shapes_of(part).items()))
    assert hashlib.sha256(listed.encode()).hexdigest() == OFFICIAL[part.file]


def load(name, folder):
    return hub.load_network(name, "cpu", folder)


def test_every_released_tensor_that_runs_arrives_unchanged(released, converted):
    entries = read_manifest(converted)
    assert set(entries) == set(FILES) and all("authors" in e.licence for e in entries.values())
    for name, part in FILES.items():
        source = torch.load(released / "checkpoints" / part.file, weights_only=True)
        network = load(name, converted).state_dict()
        assert set(network) <= set(source)
        left = set(source) - set(network) - set(EXTRAS[part.file])
        assert left <= {"fc.weight", "fc.bias", "model.fc.weight", "model.fc.bias", "input.input"} | {
            k for k in source if k.endswith(".kernel")
        }
        for key, value in network.items():
            assert torch.equal(value, source[key].to(value.dtype)), key


def test_the_converted_networks_run(converted):
    picture = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        vector, start = load("pd_fgc_paper_appearance", converted)(picture)
        motion = load("pd_fgc_paper_motion", converted)
        feature = motion(picture)
        lip = load("pd_fgc_paper_audio", converted)(torch.rand(1, 1, 80, 20))[1]
        latent = torch.cat([vector, lip, motion.expression(feature), motion.eye(feature), motion.pose(feature)], 1)
        assert vector.shape == (1, 2048) and start.shape == (1, 512, 7, 7) and latent.shape == (1, 2590)
        out = load("pd_fgc_paper_generator", converted)(latent, start)
    assert out.shape == (1, 3, 224, 224) and out.isfinite().all() and out.std() > 0


@pytest.mark.parametrize("fault", ["missing", "pickle", "short", "shape", "strange"])
def test_a_file_that_is_not_what_was_released_is_refused_and_nothing_is_written(released, tmp_path, fault):
    for file in (released / "checkpoints").iterdir():
        (tmp_path / file.name).symlink_to(file)
    path = tmp_path / "audio_model.pth"
    state = torch.load(path, weights_only=True)
    path.unlink()
    if fault == "pickle":
        torch.save({"model": Path("x")}, path)
    elif fault == "short":
        torch.save({k: v for k, v in state.items() if k != "model.fc.weight"}, path)
    elif fault == "shape":
        torch.save({**state, "model.fc.bias": torch.zeros(3)}, path)
    elif fault == "strange":
        torch.save({**state, "model.layer9.weight": torch.zeros(3)}, path)
    words = {"missing": "is missing", "pickle": "bare tensors", "short": "model.fc.weight is missing",
             "shape": "instead of", "strange": "unexpected"}  # fmt: skip
    with pytest.raises(WeightsError, match=words[fault]):
        convert("pd_fgc", FILES, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_needs(capsys, tmp_path):
    assert main(["weights", "convert", "pd_fgc"]) == 2
    assert "weights convert pd_fgc FOLDER" in capsys.readouterr().err
    assert main(["weights", "convert", "rig", str(tmp_path)]) == 2
    assert "There is no converter for 'rig'" in capsys.readouterr().err


@pytest.mark.weights
def test_from_released_files_to_a_video(released, tmp_path, monkeypatch):
    """The command converts the files. The method is then available, and the mp4 names the weights."""
    weights = tmp_path / "weights"
    shutil.copytree(BUNDLED, weights)
    assert main(["weights", "convert", "pd_fgc", str(released), "--weights", str(weights)]) == 0
    monkeypatch.setattr(hub, "BUNDLED", weights)
    assert "pd_fgc.paper" in available_methods()
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, 0.3 * np.sin(np.arange(12_000) / 10), 16_000)
    portrait = Path(__file__).parents[2] / "examples/portrait_1.png"
    flags = ["--method", "pd_fgc.paper", "--photo", str(portrait), "--audio", str(voice), "--pose", str(portrait),
             "--size", "256", "--max-side", "384", "--out", str(tmp_path / "o.mp4")]  # fmt: skip
    assert main(["generate", *flags]) == 0
    video = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 19
    said = (tmp_path / "o.mp4").read_bytes()
    assert b"method pd_fgc.paper" in said and b"pd_fgc_paper_generator" in said
    assert main(["generate", *flags, "--set", "pose.yaw=10"]) == 2
