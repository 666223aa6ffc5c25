"""DICOMweb services (PS3.18): items delivered by STOW-RS, and looked for by QIDO-RS."""
