"""Takes over the settings of dittohead, the program that laboratories sent with before."""
