"""Target factors, compared with the rules at the head of thgen/controls.py."""

import pytest
import torch

from thgen.controls import au_weights, loop_index, targets
from thgen.errors import ControlError
from thgen.methods.pd_fgc.declaration import PD_FGC
from thgen.schema import ACTION_UNITS, EMOTIONS, FACTORS, LIP_COEFFICIENTS, SLIDERS, au_factor
from thgen.settings import Controls, Settings, blend_path, path_text

STILL = {"pose": False, "gaze": False, "blink": False}
JAW = LIP_COEFFICIENTS.index("jawOpen")
LATENTS = PD_FGC.factors


def apply(own, driven, controls, seed, frames, **more):
    return targets(tuple(FACTORS.values()), own, driven, controls, seed, frames, **more)


def apply_latents(own, driven, controls, frames, **more):
    return targets(LATENTS, own, driven, controls, 0, frames, **more)


@pytest.fixture
def own() -> dict[str, torch.Tensor]:
    """Factors of a photo: gaze slightly up and aside, faint smile, eyes not fully open, mouth nearly closed."""
    random = torch.Generator().manual_seed(0)
    values = {name: 0.06 * torch.rand(1, f.size, generator=random) for name, f in FACTORS.items()}
    values["pose"] = torch.tensor([[7.0, -3.0, 2.0, 0.01, -0.02, 0.03]])
    values["gaze"] = torch.tensor([[-4.0, 2.5, -3.0, 2.5]])
    values["blink"] = torch.tensor([[90.0, 80.0]])
    return values


def track(name: str, frames: int, change: float = 1.0) -> torch.Tensor:
    """A driver that rests and then moves: [frames D], 0 for the first 10 frames, then `change`."""
    return torch.cat([torch.zeros(10, FACTORS[name].size), torch.full((frames - 10, FACTORS[name].size), change)])


def test_neutral_is_exactly_the_photo(own):
    result = apply(own, {}, Controls(live=STILL), seed=3, frames=20)
    assert list(result) == list(own)
    for name in own:
        assert torch.equal(result[name], own[name].expand(20, -1)), name


def test_neutral_is_exactly_the_photo_even_beyond_the_limits(own):
    """An analyser may return a weight of -0.02 or 1.1, or a pose beyond the limits. Without a control it stays."""
    own["expression"] = torch.linspace(-0.05, 1.2, FACTORS["expression"].size)[None]
    own["pose"] = own["pose"] * 20
    result = apply(own, {}, Controls(live=STILL), seed=0, frames=2)
    assert all(torch.equal(result[n], own[n].expand(2, -1)) for n in own)


def test_windows_equal_the_whole(own):
    driven = {"pose": track("pose", 30, 9.0), "lip": track("lip", 90, 0.4)}
    controls = Controls(values={"gaze.yaw": 4}, strength={"pose": 0.7})
    whole = apply(own, driven, controls, 5, 90, voiced=("lip",))
    for start, count in ((0, 16), (16, 16), (32, 58)):
        part = apply(own, driven, controls, 5, count, start=start, voiced=("lip",))
        assert all(torch.equal(part[n], whole[n][start : start + count]) for n in own)


def test_it_is_pure(own):
    before = {n: v.clone() for n, v in own.items()}
    driven = {"expression": track("expression", 20, 0.5)}
    kept = driven["expression"].clone()
    apply(own, driven, Controls(values={"expression.happy": 1}), 0, 20)
    assert all(torch.equal(before[n], own[n]) for n in own) and torch.equal(kept, driven["expression"])


def test_relative_pose_is_the_drivers_change(own):
    """The driver's offset has no effect, only its change after the start."""
    driver = track("pose", 40, 5.0) + 11.0
    result = apply(own, {"pose": driver}, Controls(live=STILL), 0, 40)["pose"]
    expected = own["pose"][:, :3] + track("pose", 40, 5.0)[:, :3]  # translation is limited to one half-width
    assert torch.allclose(result[:, :3], expected, atol=1e-5)


