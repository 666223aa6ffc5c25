"""Listings of patients, studies, series and instances, for pages, API and commands; and figures of batches."""
