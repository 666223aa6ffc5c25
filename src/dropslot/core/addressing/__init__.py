"""Addresses of servers, DICOM nodes and folders, as people write them."""
