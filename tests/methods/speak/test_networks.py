import pytest
import torch

from thgen.methods.speak.declaration import CLIP_FPS
from thgen.methods.speak.networks import (
    RATE,
    EditingModule,
    EmotionEncoder,
    Encoder,
    Reconstructor,
    TalkingGenerator,
    Voice,
    retimed,
)

SMALL = {"latent": 8, "channels": (16, 16, 8), "start": 4}
TINY = {"channels": (16,) * 7, "hidden": 16, "layers": 1, "heads": 2, "inner": 16, "positions": 8, "groups": 2}


def test_sizes_are_those_of_the_paper():
    with torch.device("meta"):
        encoder, editing, generator = Encoder(), EditingModule(), TalkingGenerator()
        code, found = encoder.eval().with_map(torch.zeros(1, 3, 256, 256))
        edited = editing(code, code, torch.zeros(1, 1536))
        picture = generator(edited, code, code, generator.begin(found))
        made = Reconstructor()(torch.zeros(1, 3, 512))
        voice = Voice().at(torch.zeros(1, 16000), 25, 25)
    assert code.shape == (1, 512) and found.shape == (1, 2048, 8, 8) and edited.shape == (1, 14, 512)
    assert picture.shape == made.shape == (1, 3, 256, 256) and voice.shape == (1, 25, 512)
    trunk = sum(p.numel() for name, p in encoder.named_parameters() if not name.startswith("fc."))
    assert trunk == 23_508_032, "ResNet-50 of torchvision without its classifier"
    assert RATE == CLIP_FPS == 30


def test_encoders_have_the_names_of_torchvision():
    with torch.device("meta"):
        names = EmotionEncoder().state_dict()
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_var", "fc.bias"} <= set(names)
    assert names["layer1.0.conv2.weight"].shape == (64, 64, 3, 3) and names["centres"].shape == (8, 512)


@pytest.mark.parametrize("fusion", ["concatenate", "add"])
def test_added_codes_cannot_say_whose_they_are(fusion):
    """Eq. 5 adds the codes: a picture cannot depend on which of them is the pose. Those of the text can."""
    torch.manual_seed(0)
    net = Reconstructor(6, **SMALL, fusion=fusion).eval()
    codes = torch.randn(1, 3, 6)
    same = torch.allclose(net(codes), net(codes.flip(1)), atol=1e-5)
    assert same == (fusion == "add")
    for k in range(3):
        other = codes.clone()
        other[:, k] = torch.randn(6)
        assert not torch.allclose(net(codes), net(other), atol=1e-4), k


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="concatenate or add"):
        Reconstructor(6, **SMALL, fusion="sum")
    with pytest.raises(ValueError, match="photo or constant"):
        TalkingGenerator(6, **SMALL, begin="noise")


def test_tracks_are_interpolated_between_the_middles_of_frames():
    seconds = (torch.arange(60) + 0.5) / 30
    found = retimed(seconds[None, :, None], 30, 25, 50)[0, :, 0]
    wanted = ((torch.arange(50) + 0.5) / 25).clamp(seconds[0], seconds[-1])
    torch.testing.assert_close(found, wanted)
    assert retimed(seconds[None, :, None], 30, 30, 60)[0, :, 0].equal(seconds)
    assert retimed(torch.ones(1, 1, 4), 30, 25, 3).shape == (1, 3, 4)


@torch.no_grad()
def test_a_voice_has_one_vector_per_frame_that_hears_its_surroundings():
    torch.manual_seed(0)
    net = Voice(8, (1, 2), **TINY).eval()
    sound = torch.randn(2, 32000)
    assert net(sound, 60).shape == (2, 60, 8) and net.at(sound, 50, 25).shape == (2, 50, 8)
    torch.testing.assert_close(net.at(sound, 50, 25), retimed(net(sound, 60), 30, 25, 50))
    alone = Voice(8, (), **TINY).eval()
    alone.load_state_dict({n: v for n, v in net.state_dict().items() if not n.startswith("tcn")})
    assert not torch.allclose(net(sound, 60), alone(sound, 60), atol=1e-3), "the temporal convolution does something"


@pytest.fixture
def editing():
    torch.manual_seed(0)
    return EditingModule(5, 6, 8, 4).eval()


def test_each_style_index_has_the_output_of_its_block(editing):
    voice, emotion, facial = torch.randn(2, 5), torch.randn(2, 6), torch.randn(2, 18)
    out = editing(voice, emotion, facial)
    assert out.shape == (2, 4, 8)
    for number, changed in enumerate((voice + 1, emotion + 1, facial + 1)):
        inputs = [voice, emotion, facial]
        inputs[number] = changed
        assert ((editing(*inputs) - out).abs().amax(2) > 1e-4).all(), number


def test_adain_decides_mean_and_spread(editing):
    voice, emotion, facial = torch.randn(2, 5), torch.randn(2, 6), torch.randn(2, 18)
    block = editing.blocks[0]
    with torch.no_grad():
        block.adain.weight.zero_()
        block.adain.bias.copy_(torch.cat([torch.full((8,), 1.0), torch.full((8,), 3.0)]))
    out = editing(voice, emotion, facial)[:, 0]
    torch.testing.assert_close(out.mean(1), torch.full((2,), 3.0))
    torch.testing.assert_close(out.std(1, correction=0), torch.full((2,), 2.0), atol=1e-2, rtol=0)


def test_noise_is_fixed_in_a_video_and_drawn_in_training(editing):
    inputs = torch.randn(2, 5), torch.randn(2, 6), torch.randn(2, 18)
    assert torch.equal(editing(*inputs, fresh=True), editing(*inputs)), "its strength begins at 0"
    with torch.no_grad():
        for block in editing.blocks:
            block.strength.fill_(1.0)
    assert torch.equal(editing(*inputs), editing(*inputs))
    assert not torch.equal(editing(*inputs, fresh=True), editing(*inputs, fresh=True))


@pytest.mark.parametrize("begin", ["photo", "constant"])
def test_the_generator_reads_all_that_equation_9_names(begin):
    torch.manual_seed(0)
    net = TalkingGenerator(6, **SMALL, hidden=8, photo=10, begin=begin).eval()
    inputs = {"edited": torch.randn(1, net.indices, 8), "identity": torch.randn(1, 6), "pose": torch.randn(1, 6)}
    found = torch.randn(1, 10, 2, 2)
    picture = net(**inputs, begin=net.begin(found))
    assert picture.shape == (1, 3, 16, 16)
    for name, value in inputs.items():
        other = net(**inputs | {name: value + 1}, begin=net.begin(found))
        assert not torch.allclose(picture, other, atol=1e-4), name
    moved = net(**inputs, begin=net.begin(found + torch.randn_like(found)))
    assert torch.allclose(picture, moved, atol=1e-5) == (begin == "constant")


@pytest.mark.parametrize("make", [
    lambda: Encoder(8, (1, 1), 4), lambda: EmotionEncoder(8, (1, 1), 4), lambda: Reconstructor(6, **SMALL),
    lambda: Voice(8, (1,), **TINY), lambda: EditingModule(5, 6, 8, 4),
    lambda: TalkingGenerator(6, **SMALL, hidden=8, photo=10, begin="constant")])  # fmt: skip
def test_a_config_builds_the_network_again(make):
    made = make()
    again = type(made)(**{key: value for key, value in made.config.items() if key != "class"})
    again.load_state_dict(made.state_dict())
    assert again.config == made.config
