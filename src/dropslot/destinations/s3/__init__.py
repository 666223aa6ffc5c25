"""Buckets of object stores that speak S3."""
