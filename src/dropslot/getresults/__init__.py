"""What a laboratory brings along from getresults-distribute, the program that it used before."""
