"""The studies of this PC: choosing, adding and changing them."""
