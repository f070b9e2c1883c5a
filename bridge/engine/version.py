"""The engine's version: part of the cache's key. Raise it when any result changes for the same input."""

ENGINE_VERSION = 3
