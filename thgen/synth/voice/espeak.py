"""Speech synthesis with espeak-ng (wheel `espeakng-loader`): text -> samples and phones with times."""

from __future__ import annotations

import ctypes
import threading
from types import ModuleType

import numpy as np
import soxr

from thgen.errors import AssetError
from thgen.schema import SAMPLE_RATE
from thgen.synth.voice.visemes import Phone

# From espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 0b11
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_TEXT_IS_UTF8 = 1
_AFFRICATES = ("tʃ", "ts", "tɕ", "tʂ", "pf")
# The library keeps its state in static variables, so that only one thread may use it.
_LOCK = threading.Lock()


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Collector:
    """Collects the samples and phone marks that the synthesiser passes to its callback."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.marks: list[tuple[int, str]] = []
        self.callback = _CALLBACK(self._receive)

    def _receive(self, wave: object, count: int, events: object) -> int:
        if count > 0:
            self.blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())  # type: ignore[call-overload]
        i = 0
        while events[i].type != _EVENT_END_OF_LIST:  # type: ignore[index]
            event = events[i]  # type: ignore[index]
            if event.type == _EVENT_PHONEME:
                symbol = bytes(event.phoneme).split(b"\0")[0].decode("utf-8", "ignore")
                if not symbol.startswith("("):  # "(en)" marks a change of language, not a phone
                    self.marks.append((event.sample, symbol))
            i += 1
        return 0


def _wheel() -> ModuleType:
    """The module espeakng_loader. Raises AssetError if it is not installed."""
    try:
        import espeakng_loader
    except ImportError:
        raise AssetError("Synthetic speech needs the wheel espeakng-loader: pip install -e '.[train]'.") from None
    return espeakng_loader


def _library() -> tuple[ctypes.CDLL, bytes]:
    """The loaded library and the path of its data."""
    wheel = _wheel()
    return ctypes.CDLL(wheel.get_library_path()), wheel.get_data_path().encode()


def check() -> None:
    """Raises AssetError if the wheel is not installed. Does not load the library.

    `_run` unloads the library after every utterance. If it were loaded here too, it would keep its state.
    """
    _wheel()


def seed_noise() -> None:
    """Seed rand() of libc. espeak-ng and flite draw noise from it; with a fixed seed, equal requests sound equal."""
    ctypes.CDLL(None).srand(1)


def _unload(library: ctypes.CDLL) -> None:
    """Remove the library from the process, and its state with it."""
    process = ctypes.CDLL(None)
    process.dlclose.argtypes = [ctypes.c_void_p]
    process.dlclose(library._handle)


def _run(text: str, voice: str, rate: int, pitch: int, spread: int) -> tuple[np.ndarray, int, list[tuple[int, str]]]:
    """Samples float32 [L], their rate in Hz, and marks (sample, phone symbol); for the arguments see `synthesise`."""
    # Load the library for every utterance (4 ms). Otherwise its oscillators continue from the last utterance, and the
    # samples would depend on it.
    library, data = _library()
    try:
        collector = _Collector()
        own_rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, ctypes.c_char_p(data), _PHONEME_EVENTS_IN_IPA)
        if own_rate <= 0:
            raise AssetError("espeak-ng could not be initialised: reinstall the wheel espeakng-loader.")
        library.espeak_SetSynthCallback(collector.callback)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise AssetError(f"espeak-ng has no voice {voice!r}.")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, spread)):
            library.espeak_SetParameter(parameter, int(value), 0)
        seed_noise()
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # the default seed is the clock
        raw = text.encode()
        library.espeak_Synth(raw, ctypes.c_size_t(len(raw) + 1), 0, 1, 0, ctypes.c_uint(_TEXT_IS_UTF8), None, None)
        library.espeak_Synchronize()
        library.espeak_Terminate()
    finally:
        _unload(library)
    if not collector.blocks:
        return np.zeros(0, np.float32), own_rate, []
    return np.concatenate(collector.blocks).astype(np.float32) / 32768, own_rate, collector.marks


def _hold_before_burst(samples: np.ndarray, burst: int, rate: int) -> int:
    """First sample of the silent closure before the burst of a voiceless stop, at most 130 ms before it."""
    step = rate // 200
    start = burst
    while start - step >= max(0, burst - int(0.13 * rate)) and np.abs(samples[start - step : start]).max() < 0.004:
        start -= step
    return start


def _phones(samples: np.ndarray, rate: int, marks: list[tuple[int, str]]) -> tuple[Phone, ...]:
    """Phones from marks (sample, symbol) in order of time."""
    starts = [min(mark, len(samples)) for mark, _ in marks]
    releases: list[float | None] = [None] * len(marks)
    for i, (_, symbol) in enumerate(marks):
        # espeak-ng marks a voiceless stop at its burst, but the lips of a "p" are closed in the silence before it.
        if symbol[:1] in ("p", "t", "k", "c", "q") and symbol not in _AFFRICATES:
            releases[i] = starts[i] / rate + 0.008
            starts[i] = max(_hold_before_burst(samples, starts[i], rate), starts[i - 1] if i else 0)
    edges = [*starts, len(samples)]
    return tuple(
        Phone(symbol, edges[i] / rate, edges[i + 1] / rate, releases[i])
        for i, (_, symbol) in enumerate(marks)
        if edges[i + 1] > edges[i]
    )


def synthesise(text: str, voice: str, rate: int, pitch: int, spread: int) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Speak `text` with espeak-ng.

    voice: name with an optional variant, such as "en-us+f2". rate: words per minute, 80 to 300. pitch, spread
    (intonation range): 0 to 99. Returns float32 samples [L] at 16 kHz in [-1, 1], and the phones in order of time.
    Raises AssetError without the wheel, or for an unknown voice.
    """
    with _LOCK:
        samples, own_rate, marks = _run(text, voice, rate, pitch, spread)
    if not len(samples):
        return samples, ()
    return soxr.resample(samples, own_rate, SAMPLE_RATE).astype(np.float32), _phones(samples, own_rate, marks)
