"""Migrations of the tables of DICOM."""
