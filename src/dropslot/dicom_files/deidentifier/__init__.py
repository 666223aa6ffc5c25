"""De-identification of one file, in a process without rights: `confined` is what that process loads. These modules
import nothing of dropslot but each other."""

PARSER = "dropslot.dicom_files.deidentifier.confined"
