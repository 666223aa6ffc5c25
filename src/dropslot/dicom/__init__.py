"""DICOM: patients, studies, series and instances; receiving and fetching; de-identification (Django app)."""