@pytest.mark.parametrize("name,value", [("gaze", 7.0), ("expression", 0.3), ("lip", 0.3)])
def test_a_driver_that_never_rests_still_drives(own, name, value):
    """A look aside, a smile or a shout that lasts the whole clip is motion: 0 has a meaning in these factors."""
    own["lip"] = 0 * own["lip"]
    driver = torch.full((40, FACTORS[name].size), value)
    result = apply(own, {name: driver}, Controls(live=STILL), 0, 40)[name]
    assert torch.allclose(result, own[name] + driver, atol=1e-5)


def test_absolute_takes_the_drivers_values_but_not_its_place(own):
    driver = torch.full((40, 6), 3.0)
    driver[:, 3:] = 0.4
    driver[20:, 3:] = 0.5
    result = apply(own, {"pose": driver}, Controls(motion="absolute", live=STILL), 0, 40)["pose"]
    assert torch.allclose(result[:, :3], torch.full((40, 3), 3.0))
    assert torch.allclose(result[:20, 3:], own["pose"][:, 3:]) and torch.allclose(
        result[20:, 3:], own["pose"][:, 3:] + 0.1
    )


@pytest.mark.parametrize("motion", ["relative", "absolute"])
@pytest.mark.parametrize("name", FACTORS)
def test_strength(own, name, motion):
    """0 is the photo, 1 the driver, and the values in between are linear."""
    driver = track(name, 30, {"blink": 40.0, "pose": 0.5, "gaze": 8.0}.get(name, 0.3))
    if name == "blink":
        driver = 100 - driver

    def at(gain: float) -> torch.Tensor:
        controls = Controls(strength={name: gain}, motion=motion, live=STILL)
        return apply(own, {name: driver}, controls, 0, 30)[name]

    assert torch.allclose(at(0), own[name].expand(30, -1), atol=1e-6)
    assert (at(1) - at(0)).abs().max() > 0.1
    assert torch.allclose(at(0.5), (at(0) + at(1)) / 2, atol=1e-4)
    if name != "lip":
        assert (at(1.5) - at(0)).abs().max() > (at(1) - at(0)).abs().max()


def test_a_blinking_driver_closes_the_photos_eyes(own):
    """The driver's blink closes the photo's lids, and its open eye is the photo's own."""
    driver = torch.full((50, 2), 100.0)
    driver[20:24] = 0
    result = apply(own, {"blink": driver}, Controls(), 0, 50)["blink"]
    assert (result[20:24] == 0).all() and torch.allclose(result[:20], own["blink"].expand(20, -1))


def test_voice_moves_the_lips_from_a_closed_mouth(own):
    voice = torch.zeros(30, len(LIP_COEFFICIENTS))
    voice[10:20, JAW] = 0.5
    shut = apply(own, {"lip": voice}, Controls(), 0, 30, voiced=("lip",))["lip"]
    assert torch.allclose(shut[:10], own["lip"].expand(10, -1))  # nearly closed: silence is the photo's own mouth
    assert torch.allclose(shut[10:20, JAW], own["lip"][0, JAW] + 0.5)
    own["lip"][0, JAW] = 0.45  # an open mouth
    opened = apply(own, {"lip": voice}, Controls(), 0, 30, voiced=("lip",))["lip"]
    assert torch.allclose(opened[:10], torch.zeros(10, len(LIP_COEFFICIENTS)), atol=1e-6)
    assert torch.allclose(opened[10:20, JAW], torch.tensor(0.5))
    for motion in ("relative", "absolute"):  # a voice has no face of its own
        same = apply(own, {"lip": voice}, Controls(motion=motion), 0, 30, voiced=("lip",))["lip"]
        assert torch.equal(same, opened)


def test_open_smile_keeps_smiling_while_it_speaks(own):
    own["lip"][0, JAW] = 0.5
    smile = FACTORS["expression"].dims.index("mouthSmile_L")
    own["expression"][0, smile] = 0.8
    voice = torch.zeros(30, len(LIP_COEFFICIENTS))
    result = apply(own, {"lip": voice}, Controls(), 0, 30, voiced=("lip",))
    assert (result["lip"][:, JAW].abs() < 1e-6).all() and (result["expression"][:, smile] == 0.8).all()


