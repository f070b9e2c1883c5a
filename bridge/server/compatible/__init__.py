"""A server that answers as the MusicGPT API does. `app` has the routes, `submitting` the way of a request."""

from __future__ import annotations

from bridge.server.compatible.app import CompatibleServer, Options

__all__ = ["CompatibleServer", "Options"]
