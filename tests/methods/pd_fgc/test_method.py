"""Compact PD-FGC with untrained networks and the built-in head: the path, its zero, the effect of each factor."""

import numpy as np
import pytest
import torch

from thgen import pipeline
from thgen.analyser.network import Analyser
from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator import MAX_CHANGE, MAX_CLOSURE, Generator, movement
from thgen.compact.generator_stage import fill_rig
from thgen.compact.motion_head import FaceState, MotionHead
from thgen.encoder.frozen import load_encoder
from thgen.encoder.inputs import encoder_input, input_size
from thgen.encoder.reader import read_faces
from thgen.evaluation.scenes.crops import clip_crops, photo_crop
from thgen.face.observe import Observer
from thgen.methods.pd_fgc.declaration import PD_FGC
from thgen.methods.pd_fgc.latents import COMPACT, Gains, Latents, smooth_lips, smooth_pose
from thgen.methods.pd_fgc.method import PdFgc
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, FaceAppearance, FaceMotion, Motion
from thgen.methods.pd_fgc.paper import PaperPdFgc
from thgen.nn.stylegan2 import StyleGenerator
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, COEFFICIENTS, FACTORS
from thgen.settings import Controls
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight

SIZE = 128
STILL = {"pose": False, "gaze": False, "blink": False}


@pytest.fixture(scope="module")
def method():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    mesh = ellipsoid_head()
    layout = build_layout(mesh, neck_weight)
    analyser = Analyser(len(layout.index), [[100], [101]], [102], channels=(8, 16, 16, 24, 32), hidden=48, segments=8)
    with torch.no_grad():
        points = torch.from_numpy(layout.canonical * np.array([1, -1, -1]) / 15).float()
        points[:, 2] -= points[:68, 2].mean()
        analyser.to_keypoints.weight.zero_()
        analyser.to_keypoints.bias.copy_(points.flatten())
    flow = GuidedFlow(len(layout.index), len(layout.loops[2]), channels=(16, 24, 32, 40), fine=8, code=16)
    fill_rig(flow.rig, layout, mesh.eye_centre)
    with torch.no_grad():
        flow.coarse.log_width.copy_(torch.from_numpy(layout.width).log())
    encoder = load_encoder("ellipsoid")
    faces = FaceMotion(input_size(encoder), 16, 1, 16, lip=10, expression=5)
    voice = AudioLip((8, 16), (1, 1), 80, 16, 8, 10, unit=True)
    appearance = FaceAppearance(input_size(encoder), 16, 1, 8)
    latents = Latents(8, 10, 5)
    networks = (encoder, appearance, faces, voice, MotionHead(latents.size, 16, 1))
    generator = Generator(analyser.eval(), flow.eval(), torch.device("cpu"))
    return PdFgc(generator, *(n.eval() for n in networks), torch.device("cpu"))


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)


def crop_of(method, image):
    return photo_crop(Observer(method.generator.analyser, method.device), image)


def clip_of(method, photo, frames):
    observer = Observer(method.generator.analyser, method.device)
    return list(clip_crops(observer, [np.roll(photo, k, 1) for k in range(frames)], SIZE))


@pytest.fixture(scope="module")
def identity(method, photo):
    return method.encode_photos([crop_of(method, photo)])


def test_every_factor_is_a_latent_of_its_own(method, identity):
    assert {n: v.shape[1] for n, v in identity.own.items()} == {
        "lip": 10, "pose": 6, "gaze": 2, "blink": 4, "expression": 5,
    }  # fmt: skip
    assert set(identity.measured) == set(FACTORS)