def test_lip_strength(own):
    own["lip"][0, JAW] = 0.45
    voice = torch.zeros(30, len(LIP_COEFFICIENTS))
    voice[15:, JAW] = 0.3

    def at(gain: float) -> torch.Tensor:
        return apply(own, {"lip": voice}, Controls(strength={"lip": gain}), 0, 30, voiced=("lip",))["lip"]

    assert torch.allclose(at(0), own["lip"].expand(30, -1))
    assert torch.allclose(at(2)[15:, JAW], torch.tensor(0.6)) and (at(2)[:15, JAW] == 0).all()
    assert at(2).max() <= 1


def test_offsets(own):
    controls = Controls(
        values={"pose.yaw": 10, "pose.roll": -4, "gaze.pitch": -5, "blink.openness": 50, "au.12": 2.5}, live=STILL
    )
    result = apply(own, {}, controls, 0, 3)
    assert torch.allclose(result["pose"] - own["pose"], torch.tensor([10.0, 0, -4, 0, 0, 0]).expand(3, -1))
    assert torch.allclose(result["gaze"] - own["gaze"], torch.tensor([0.0, -5, 0, -5]).expand(3, -1))
    assert torch.allclose(result["blink"], own["blink"] * 0.5)
    change = (result["expression"] - own["expression"])[0]
    names = [n for n, c in zip(FACTORS["expression"].dims, change, strict=True) if c.abs() > 1e-6]
    assert names == ["mouthSmile_L", "mouthSmile_R"] and torch.allclose(change.max(), torch.tensor(0.5))
    assert torch.equal(result["lip"], own["lip"].expand(3, -1))


@pytest.mark.parametrize("value", [0, 120])
def test_openness_reaches_its_ends(own, value):
    result = apply(own, {}, Controls(values={"blink.openness": value}, live=STILL), 0, 2)["blink"]
    assert torch.allclose(result, own["blink"] * value / 100)


@pytest.mark.parametrize("key", [k for k in SLIDERS if SLIDERS[k].neutral == 0])
def test_every_slider_moves_its_own_factor_and_no_other(own, key):
    control = SLIDERS[key]
    result = apply(own, {}, Controls(values={key: control.high}, live=STILL), 0, 1)
    for name in own:
        moved = (result[name] - own[name]).abs().max() > 0.05
        assert moved == (name == control.factor), (key, name)


def test_sliders_ride_on_drivers(own):
    driver = track("pose", 20, 0.5)
    base = apply(own, {"pose": driver}, Controls(live=STILL), 0, 20)["pose"]
    more = apply(own, {"pose": driver}, Controls(values={"pose.yaw": 10}, live=STILL), 0, 20)["pose"]
    assert torch.allclose(more[:, 0], base[:, 0] + 10) and torch.equal(more[:, 1:], base[:, 1:])


def test_emotions_are_their_action_units():
    for emotion, recipe in EMOTIONS.items():
        if not recipe:
            continue
        one = au_weights("expression", Controls(values={f"expression.{emotion}": 1}))
        units = {f"au.{au}": v for au, v in recipe.items() if au_factor(au) == "expression"}
        assert one == pytest.approx(au_weights("expression", Controls(values=units)))
        assert max(one) > 0.5 and au_weights("lip", Controls(values={f"expression.{emotion}": 1})) == pytest.approx(
            au_weights("lip", Controls())
        )


def test_every_action_unit_reaches_its_shapes():
    for au, (_, stems) in ACTION_UNITS.items():
        if f"au.{au}" not in SLIDERS:
            continue
        factor = au_factor(au)
        weights = au_weights(factor, Controls(values={f"au.{au}": 5}))
        named = [n for n, w in zip(FACTORS[factor].dims, weights, strict=True) if w == 1]
        assert {n.removesuffix("_L").removesuffix("_R") for n in named} == set(stems)
        assert sum(weights) == len(named)


