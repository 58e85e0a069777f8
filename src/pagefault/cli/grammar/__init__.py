"""The grammar of the commands: arguments, options and help, a module for each group of them.

A module imports only Typer, and inside each command the module that does the work, so that a wrong command
line and ``--help`` are answered at once.
"""
