"""A mix taken apart: `extraction.extract` is the local `Extraction`."""
