"""From a row to done or failed: prepare, stage, check, publish, record, archive; and the calls after a delivery."""
