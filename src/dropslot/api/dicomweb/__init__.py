"""STOW-RS (PS3.18 10.5): DICOM files by HTTP, into the inbox of a route that imports them."""
