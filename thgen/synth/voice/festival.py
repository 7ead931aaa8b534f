"""Speech synthesis with festival (Debian package, optional): voices from recordings of people in six languages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from thgen.errors import AssetError
from thgen.schema import SAMPLE_RATE
from thgen.synth.voice.flite import IPA as ENGLISH
from thgen.synth.voice.sets import not_installed
from thgen.synth.voice.visemes import Phone

PACKAGE = "festival"  # Debian package of the program, which all of VOICES need
FOLDER = Path("/usr/share/festival/voices")
SECONDS = 60  # s: a voice that takes longer for a sentence hangs


def _table(pairs: str) -> dict[str, str]:
    """Phone names -> IPA symbols. A name without "=" is its own IPA symbol.

    >>> _table("a b=c")
    {'a': 'a', 'b': 'c'}
    """
    return dict((p.split("=") if "=" in p else (p, p)) for p in pairs.split())  # type: ignore[misc]


_ITALIAN = _table(
    "i e E=ɛ a o O=ɔ u i1=ˈi e1=ˈe E1=ˈɛ a1=ˈa o1=ˈo O1=ˈɔ u1=ˈu j w p t k b d g=ɡ f s S=ʃ v z Z=ʒ ts tS=tʃ dz dZ=dʒ "
    "m n J=ɲ ng=ŋ nf=ɱ l L=ʎ r"
)
_CZECH = _table(
    "a a:=aː b c=ts c~=tʃ ch=x d d~=ɟ dz dz~=dʒ e=ɛ e:=ɛː f g=ɡ h=ɦ i=ɪ i:=iː j k l m n n*=ŋ n~=ɲ o o:=oː p r r~=r "
    "r~*=r s s~=ʃ t t~=c u u:=uː v z z~=ʒ"
)
_FINNISH = _table(
    "a=ɑ e i o u y @=æ 7=ø &=ɵ a:=ɑː e:=eː i:=iː o:=oː u:=uː y:=yː @:=æː 7:=øː p t k b d g=ɡ f T=θ s S=ʃ h v=ʋ m n "
    "N=ŋ l L=l r j w p:=pː t:=tː k:=kː b:=bː d:=dː g:=ɡː f:=fː T:=θː D:=ðː s:=sː z:=zː S:=ʃː Z:=ʒː h:=hː v:=ʋː m:=mː "
    "n:=nː N:=ŋː w:=wː l:=lː L:=lː r:=rː j:=jː"
)
_RUSSIAN = _table(
    "ii=ˈi i yy=ˈɨ y=ɨ uu=ˈu u=ʊ ee=ˈɛ e oo=ˈo aa=ˈa a=ɐ ae=ɪ ay=ə ur=ʊ p pp=pʲ b bb=bʲ t tt=tʲ d dd=dʲ k kk=kʲ g=ɡ "
    "gg=ɡʲ c=ts ch=tɕ f ff=fʲ v vv=vʲ s ss=sʲ z zz=zʲ sh=ʂ sch=ɕ zh=ʐ h=x hh=xʲ m mm=mʲ n nn=nʲ l ll=lʲ r rr=rʲ j"
)
_CATALAN = _table(
    "ax=ə a a1=ˈa b d e e1=ˈe E=ɛ E1=ˈɛ f g=ɡ i i1=ˈi j J=ɲ k l L=ʎ m n o o1=ˈo O=ɔ O1=ˈɔ p r=ɾ rr=r s S=ʃ t u u1=ˈu w "
    "z Z=ʒ"
)


@dataclass(frozen=True)
class Recorded:
    """A voice. package: Debian package that contains it. language: key of texts.SENTENCES. encoding: of its input text.
    ipa: phone names -> IPA."""

    package: str
    language: str
    encoding: str
    ipa: dict[str, str]


VOICES: dict[str, Recorded] = {
    "ked_diphone": Recorded("festvox-kdlpc16k", "en", "ascii", {**ENGLISH, "el": "l", "em": "m", "en": "n", "nx": "ɾ"}),
    "lp_diphone": Recorded("festvox-italp16k", "it", "iso-8859-1", _ITALIAN),
    "pc_diphone": Recorded("festvox-itapc16k", "it", "iso-8859-1", _ITALIAN),
    "czech_dita": Recorded("festvox-czech-dita", "cs", "iso-8859-2", _CZECH),
    "czech_krb": Recorded("festvox-czech-krb", "cs", "iso-8859-2", _CZECH),
    "czech_machac": Recorded("festvox-czech-machac", "cs", "iso-8859-2", _CZECH),
    "czech_ph": Recorded("festvox-czech-ph", "cs", "iso-8859-2", _CZECH),
    "suo_fi_lj_diphone": Recorded("festvox-suopuhe-lj", "fi", "iso-8859-1", _FINNISH),
    "hy_fi_mv_diphone": Recorded("festvox-suopuhe-mv", "fi", "iso-8859-1", _FINNISH),
    "msu_ru_nsh_clunits": Recorded("festvox-ru", "ru", "utf-8", _RUSSIAN),
    "upc_ca_ona_hts": Recorded("festvox-ca-ona-hts", "ca", "iso-8859-1", _CATALAN),
}
VOICELESS = frozenset("ptk")


def lacking(voice: str) -> tuple[str, ...]:
    """Debian packages that a voice (key of `VOICES`) needs and this machine lacks. Empty: the voice can speak."""
    program = () if shutil.which("festival") else (PACKAGE,)
    return program if any(FOLDER.glob(f"*/{voice}")) else (*program, VOICES[voice].package)


def synthesise(text: str, voice: str) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Speak `text` with one of `VOICES`: float32 samples [L] at 16 kHz in [-1, 1], and the phones.

    Raises AssetError if the voice is unknown or not installed, or if festival fails.
    """
    if voice not in VOICES:
        raise AssetError(f"festival has no voice {voice!r}; it has: {', '.join(VOICES)}.")
    if packages := lacking(voice):
        raise not_installed([voice], packages)
    recorded = VOICES[voice]
    plain = text.replace("\\", " ").replace('"', " ")
    with tempfile.TemporaryDirectory() as folder:
        script, sound, times = (Path(folder) / name for name in ("speak.scm", "speech.wav", "phones"))
        commands = (
            f'(voice_{voice})\n(set! said (Utterance Text "{plain}"))\n(utt.synth said)\n'
            f'(utt.save.wave said "{sound}" \'riff)\n(utt.save.segs said "{times}")\n'
        )
        script.write_bytes(commands.encode(recorded.encoding, "ignore"))
        try:
            subprocess.run(["festival", "--batch", str(script)], capture_output=True, timeout=SECONDS, check=True)
            samples, rate = soundfile.read(sound, dtype="float32")
            lines = times.read_text(recorded.encoding).splitlines()[1:]
        except (subprocess.SubprocessError, OSError, soundfile.LibsndfileError) as error:
            raise AssetError(f"festival could not speak {text!r} with {voice}: {error}") from error
    samples = soxr.resample(samples, rate, SAMPLE_RATE).clip(-1, 1)  # resampling can overshoot
    return samples.astype(np.float32), _phones(lines, recorded.ipa)


def _phones(lines: list[str], ipa: dict[str, str]) -> tuple[Phone, ...]:
    """Phones from lines "end colour name". A name that is not in the table, such as a pause, has an empty symbol."""
    phones, start = [], 0.0
    for line in lines:
        end, name = float(line.split()[0]), line.split()[2]
        symbol = ipa.get(name, "")
        # The segment of a voiceless stop contains its closure and the breath after its burst.
        release = start + 0.6 * (end - start) if symbol[:1] in VOICELESS and len(symbol) == 1 else None
        phones.append(Phone(symbol, start, end, release))
        start = end
    return tuple(phones)
