"""How the bytes of a copy reach the disk: early, with holes kept, and large files by the kernel alone."""