def test_sliders_add_up_to_at_most_the_full_shape(own):
    result = apply(own, {}, Controls(values={"expression.happy": 1, "au.12": 5, "au.6": 5}, live=STILL), 0, 1)
    assert result["expression"].max() == 1


def test_live_motion_and_its_switches(own):
    lively = apply(own, {}, Controls(), 1, 200)
    for name in ("pose", "gaze", "blink"):
        assert lively[name].std(dim=0).max() > 0.1, name
        still = apply(own, {}, Controls(live={name: False}), 1, 200)
        assert torch.equal(still[name], own[name].expand(200, -1))
        assert all(torch.equal(still[n], lively[n]) for n in own if n != name)
        weak = apply(own, {}, Controls(strength={name: 0}), 1, 200)
        assert torch.allclose(weak[name], own[name].expand(200, -1))
    assert torch.equal(lively["expression"], own["expression"].expand(200, -1))
    assert torch.equal(apply(own, {}, Controls(), 1, 200)["gaze"], lively["gaze"])
    assert not torch.equal(apply(own, {}, Controls(), 2, 200)["gaze"], lively["gaze"])


def test_driven_factors_do_not_live(own):
    driven = {name: track(name, 100, 0.0) for name in ("pose", "gaze")} | {"blink": torch.full((100, 2), 100.0)}
    result = apply(own, driven, Controls(), 1, 100)
    for name in driven:
        assert torch.allclose(result[name], own[name].expand(100, -1), atol=1e-5)


@pytest.mark.parametrize(
    "length,expected",
    [(1, [0] * 9), (2, [0, 1, 0, 1, 0, 1, 0, 1, 0]), (4, [0, 1, 2, 3, 2, 1, 0, 1, 2]), (20, list(range(9)))],
)
def test_short_drivers_go_there_and_back(length, expected):
    assert loop_index(length, 0, 9).tolist() == expected
    assert loop_index(length, 4, 5).tolist() == expected[4:]


def test_a_factor_that_the_method_lacks(own):
    del own["gaze"]
    with pytest.raises(ControlError, match="gaze"):
        apply(own, {"gaze": track("gaze", 20)}, Controls(), 0, 20)


def test_nothing_leaves_the_limits(own):
    wild = {name: 500 * torch.randn(50, f.size) for name, f in FACTORS.items()}
    result = apply(own, wild, Controls(motion="absolute", strength=dict.fromkeys(FACTORS, 2)), 0, 50)
    assert result["pose"].abs().max() <= 60 and result["gaze"].abs().max() <= 40
    assert result["lip"].min() >= -0.35 and result["expression"].max() <= 1.2
    assert result["blink"].min() >= 0 and result["blink"].max() <= 140


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_latents_are_taken_as_they_are_and_strength_leads_there():
    photo = {"lip": latents(1, 7), "pose": latents(1, 6)}
    driver = {"lip": latents(4, 7)}
    for gain, expected in ((0, photo["lip"].expand(4, -1)), (1, driver["lip"])):
        result = apply_latents(photo, driver, Controls(strength={"lip": gain}), 4)
        torch.testing.assert_close(result["lip"], expected)
        torch.testing.assert_close(result["pose"], photo["pose"].expand(4, -1))


def test_zero_is_the_canonical_position_of_all_others():
    photo, driver = {"lip": latents(1, 7), "pose": latents(1, 6)}, {"lip": latents(4, 7)}
    result = apply_latents(photo, driver, Controls(others="zero", strength={"lip": 1.5}), 4)
    assert result["pose"].abs().max() == 0
    torch.testing.assert_close(result["lip"], 1.5 * driver["lip"])  # the paper's gain


