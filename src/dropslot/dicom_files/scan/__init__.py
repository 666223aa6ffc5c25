"""Goes through the bytes of a DICOM file: the values of its header, and what is wrong with it. Runs without rights."""
