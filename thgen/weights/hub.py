"""A name in weights/manifest.json -> verified local file -> network. Only this module uses the internet.

A bundled file is used if it is present. Otherwise the file comes from the Hub repository THGEN_HUB_REPO, at the
revision that the manifest pins. `THGEN_PREFER_HUB=1` always uses the Hub. The SHA-256 is compared with the manifest at
every load, and only safetensors are read. Without a connection, an error with a remedy is raised in less than a second.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from thgen.errors import ControlError, WeightsError, shown
from thgen.weights.manifest import BUNDLED, Entry, read_manifest, update_manifest

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LOG = logging.getLogger(__name__)
METADATA_KEY = "thgen"
PROBE_SECONDS = 0.7  # time limit of the connection test
HEAD_SECONDS = 10.0  # time limit of the request for a file's size

# class key -> import path. A weights file names a key of this table and can never name a class.
NETWORKS: dict[str, str] = {
    "analyser": "thgen.analyser.network:Analyser",
    "face_encoder": "thgen.encoder.network:FaceEncoder",
    "audio": "thgen.methods.rig.audio_network:AudioToLip",
    "rig_generator": "thgen.compact.flow.network:GuidedFlow",
    "pd_fgc_appearance": "thgen.methods.pd_fgc.networks:Appearance",
    "pd_fgc_motion": "thgen.methods.pd_fgc.networks:Motion",
    "pd_fgc_face_appearance": "thgen.methods.pd_fgc.networks:FaceAppearance",
    "pd_fgc_face_motion": "thgen.methods.pd_fgc.networks:FaceMotion",
    "pd_fgc_audio": "thgen.methods.pd_fgc.networks:AudioLip",
    "motion_head": "thgen.compact.motion_head:MotionHead",
    "style_generator": "thgen.nn.stylegan2:StyleGenerator",
    "stylegan2": "thgen.nn.stylegan2:StyleGAN2",
    "lia": "thgen.nn.lia:LIA",
    "inversion_encoder": "thgen.nn.psp:InversionEncoder",
    "arcface": "thgen.nn.ir_se:ArcFace",
    "wav2lip_audio": "thgen.nn.wav2lip:AudioEncoder",
    "wav2lip_sync": "thgen.nn.wav2lip:SyncExpert",
    "fc_tfg_fusion": "thgen.methods.fc_tfg.networks:LatentFusion",
    "fc_tfg_face_codes": "thgen.methods.fc_tfg.compact_networks:FaceCodes",
    "fc_tfg_heads": "thgen.methods.fc_tfg.compact_networks:IndexHeads",
    "gc_avt_identity": "thgen.methods.gc_avt.networks:Identity",
    "gc_avt_content": "thgen.methods.gc_avt.networks:Content",
    "gc_avt_voice": "thgen.methods.gc_avt.networks:Voice",
    "speak_encoder": "thgen.methods.speak.networks:Encoder",
    "speak_emotion": "thgen.methods.speak.networks:EmotionEncoder",
    "speak_reconstructor": "thgen.methods.speak.networks:Reconstructor",
    "speak_voice": "thgen.methods.speak.networks:Voice",
    "speak_editing": "thgen.methods.speak.networks:EditingModule",
    "speak_generator": "thgen.methods.speak.networks:TalkingGenerator",
    "mobilenet_v2": "thgen.nn.mobilenet:MobileNetV2",
    "adain_generator": "thgen.nn.adain_generator:AdaINGenerator",
    "fg_emotalk": "thgen.methods.fg_emotalk.networks:VideoNetwork",
    "fg_emotalk_au": "thgen.methods.fg_emotalk.networks:AUEncoder",
    "vgg19": "thgen.nn.vgg:VGG19",
}


@dataclass(frozen=True)
class Hub:
    """Address and options of the Hub. repo: "owner/name" or None; prefer: use it even for bundled files; cache_dir:
    None means the default of huggingface_hub."""

    repo: str | None
    prefer: bool = False
    endpoint: str = "https://huggingface.co"
    cache_dir: Path | None = None

    @classmethod
    def from_environment(cls) -> Hub:
        """THGEN_HUB_REPO ("owner/name"), THGEN_PREFER_HUB ("1") and HF_ENDPOINT, as they are now."""
        env = os.environ
        prefer = env.get("THGEN_PREFER_HUB", "").lower() in ("1", "true", "yes")
        return cls(env.get("THGEN_HUB_REPO") or None, prefer, (env.get("HF_ENDPOINT") or cls.endpoint).rstrip("/"))


def resolve(name: str, weights_dir: Path | None = None, hub: Hub | None = None) -> Path:
    """The verified local file of `name`. Raises WeightsError."""
    folder = weights_dir or BUNDLED
    path, _ = _locate(name, folder, hub or Hub.from_environment())
    return path


def load_network(
    name: str,
    device: torch.device | str = "cpu",
    weights_dir: Path | None = None,
    hub: Hub | None = None,
    networks: Mapping[str, str] = NETWORKS,
) -> nn.Module:
    """The network of `name` on `device`, float32, in eval mode, without gradients. Raises WeightsError."""
    import torch

    folder = weights_dir or BUNDLED
    path, content = _locate(name, folder, hub or Hub.from_environment())
    entry = _entry(name, folder)
    tensors, about = _parse(path, content)
    if about.get("network") != entry.network:
        raise WeightsError(
            f"{path} holds the network {about.get('network')!r}, but the manifest says {entry.network!r} for {name!r}; "
            "fetch or export it again."
        )
    network = _build(name, entry.network, about.get("config") or {}, networks)
    fill(path, network, tensors)
    network = network.requires_grad_(False).eval().to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:  # saves a fifth of the time on CPUs
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    LOG.info("weights %s: %s, SHA-256 %s, on %s", name, path, entry.sha256[:12], device)
    return network


def device_of(name: torch.device | str | None) -> torch.device:
    """The device `name`; None: CUDA if available, else the CPU. Raises ControlError if it is not available."""
    import torch

    best = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name or best)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ControlError(f"There is no device {shown(name)} here; leave it out to use {best}.") from error
    return device


class Networks:
    """Networks on one device. Each is loaded at the first call and then shared. Thread-safe."""

    def __init__(self, device: torch.device | str | None = "cpu", weights_dir: Path | None = None) -> None:
        """device: as for `device_of`, which is called at the first use."""
        self._named = device
        self._folder = weights_dir
        self._loaded: dict[str, nn.Module] = {}
        self._lock = threading.Lock()

    @cached_property
    def device(self) -> torch.device:
        """The device. Raises ControlError if it is not available."""
        return device_of(self._named)

    def get(self, name: str) -> nn.Module:
        """As `load_network`. Raises WeightsError, ControlError."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_network(name, self.device, self._folder)
            return self._loaded[name]


