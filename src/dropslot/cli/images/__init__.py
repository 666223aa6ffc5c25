"""Commands of DICOM."""
