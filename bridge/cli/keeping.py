"""`presets`, `init`, `doctor`: what the bridge stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bridge.cli import output
from bridge.home import home

if TYPE_CHECKING:
    from bridge.doctor import Check
    from bridge.presets import LoadedPreset


def presets(*, as_json: bool) -> int:
    from bridge.presets import PresetShelf

    loaded = PresetShelf(home() / "presets").all()
    if as_json:
        output.say_json([_preset_data(one) for one in loaded])
        return 0
    output.table(
        ("preset", "title", "conversions", "about"),
        [_preset_row(one) for one in loaded if one.preset],
    )
    for one in loaded:
        if one.error:
            output.tell_error(one.error)
    return 0


def _preset_data(one: LoadedPreset) -> dict[str, Any]:
    return {
        "name": one.name,
        "path": str(one.path),
        "preset": one.preset.model_dump(by_alias=True) if one.preset else None,
        "error": one.error.to_json() if one.error else None,
    }


def _preset_row(one: LoadedPreset) -> tuple[str, ...]:
    assert one.preset is not None
    steps = " → ".join(step.conversion for step in one.preset.steps)
    return one.name, one.preset.title, steps, one.preset.about


def init() -> int:
    from bridge import config

    path = config.write_template(home())
    output.say(f"Written: {path}")
    output.say("Name your DAW's export folder in it, then start: bridge run")
    return 0


# doctor


def doctor(*, as_json: bool) -> int:
    from bridge.doctor import examine

    checks = list(examine(home()))
    if as_json:
        output.say_json([check.to_json() for check in checks])
    else:
        for line in _check_lines(checks):
            output.say(line)
    return 1 if any(check.state == "fail" for check in checks) else 0


def _check_lines(checks: Sequence[Check]) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    for check in checks:
        # A list of faults stands under its first line.
        what = check.what.replace("\n", f"\n      {'':{width}}")
        yield f"{check.state:4}  {check.name:{width}}  {what}"
        if check.remedy and check.state != "ok":
            yield f"      {'':{width}}  → {check.remedy}"