def describe(name: str, weights_dir: Path | None = None, hub: Hub | None = None) -> dict[str, Any]:
    """Facts about the weights `name` as plain values, for the page, the API and the mp4. Raises WeightsError.

    `text` is a summary in one line. Only the manifest is read; the file is verified when it is loaded.
    """
    folder, hub = weights_dir or BUNDLED, hub or Hub.from_environment()
    entry = _entry(name, folder)
    source = "hub" if hub.prefer or not (folder / entry.file).is_file() else "bundled"
    trained = f"{entry.steps} steps in {entry.minutes:g} min on {entry.hardware or 'unknown hardware'}"
    return {
        "name": name,
        "source": source,
        "sha256": entry.sha256[:12],
        "revision": entry.revision if source == "hub" else None,
        "data": entry.data,
        "steps": entry.steps,
        "minutes": entry.minutes,
        "hardware": entry.hardware,
        "licence": entry.licence,
        "scores": dict(entry.scores),
        "text": f"{name} ({source}, {entry.sha256[:12]}): {trained}; data: {entry.data or 'unknown'}",
    }


def absent(names: Iterable[str], weights_dir: Path | None = None, hub: Hub | None = None) -> list[str]:
    """Those of `names` that are neither on this machine nor available from a configured and pinned Hub.

    Only the manifest is read. Raises WeightsError.
    """
    folder, hub = weights_dir or BUNDLED, hub or Hub.from_environment()
    entries = read_manifest(folder)
    there = (n for n, e in entries.items() if (folder / e.file).is_file() or (hub.repo and e.revision))
    return sorted(set(names) - set(there))


