#!/bin/sh
# Updates docs/*-help.txt from the scripts' --help: make docs
set -eu
cd "$(dirname "$0")/.."
export COLUMNS=100 NO_COLOR=1 TF_CPP_MIN_LOG_LEVEL=3
"$1" train.py --help 2>/dev/null >docs/train-help.txt
for script in generate dataset_tool; do
	"$1" "$script.py" --help 2>/dev/null >"docs/$script-help.txt"
	for command in $(sed -n '/^positional/,/^options/s/^    \([a-z][a-z0-9_]*\)\( .*\)\{0,1\}$/\1/p' "docs/$script-help.txt"); do
		echo
		"$1" "$script.py" "$command" --help 2>/dev/null
	done >>"docs/$script-help.txt"
done
