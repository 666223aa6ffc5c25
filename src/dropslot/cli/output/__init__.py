"""What people see of a command: tables, a pager, errors and interruptions in words."""
