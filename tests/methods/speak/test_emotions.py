import pytest
import torch

from thgen.errors import ControlError
from thgen.methods.speak.declaration import OWN, SPEAK_PAPER
from thgen.methods.speak.emotions import change, shares
from thgen.schema import EMOTIONS

OWN_CODE = torch.tensor([[1.0, 0.0]])
CENTRES = torch.arange(16.0).reshape(8, 2)
SEEN = torch.ones(8)


def code_of(seen=SEEN, **values):
    """The code that the controls lead to; a dot in a key is written as two underscores."""
    chosen = shares({key.replace("__", "."): value for key, value in values.items()})
    return (OWN_CODE + change(chosen, OWN_CODE, CENTRES, seen))[0].tolist()


def test_strength_goes_from_the_own_code_to_the_class_and_not_beyond():
    happy = CENTRES[list(EMOTIONS).index("happy")].tolist()
    assert code_of(emotion__name="happy", emotion__strength=0.0) == OWN_CODE[0].tolist()
    assert code_of(emotion__name="happy") == code_of(emotion__name="happy", emotion__strength=1.0) == happy
    assert code_of(emotion__name="happy", emotion__strength=2.0) == happy
    half = code_of(emotion__name="happy", emotion__strength=0.5)
    assert half == pytest.approx([(a + b) / 2 for a, b in zip(OWN_CODE[0].tolist(), happy, strict=True)])


def test_neutral_controls_change_nothing():
    neutral = {control.key: control.neutral for control in SPEAK_PAPER.controls}
    assert shares(neutral) == {} == shares({}) == shares({"emotion.name": OWN, "emotion.strength": 2.0})


def test_a_mix_is_a_weighted_mean_of_its_classes_and_the_own_code():
    happy, sad = (CENTRES[list(EMOTIONS).index(name)] for name in ("happy", "sad"))
    found = code_of(emotion__happy=0.5, emotion__sad=0.25)
    assert found == pytest.approx((0.5 * happy + 0.25 * sad + 0.25 * OWN_CODE[0]).tolist())
    assert code_of(emotion__happy=0.5) == pytest.approx(code_of(emotion__name="happy", emotion__strength=0.5))


def test_a_mix_of_more_than_one_names_its_parts():
    with pytest.raises(ControlError, match=r"add to 1\.40 \(emotion\.happy=0\.8, emotion\.sad=0\.6\)"):
        shares({"emotion.happy": 0.8, "emotion.sad": 0.6})
    with pytest.raises(ControlError, match=r"emotion\.name=fear with emotion\.strength=1, emotion\.sad=0\.1"):
        shares({"emotion.name": "fear", "emotion.sad": 0.1})
    assert sum(shares({f"emotion.{name}": 0.125 for name in EMOTIONS}).values()) == pytest.approx(1)
    tenths = {"emotion.happy": 0.7, "emotion.sad": 0.2, "emotion.fear": 0.1}
    assert len(shares(tenths)) == 3, "rounding is no reason"


def test_an_unknown_emotion_is_refused_with_the_list():
    with pytest.raises(ControlError, match=r"own, neutral, .*happy.*surprised, not .hungry"):
        SPEAK_PAPER.control("emotion.name").checked("hungry")
    with pytest.raises(ControlError, match=r"emotion\.happy"):
        SPEAK_PAPER.control("emotion.hungry")


def test_an_emotion_that_training_never_saw_is_refused():
    seen = SEEN.clone()
    seen[list(EMOTIONS).index("fear")] = 0
    with pytest.raises(ControlError, match=r"without the emotion fear; choose one of: neutral, angry"):
        code_of(seen, emotion__name="fear")
    assert code_of(seen, emotion__name="sad")
