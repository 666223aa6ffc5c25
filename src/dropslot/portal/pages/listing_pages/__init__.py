"""The listings: their columns, filters, saved views and exports."""
