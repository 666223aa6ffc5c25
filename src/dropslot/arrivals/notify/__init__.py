"""Who is told what happened: readers of the event table, apart from the deliveries. None of them holds one up."""
