"""The daemon's side of pads, keys and lights: presses become actions, the event feed becomes lights."""