def verify(name: str, weights_dir: Path | None = None) -> Path:
    """The bundled file of `name` after a check of hash and tensors. Nothing is fetched. Raises WeightsError."""
    folder = weights_dir or BUNDLED
    entry = _entry(name, folder)
    path = folder / entry.file
    if not path.is_file():
        raise WeightsError(f"{path} is missing; fetch it with: python -m thgen weights fetch {name}")
    _parse(path, checked_bytes(name, path, entry))
    return path


# --- finding the file -----------------------------------------------------------------------------------------


def _entry(name: str, folder: Path) -> Entry:
    entries = read_manifest(folder)
    if name not in entries:
        raise WeightsError(f"There are no weights {name!r}; the manifest lists: {', '.join(entries) or 'none'}.")
    return entries[name]


def _locate(name: str, folder: Path, hub: Hub) -> tuple[Path, bytes]:
    """Path and verified content of a file. The content is returned, so that exactly the hashed bytes are parsed."""
    entry = _entry(name, folder)
    bundled = folder / entry.file
    path = bundled if bundled.is_file() and not hub.prefer else fetch(name, entry, hub)
    return path, checked_bytes(name, path, entry)


def checked_bytes(name: str, path: Path, entry: Entry) -> bytes:
    """Content of a file. Raises WeightsError if its hash differs from the entry's."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights {name!r} cannot be read: {error}.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise WeightsError(
            f"The weights {name!r} were altered: {path} has SHA-256 {digest[:12]}…, the manifest says "
            f"{entry.sha256[:12]}…; delete the file and run: python -m thgen weights fetch {name}"
        )
    return content


def fetch(name: str, entry: Entry, hub: Hub) -> Path:
    """The Hub's file at the pinned revision, from the cache if possible. Its hash is unchecked. Raises WeightsError."""
    if hub.repo is None:
        raise WeightsError(
            f"The weights {name!r} are not bundled here; set THGEN_HUB_REPO=owner/name to fetch them, or train them: "
            "python -m thgen train --help"
        )
    if entry.revision is None:
        raise WeightsError(
            f"The manifest pins no Hub revision for {name!r}, so nothing can be fetched; use the bundled file, or "
            "publish it with: python -m thgen weights push"
        )
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repo, file, revision = hub.repo, entry.file, entry.revision
    try:
        return Path(hf_hub_download(repo, file, revision=revision, cache_dir=hub.cache_dir, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise WeightsError(f"THGEN_HUB_REPO={hub.repo!r} is not a repository name like owner/name.") from error
    # Without a network hf_hub_download retries for 23 s, so a short test of the connection comes first.
    _probe(name, hub.endpoint)
    try:
        url = hf_hub_url(repo, file, revision=revision, endpoint=hub.endpoint)
        size = get_hf_file_metadata(url, timeout=HEAD_SECONDS, endpoint=hub.endpoint).size
        if size is not None and entry.bytes and size != entry.bytes:
            raise WeightsError(
                f"The Hub's file for {name!r} has {size} bytes, the manifest says {entry.bytes}; it was altered, or "
                "the pinned revision is wrong."
            )
        cached = hf_hub_download(repo, file, revision=revision, cache_dir=hub.cache_dir, endpoint=hub.endpoint)
        return Path(cached)
    except WeightsError:
        raise
    except Exception as error:  # huggingface_hub 2.4 raises OSError, ValueError and errors of httpx2
        raise WeightsError(
            f"The weights {name!r} could not be fetched from {hub.repo}@{entry.revision[:7]} at {hub.endpoint} "
            f"({_first_line(error)}). Check THGEN_HUB_REPO and your access, or put the file into weights/."
        ) from error


def push(names: Sequence[str], weights_dir: Path | None = None, hub: Hub | None = None) -> str:
    """Upload the bundled files to THGEN_HUB_REPO in one commit and pin it in the manifest. Returns the commit.

    It uses the login of huggingface_hub. Raises WeightsError and then leaves the manifest unchanged.
    """
    folder, hub = weights_dir or BUNDLED, hub or Hub.from_environment()
    if hub.repo is None:
        raise WeightsError("Set THGEN_HUB_REPO=owner/name to say where the weights go.")
    files = {name: verify(name, folder) for name in names}
    entries = read_manifest(folder)
    _probe(names[0], hub.endpoint)
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint=hub.endpoint)
    try:
        api.create_repo(hub.repo, exist_ok=True)
        added = [CommitOperationAdd(entries[name].file, files[name]) for name in names]
        message = f"Weights: {', '.join(names)}"
        commit = api.create_commit(hub.repo, added, commit_message=message).oid
    except Exception as error:  # as in fetch
        raise WeightsError(f"The upload to {hub.repo} at {hub.endpoint} failed: {_first_line(error)}") from error
    update_manifest(folder, {name: replace(entries[name], revision=commit) for name in names})
    return commit


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _probe(name: str, endpoint: str) -> None:
    """Raises WeightsError within PROBE_SECONDS if no connection to the Hub (or the proxy) can be opened.

    It runs in a thread, because the lookup of a host name has no time limit.
    """
    parts = urlsplit(endpoint)
    proxy = getproxies().get(parts.scheme)
    if proxy and parts.hostname and not proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    address = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    opened = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, PROBE_SECONDS).close()
        except OSError:
            return
        opened.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    if not opened.is_set():
        raise WeightsError(
            f"The weights {name!r} are not on this machine and {address[0]} cannot be reached; connect to the network "
            f"and run: python -m thgen weights fetch {name}, or copy the file into weights/."
        )


