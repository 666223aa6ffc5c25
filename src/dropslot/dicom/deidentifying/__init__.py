"""Files without what identifies a patient, and the way back for who may."""
