"""Speed: ratios measured in one run, printed as JSON lines."""

from pgtf.commands import command_line

command_line.check_packages()  # Python runs this file before the module that `python -m` names.
