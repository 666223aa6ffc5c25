"""How long each step of a delivery took: for the trail, and for traces if they are wanted."""
