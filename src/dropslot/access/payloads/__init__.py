"""The bytes of deliveries, for those who may open them: never others than those that were delivered."""
