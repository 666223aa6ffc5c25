"""Presets: what of a PC belongs to which study, and where it goes. One YAML file, which a lab may share."""