def test_latents_come_in_windows_and_unknown_ones_are_refused():
    photo, driver = {"lip": latents(1, 7)}, {"lip": latents(5, 7)}
    whole = apply_latents(photo, driver, Controls(), 30)["lip"]
    part = apply_latents(photo, driver, Controls(), 8, start=11)["lip"]
    torch.testing.assert_close(part, whole[11:19])
    with pytest.raises(ControlError, match="no factor 'gaze'"):
        apply_latents(photo, {"gaze": latents(2, 2)}, Controls(), 3)
    with pytest.raises(ControlError, match="Undriven must be one of stay, zero"):
        Controls(others="wild")


def test_between_two_sources_along_keyframes(own):
    first, second = ({"expression": track("expression", 60, change)} for change in (0.2, 0.8))
    alone, other = (apply(own, driven, Controls(live=STILL), 0, 60)["expression"] for driven in (first, second))
    path = Controls(live=STILL, blend={"expression": "0:0, 1:1, 2:0.5"})
    result = apply(own, first, path, 0, 60, second=second)["expression"]
    share = torch.cat([torch.arange(25) / 25, 1 - 0.5 * torch.arange(25) / 25, torch.full((10,), 0.5)])[:, None]
    torch.testing.assert_close(result, alone + share * (other - alone))
    part = apply(own, first, path, 0, 10, start=20, second=second)["expression"]
    torch.testing.assert_close(part, result[20:30])


def test_with_a_second_source_alone_the_photo_is_the_first(own):
    second = {"expression": track("expression", 40, 0.6)}
    whole = apply(own, second, Controls(live=STILL), 0, 40)["expression"]
    half = apply(own, {}, Controls(live=STILL), 0, 40, second=second)["expression"]
    torch.testing.assert_close(half, (own["expression"] + whole) / 2)


def test_latents_between_two_sources():
    photo, first, second = {"expression": latents(1, 9)}, {"expression": latents(4, 9)}, {"expression": latents(6, 9)}
    for t in (0.0, 0.25, 1.0):
        result = apply_latents(photo, first, Controls(blend={"expression": t}), 4, second=second)["expression"]
        expected = (1 - t) * first["expression"] + t * second["expression"][:4]
        torch.testing.assert_close(result, expected)
    with pytest.raises(ControlError, match="no factor 'gaze'"):
        apply_latents(photo, first, Controls(), 3, second={"gaze": latents(2, 2)})


def test_a_still_is_counted_from_a_face_at_rest(own):
    still = {"pose": torch.tensor([[10.0, 5.0, 0.0, 0.0, 0.0, 0.0]]), "blink": torch.full((1, 2), 40.0)}
    result = apply(own, still, Controls(live=STILL), 0, 5)
    torch.testing.assert_close(result["pose"], (own["pose"] + still["pose"]).expand(5, -1))
    torch.testing.assert_close(result["blink"], (own["blink"] * 0.4).expand(5, -1))


def test_paths_are_read_as_they_are_written():
    path = blend_path("expression", [[0, 0], [1.5, 1], [4, 0.25]])
    assert path == ((0, 0), (1.5, 1), (4, 0.25)) == blend_path("expression", path_text(path))
    assert blend_path("expression", 0.3) == ((0, 0.3),) == blend_path("expression", "0.3")
    assert Controls(blend={"expression": "0:0, 2:1"}).path("expression") == ((0, 0), (2, 1))
    assert Controls().path("expression") == ((0, 0.5),)


@pytest.mark.parametrize(
    ("blend", "words"),
    [
        ({"expression": 1.5}, "from 0 to 1"),
        ({"expression": "x"}, "needs a number"),
        ({"expression": "0:0, 0:1"}, "after the one before"),
        ({"expression": "1:0:2"}, "keyframes like"),
        ({"expression": "0:0, 1"}, "keyframes like"),
        ({"expression": "0:0, 900:1"}, "from 0 to 600"),
        ({"expression": []}, "keyframes like"),
        ({"expression": [[0, 0]] * 101}, "at most 100"),
        ({"expression": None}, "needs a number"),
        ({"pose": 0.5}, "one source only"),
        ({"hat": 0.5}, "no factor 'hat'"),
    ],
)
def test_bad_paths(blend, words):
    with pytest.raises(ControlError, match=words):
        Settings(controls={"blend": blend})
