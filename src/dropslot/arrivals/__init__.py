"""The models, the pipeline, claim and recovery, workers (a Django app)."""
