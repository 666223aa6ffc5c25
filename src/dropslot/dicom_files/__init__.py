"""What DICOM files say of themselves; no Django, and no network."""
