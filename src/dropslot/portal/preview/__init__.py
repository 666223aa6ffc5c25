"""A look at a payload: rendered or escaped, never as a page of the portal's own."""
