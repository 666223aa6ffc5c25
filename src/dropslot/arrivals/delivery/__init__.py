"""From a row to done or failed: prepared, staged, checked, published, recorded, archived; what is called after it."""