def test_the_photos_own_latents_give_the_photo_back(method, identity, photo):
    out = method.decode(identity, {n: v.expand(2, -1) for n, v in identity.own.items()})
    shown = ((out.frames[1] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert out.flow.abs().max() < 1e-4
    assert np.abs(shown.astype(int) - photo).mean() < 2


@pytest.mark.parametrize("factor", [f.name for f in PD_FGC.factors])
def test_each_latent_moves_the_picture(method, identity, factor):
    moved = {n: v + 3.0 * (n == factor) for n, v in identity.own.items()}
    assert method.decode(identity, moved).flow.abs().mean() > 1e-4


def test_no_strength_of_a_latent_leads_beyond_reach(method, identity, monkeypatch):
    moves = []
    render = method.generator.render
    monkeypatch.setattr(method.generator, "render", lambda photo, move: moves.append(move) or render(photo, move))
    method.decode(identity, identity.own | {"expression": 1e4 * torch.ones_like(identity.own["expression"])})
    lids = [COEFFICIENT_INDEX[name] for name in BLINK_COEFFICIENTS]
    change = moves[0].coefficient_change[0]
    others = [k for k in range(len(change)) if k not in lids]
    assert float(change[others].norm()) == pytest.approx(MAX_CHANGE, rel=1e-3)
    assert (identity.state["photo"].coefficients[0, lids] + change[lids]).max() <= MAX_CLOSURE + 1e-5


def test_sliders_add_to_latents_what_they_move_alone(method, identity):
    alone, both = (
        method.decode(identity, target.factors, target.sliders).flow.mean()
        for target in (
            pipeline.targets(method, identity, Controls(values=values, idle=STILL)) for values in ({}, {"pose.yaw": 15})
        )
    )
    assert abs(alone) < 1e-4 < abs(both)


def test_a_voice_gives_one_latent_per_frame_however_long(method):
    rng = np.random.default_rng(0)
    for length in (640, 6401, 16_000):
        frames = -(-length // 640)
        lips = method.encode_audio(rng.normal(0, 0.1, length).astype(np.float32), frames)["lip"]
        assert lips.shape == (frames, 10) and torch.isfinite(lips).all()


def test_gains_multiply_latents_and_lips_are_smoothed_after(method):
    samples = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    networks = (method.generator, method.encoder, method.appearance, method.faces, method.voice, method.head)
    plain = PdFgc(*networks, method.device, Gains()).encode_audio(samples, 25)["lip"]
    loud = PdFgc(*networks, method.device, Gains(lip=1.5, voice=3.0))
    torch.testing.assert_close(loud.encode_audio(samples, 25)["lip"], 3 * plain)
    torch.testing.assert_close(method.encode_audio(samples, 25)["lip"], COMPACT.voice * plain)
    with torch.inference_mode():
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), 25))
        torch.testing.assert_close(plain, smooth_lips(method.voice(windows)[1]))


def test_a_clip_gives_every_latent_per_frame(method, photo):
    tracks = method.encode_clip(iter(clip_of(method, photo, 5)))
    assert {n: tuple(v.shape) for n, v in tracks.items()} == {
        "lip": (5, 10), "pose": (5, 6), "gaze": (5, 2), "blink": (5, 4), "expression": (5, 5),
    }  # fmt: skip


def test_a_face_is_read_alike_as_photo_and_as_frame(method, photo):
    """Both by the face encoder, whose feature and frames E_mot gets."""
    crop = crop_of(method, photo)
    own, track = method.encode_photos([crop]).own, method.encode_clip([crop])
    with torch.inference_mode():
        codes = method._codes(encoder_input(read_faces(method.encoder, [crop], method.device).encoded))
    for name, values in own.items():
        gain = getattr(COMPACT, name)
        torch.testing.assert_close(values, codes[name])
        torch.testing.assert_close(track[name], gain * values, atol=1e-5, rtol=1e-4)


def test_latents_are_the_codes_of_each_frame_and_its_appearance(method, photo):
    """Without gains and smoothing: the second frame's do not depend on its neighbours."""
    crops = clip_of(method, photo, 3)
    found = method.latents(iter(crops))
    assert {n: tuple(v.shape) for n, v in found.items()} == {
        "lip": (3, 10), "pose": (3, 6), "gaze": (3, 2), "blink": (3, 4), "expression": (3, 5), "appearance": (3, 8),
    }  # fmt: skip
    alone = method.latents(crops[1:2])
    for name, values in found.items():
        torch.testing.assert_close(values[1:2], alone[name], atol=1e-5, rtol=1e-4)
    identity = method.encode_photos(crops[:1])
    torch.testing.assert_close(found["appearance"][:1], identity.state["appearance"], atol=1e-5, rtol=1e-4)


