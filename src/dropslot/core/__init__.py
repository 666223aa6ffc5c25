"""Names, versions, states, manifests and templates: no Django, no I/O."""
