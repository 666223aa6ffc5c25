"""Files and folders of this machine, by descriptors: walked, read and copied, never through a link; typed faults."""
