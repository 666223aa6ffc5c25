"""DICOM nodes: connections to them, and delivery by C-STORE. Modules that need pynetdicom are imported when used."""
