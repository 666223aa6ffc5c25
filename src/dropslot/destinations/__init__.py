"""Where items are delivered; one file a kind. `base` is the contract that every kind keeps."""
