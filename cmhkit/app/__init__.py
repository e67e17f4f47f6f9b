"""The kit as a program: the command line, run folders and their pages, and the check of the machine."""
