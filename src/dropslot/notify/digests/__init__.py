"""Summaries of a day or a week, with the signed head of the audit trail."""
