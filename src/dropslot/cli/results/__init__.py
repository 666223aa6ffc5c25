"""Commands for laboratories that send results: folder tables, uploads, acknowledgments, the records of getresults."""
