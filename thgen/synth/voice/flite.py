"""Speech synthesis with flite (Debian package, optional): English voices from recordings of people."""

from __future__ import annotations

import ctypes
import functools
import threading

import numpy as np
import soxr

from thgen.errors import AssetError
from thgen.schema import SAMPLE_RATE
from thgen.synth.voice.espeak import seed_noise
from thgen.synth.voice.sets import not_installed
from thgen.synth.voice.visemes import Phone

VOICES = ("awb", "kal16", "rms", "slt")
PACKAGE = "libflite1"  # Debian package of the library and all of VOICES
_LOCK = threading.Lock()  # only one thread may use the library
# CMU phone set -> IPA symbols of the viseme table.
IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "er": "ɝ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "ɦ",
    "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ",
    "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j",
    "z": "z", "zh": "ʒ", "pau": "",
}  # fmt: skip


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    """The library, with types of its functions. Raises OSError if it is not installed."""
    for part in ("usenglish", "cmulex"):
        ctypes.CDLL(f"libflite_{part}.so.1", mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("flite_synth_text", pointer, [text, pointer]),
        ("utt_wave", ctypes.POINTER(_Wave), [pointer]),
        ("utt_relation", pointer, [pointer, text]),
        ("relation_head", pointer, [pointer]),
        ("item_next", pointer, [pointer]),
        ("item_feat_float", ctypes.c_float, [pointer, text]),
        ("item_feat_string", text, [pointer, text]),
        ("delete_utterance", None, [pointer]),
        ("feat_set_float", None, [pointer, text, ctypes.c_float]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    return library


@functools.cache
def _voice(name: str) -> int:
    """Handle of a voice. Raises OSError if it is not installed."""
    _library()
    register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
    register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    return register(None)


def lacking(voice: str) -> tuple[str, ...]:
    """Debian packages that a voice (one of `VOICES`) needs and this machine lacks. Empty: the voice can speak."""
    try:
        _voice(voice)
    except (OSError, AttributeError):  # AttributeError: a library of another version
        return (PACKAGE,)
    return ()


def synthesise(text: str, voice: str) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Speak English `text` with one of `VOICES`: float32 samples [L] at 16 kHz, and the phones.

    Raises AssetError if the voice is unknown or not installed.
    """
    if voice not in VOICES:
        raise AssetError(f"flite has no voice {voice!r}; it has: {', '.join(VOICES)}.")
    if packages := lacking(voice):
        raise not_installed([voice], packages)
    with _LOCK:
        library, handle = _library(), _voice(voice)
        seed_noise()
        utterance = library.flite_synth_text(text.encode("ascii", "ignore"), handle)
        wave = library.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32) / 32768
        rate, phones, start = wave.sample_rate, [], 0.0
        item = library.relation_head(library.utt_relation(utterance, b"Segment"))
        while item:
            name = library.item_feat_string(item, b"name").decode()
            end = float(library.item_feat_float(item, b"end"))
            # The segment of a voiceless stop contains its closure and the breath after its burst.
            release = start + 0.6 * (end - start) if name in ("p", "t", "k") else None
            phones.append(Phone(IPA.get(name, ""), start, end, release))
            start, item = end, library.item_next(item)
        library.delete_utterance(utterance)
    return soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32), tuple(phones)
