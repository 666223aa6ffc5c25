"""Studies from an archive, by accession number, complete or not at all."""
