"""Whether a session lets a program hear keys at all, and what to do where it does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMAND = "bridge trigger convert-latest preset=audio-to-midi"


@dataclass(frozen=True)
class HotkeyState:
    """Whether hotkeys are heard. `ready` with a `why`: they are, but something about them should be known."""

    ready: bool
    why: str = ""
    remedy: str = ""


class NotHeard(Exception):
    """Keys cannot be heard for now."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.state = HotkeyState(ready=False, why=why, remedy=remedy)


DESKTOPS: Mapping[str, str] = {
    "gnome": f"Settings > Keyboard > View and Customize Shortcuts > Custom Shortcuts, with `{COMMAND}`",
    "kde": f"System Settings > Keyboard > Shortcuts > Add New > Command or Script, with `{COMMAND}`",
    "sway": f"a line in ~/.config/sway/config: `bindsym Ctrl+Alt+h exec {COMMAND}`",
    "hyprland": f"a line in ~/.config/hypr/hyprland.conf: `bind = CTRL ALT, H, exec, {COMMAND}`",
}
ANY_DESKTOP = f"the desktop's own keyboard shortcuts, with the command `{COMMAND}`"
NO_PYNPUT = HotkeyState(
    ready=False,
    why="hotkeys need the Python package pynput, which is not installed",
    remedy='Install it with: pip install "daw-bridge[hotkeys]"',
)
NO_DISPLAY = "Start the bridge from within the desktop session, or set DISPLAY (mostly DISPLAY=:0)"


def obstacle(environment: Mapping[str, str], platform: str) -> HotkeyState | None:
    """What stands in the way by the session's variables alone; None: nothing."""
    if platform in ("darwin", "win32"):
        return None
    if environment.get("WAYLAND_DISPLAY") or environment.get("XDG_SESSION_TYPE") == "wayland":
        return HotkeyState(
            ready=False,
            why="Wayland lets no program hear the keys of another",
            remedy=f"Set the keys in {_shortcuts(environment)}",
        )
    if not environment.get("DISPLAY"):
        return HotkeyState(ready=False, why="there is no display here, so no keys", remedy=NO_DISPLAY)
    return None


def _shortcuts(environment: Mapping[str, str]) -> str:
    desktop = environment.get("XDG_CURRENT_DESKTOP", "").lower()
    return next((how for name, how in DESKTOPS.items() if name in desktop), ANY_DESKTOP)
