"""“Verify now”: the check of the trail and of every stored file, as a process of its own with a page that shows how far
it is. Closing the page, or the portal's end, does not end it."""