# --- building the network -------------------------------------------------------------------------------------


def _parse(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and thgen's metadata of a safetensors file. Raises WeightsError for other files."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][METADATA_KEY])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is not a safetensors file of thgen; pickles and others are never read.") from error
    return tensors, about


def foreign_tensors(name: str, path: Path, entry: Entry) -> dict[str, Tensor]:
    """Tensors of a safetensors file by others, after a check of its hash. Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(checked_bytes(name, path, entry))
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is not a safetensors file; pickles and others are never read.") from error


def _build(name: str, key: str, config: Mapping[str, Any], networks: Mapping[str, str]) -> nn.Module:
    """The network with random weights; its config is the keyword arguments of its class."""
    if key not in networks:
        raise WeightsError(f"The weights {name!r} are for the network {key!r}, which this version does not know.")
    module, _, cls_name = networks[key].partition(":")
    cls = getattr(importlib.import_module(module), cls_name)
    try:
        network: nn.Module = cls(**config)
        return network
    except (TypeError, ValueError, KeyError) as error:
        raise WeightsError(f"The config of the weights {name!r} does not fit {cls_name} ({error}).") from error


def fill(path: Path, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy all tensors into the network. Raises WeightsError if a key is missing or unexpected or a shape differs."""
    wanted = network.state_dict()
    faults = [f"{k} is missing" for k in wanted.keys() - tensors.keys()]
    faults += [f"{k} is unexpected" for k in tensors.keys() - wanted.keys()]
    faults += [
        f"{k} is {list(tensors[k].shape)} instead of {list(wanted[k].shape)}"
        for k in wanted.keys() & tensors.keys()
        if wanted[k].shape != tensors[k].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WeightsError(f"{path} does not fit its network: {'; '.join(sorted(faults)[:3])}{more}.")
    network.load_state_dict(tensors, strict=True)  # converts to the network's float32
