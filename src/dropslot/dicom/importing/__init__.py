"""From an arrival to patients, studies, series and instances, with the verdict of each series."""
