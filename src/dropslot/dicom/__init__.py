"""DICOM: patients, studies, series and instances; receiving and fetching; de-identification (Django app)."""

# First: the models of config.yaml include this app's section, and the section uses their values.
import dropslot.config.models  # noqa: F401