def test_a_window_decodes_as_its_frames_one_by_one(method, identity):
    tracks = {n: v + 0.5 * torch.randn(3, v.shape[1]) for n, v in identity.own.items()}
    together = method.decode(identity, tracks).frames
    alone = [method.decode(identity, {n: v[t : t + 1] for n, v in tracks.items()}).frames for t in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def test_movement_is_the_difference_of_two_states():
    still = FaceState(torch.zeros(1, len(COEFFICIENTS)), torch.zeros(1, 2, 2), torch.zeros(1, 3), torch.zeros(1, 3))
    shape = torch.zeros(1, len(COEFFICIENTS))
    blink = [COEFFICIENT_INDEX[n] for n in BLINK_COEFFICIENTS]
    shape[:, blink] = 0.5
    turned = FaceState(shape, torch.full((1, 2, 2), 3.0), torch.tensor([[20.0, 0, 0]]), torch.tensor([[0.1, 0, 0]]))
    move = movement(still, turned, torch.tensor([[2.0, 1.0]]))
    assert move.change[0, blink].tolist() == [1.0, 0.5], "lids in units of the person's own eye, which is open"
    assert move.coefficient_change[0, blink].tolist() == [0.5, 0.5] and move.shut[0].tolist() == [0.5, 0.5]
    torch.testing.assert_close(move.turn, turned.turn, atol=1e-4, rtol=0)
    back = movement(turned, still, torch.ones(1, 2))
    there_and_back = move.and_then(back)
    torch.testing.assert_close(there_and_back.turn, torch.zeros(1, 3), atol=1e-4, rtol=0)
    assert there_and_back.coefficient_change.abs().max() == 0 and there_and_back.shift.abs().max() == 0


@pytest.fixture(scope="module")
def paper(method):
    torch.manual_seed(1)
    faces = Motion(width=16, side=224, features=16, maps=8, lip=10, expression=5)
    voice = AudioLip((8, 16), (1, 1), 80, 16, 8, 10)
    appearance = Appearance((1, 1), 2, 4, 4, 8, 7)
    generator = StyleGenerator(Latents(appearance.model.channels, 10, 5).size, (8, 8, 8, 8, 4, 4), 7)
    return PaperPdFgc(method.generator, *(n.eval() for n in (appearance, faces, voice, generator)), torch.device("cpu"))


def test_the_released_networks_paint_an_aligned_face_into_the_crop(paper, photo):
    identity = paper.encode_photos([crop_of(paper, photo)])
    assert identity.measured is None and identity.state["start"].shape == (1, 8, 7, 7)
    out = paper.decode(identity, {n: v.expand(2, -1) for n, v in identity.own.items()})
    assert out.frames.shape == (2, 3, SIZE, SIZE) and out.mask.shape == (2, 1, SIZE, SIZE)
    outside = (out.mask == 0).expand_as(out.frames)
    assert torch.equal(out.frames[outside], identity.image.expand_as(out.frames)[outside])
    assert 0.05 < (out.mask == 1).float().mean() < 0.9
    torch.testing.assert_close(out.frames[0], out.frames[1], atol=1e-4, rtol=0)


def test_what_is_aligned_comes_back_to_its_place(paper, photo):
    """A generator that returns the aligned photo reproduces the photo."""
    identity = paper.encode_photos([crop_of(paper, np.full_like(photo, 90))])

    class Same(torch.nn.Module):
        def forward(self, latent, start):
            return torch.atanh(torch.full((len(latent), 3, 224, 224), 90 / 127.5 - 1))

    copy = PaperPdFgc(paper.generator, paper.appearance, paper.faces, paper.voice, Same(), paper.device)
    out = copy.decode(identity, identity.own)
    assert (out.frames - identity.image).abs().max() < 1e-5


def test_the_released_appearance_is_a_latent_without_its_map(paper, photo):
    crops = clip_of(paper, photo, 2)
    assert paper.latents(crops)["appearance"].shape == (2, paper.appearance.model.channels)


def test_released_gains_and_smoothing_apply_to_clips(paper, photo):
    crops = clip_of(paper, photo, 3)
    tracks = paper.encode_clip(iter(crops))
    frames = torch.cat(list(paper._frames(crops)))
    with torch.inference_mode():
        codes = paper._codes(frames)
    torch.testing.assert_close(tracks["expression"], 1.2 * codes["expression"])
    torch.testing.assert_close(tracks["blink"], 1.2 * codes["blink"])
    torch.testing.assert_close(tracks["pose"], smooth_pose(codes["pose"]))
    torch.testing.assert_close(tracks["lip"], smooth_lips(1.5 * codes["lip"]))
