"""`presets`, `models`, `init`, `doctor`: what the bridge stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bridge.cli import output
from bridge.errors import BridgeError, WrongUse
from bridge.home import home

if TYPE_CHECKING:
    from bridge.doctor import Check
    from bridge.engine.models import ModelState, ModelStore
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


# models


def models_list(*, as_json: bool) -> int:
    states = _store().states()
    if as_json:
        output.say_json([_model_data(state) for state in states])
        return 0
    columns = ("model", "version", "state", "size", "licence", "made by", "enables")
    output.table(columns, [_model_row(state) for state in states])
    for state in states:
        if state.model.remark:
            output.note(f"{state.model.name}: {state.model.remark}")
    return 0


def models_pull(names: Sequence[str], *, as_json: bool) -> int:
    store = _store()
    for name in _known(names, store) if names else store.by_default():
        store.pull(name, report=output.note if as_json else output.say)
    if as_json:
        output.say_json([_model_data(state) for state in store.states()])
    return 0


def models_verify(names: Sequence[str], *, as_json: bool) -> int:
    store = _store()
    faults: dict[str, BridgeError] = {}
    awaited = {state.model.name for state in store.states() if _is_awaited(state)}
    for name in _known(names, store):
        if name in awaited and not names:
            continue
        try:
            path = store.verify(name)
        except BridgeError as error:
            faults[name] = error
        else:
            if not as_json:
                output.say(f"{name}: as promised ({path})")
    if as_json:
        output.say_json([_model_data(state) for state in store.states()])
    for fault in faults.values():
        output.tell_error(fault)
    return 1 if faults else 0


def _known(names: Sequence[str], store: ModelStore) -> list[str]:
    """The models that are meant, all of them if none is named. Raises WrongUse for a name that is none."""
    from bridge.toml_faults import did_you_mean

    there = [state.model.name for state in store.states()]
    for name in names:
        if name not in there:
            raise WrongUse(f"there is no model '{name}'.", remedy=did_you_mean(name, there))
    return list(names) or there


def _store() -> ModelStore:
    from bridge.engine.models import ModelStore

    return ModelStore(home() / "models")


def _model_data(state: ModelState) -> dict[str, Any]:
    model = state.model
    return {
        "name": model.name,
        "version": model.version,
        "state": str(state.presence),
        "path": str(state.path),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "licence": model.licence,
        "made_by": model.made_by,
        "enables": list(model.enables),
        "on_first_use": model.on_first_use,
        "remark": model.remark,
        "sources": [str(source) for source in model.sources],
    }


def _model_row(state: ModelState) -> tuple[str, ...]:
    model = state.model
    size = f"{model.size_bytes / 1e6:.1f} MB"
    enables = ", ".join(model.enables)
    there = "fetched when first used" if _is_awaited(state) else str(state.presence)
    return model.name, model.version, there, size, model.licence, model.made_by, enables


def _is_awaited(state: ModelState) -> bool:
    return state.model.on_first_use and state.presence == "missing"


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
